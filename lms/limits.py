"""What a model may spend, and how fast."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dspy.lm15 import Request
from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.errors import ConfigurationError, SpendingCapError
from inpars_plus.lms.engine import Reply
from inpars_plus.lms.requests import request_text

__all__ = ["Budget", "Price", "RateLimiter", "SpendingLimits"]

_CHARACTERS_A_TOKEN = 3
"""English has four to five; three leaves room for other texts."""
_DEFAULT_REPLY_TOKENS = 1024


class SpendingLimits(BaseModel):
    """What the calls of one model may come to; ``None`` is no limit.

    Attributes:
        max_tokens: tokens sent and received together.
        max_cost_usd: US dollars; needs a model with a known price.
        requests_per_minute: how often it may be asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int | None = Field(default=None, gt=0)
    max_cost_usd: float | None = Field(default=None, gt=0)
    requests_per_minute: int | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class Price:
    """US dollars a token.

    Attributes:
        prompt: of a token sent.
        completion: of a token received.
    """

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one request in US dollars."""
        return self.prompt * prompt_tokens + self.completion * completion_tokens


class RateLimiter:
    """Spaces requests evenly. Many threads may wait; each gets its own turn.

    Args:
        requests_per_minute: how often a turn comes.
        clock: seconds that only grow.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        requests_per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 60.0 / requests_per_minute
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)


class Budget:
    """Keeps a model below its caps, also when many threads ask at once.

    Before a request, what it could cost at most is set aside (its text, and a reply of the most tokens allowed); after
    it, what it did cost is entered. A request that does not fit while others are under way waits for them to end; one
    that does not fit when none is ends the run. So a cap is crossed at most by the error in estimating the tokens of
    prompts from their length, which is generous.

    Args:
        limits: the caps.
        price: of a token; ``None`` when it is unknown.
        label: the model, for messages.

    Raises:
        ConfigurationError: there is a cap in currency and no price.
    """

    def __init__(self, limits: SpendingLimits, *, price: Price | None, label: str) -> None:
        if limits.max_cost_usd is not None and price is None:
            raise ConfigurationError(
                f"a cap of {limits.max_cost_usd:g} US dollars cannot be kept: the price of '{label}' is unknown",
                remedy="Give a cap in tokens instead",
            )
        self._limits = limits
        self._price = price or Price(0.0, 0.0)
        self._label = label
        self._limiter = RateLimiter(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = 0
        self._cost = 0.0
        self._aside: list[tuple[int, float]] = []
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def spending(self, request: Request) -> Iterator[Callable[[Reply], None]]:
        """Set aside what a request could cost, and wait for its turn.

        Yields:
            A function that enters what the reply did cost. A request that fails costs nothing.

        Raises:
            SpendingCapError: it could cross a cap.
        """
        prompt_tokens = len(request_text(request)) // _CHARACTERS_A_TOKEN + 1
        reply_tokens = request.config.max_tokens or _DEFAULT_REPLY_TOKENS
        share = (prompt_tokens + reply_tokens, self._price.of(prompt_tokens, reply_tokens))
        with self._changed:
            while not self._fits(share):
                if not self._aside:
                    raise self._reached(share)
                self._changed.wait()
            self._aside.append(share)
        try:
            if self._limiter is not None:
                self._limiter.wait()
            yield self._enter
        finally:
            with self._changed:
                self._aside.remove(share)
                self._changed.notify_all()

    def _enter(self, reply: Reply) -> None:
        with self._changed:
            self._tokens += reply.prompt_tokens + reply.completion_tokens
            self._cost += (
                reply.cost_usd
                if reply.cost_usd is not None
                else self._price.of(reply.prompt_tokens, reply.completion_tokens)
            )

    def _fits(self, share: tuple[int, float]) -> bool:
        tokens = self._tokens + sum(tokens for tokens, _ in self._aside) + share[0]
        cost = self._cost + sum(cost for _, cost in self._aside) + share[1]
        limits = self._limits
        return (limits.max_tokens is None or tokens <= limits.max_tokens) and (
            limits.max_cost_usd is None or cost <= limits.max_cost_usd
        )

    def _reached(self, share: tuple[int, float]) -> SpendingCapError:
        limits = self._limits
        if limits.max_tokens is not None and self._tokens + share[0] > limits.max_tokens:
            spent = (
                f"{self._tokens:,} of {limits.max_tokens:,} tokens are spent and the next reply may need {share[0]:,}"
            )
        else:
            spent = (
                f"{self._cost:.4f} of {limits.max_cost_usd:g} US dollars are spent and the next reply may cost "
                f"{share[1]:.4f}"
            )
        return SpendingCapError(
            f"the spending cap is reached: {spent}",
            place=self._label,
            remedy="Finished work is kept; raise the cap and start again to go on",
        )
