"""What a model may spend, and how fast."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from dspy.lm15 import Request
from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.errors import ConfigurationError, SpendingCapError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.lms.engine import Reply
from inpars_plus.lms.replies import ReplyStore
from inpars_plus.lms.requests import request_text

__all__ = ["Budget", "Price", "RateLimiter", "SpendingLimits", "budget_of"]

_CHARACTERS_A_TOKEN = 3
"""English has four to five; three leaves room for other texts."""
_DEFAULT_REPLY_TOKENS = 1024


class SpendingLimits(BaseModel):
    """What the calls of one model may come to; ``None`` is no limit.

    Attributes:
        max_tokens: tokens sent and received together.
        max_cost_usd: US dollars; needs a model with a known price.
        requests_per_minute: how often it may be asked.
        spent: on the same model by other runs that share the caps, whose replies lie in other stores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int | None = Field(default=None, gt=0)
    max_cost_usd: float | None = Field(default=None, gt=0)
    requests_per_minute: int | None = Field(default=None, gt=0)
    spent: LmUsage = LmUsage()


@dataclass(frozen=True)
class Price:
    """US dollars a token.

    Attributes:
        prompt: of a token sent.
        completion: of a token received.
    """

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The cost of so many tokens in US dollars."""
        return self.prompt * prompt_tokens + self.completion * completion_tokens


class RateLimiter:
    """Spaces requests evenly. Many threads may wait; each gets its own turn.

    Args:
        requests_per_minute: how often a turn comes.
        clock: seconds that only grow.
    """

    def __init__(self, requests_per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60.0 / requests_per_minute
        self._clock = clock
        self._next = 0.0
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Return when it is this caller's turn.

        Args:
            sleep: waits so many seconds, or raises when waiting has no use any more.
        """
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            sleep(turn - now)


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
        spent: what the model's kept replies came to, which counts too.

    Raises:
        ConfigurationError: there is a cap in currency and no price.
    """

    def __init__(
        self, limits: SpendingLimits, *, price: Price | None, label: str, spent: LmUsage | None = None
    ) -> None:
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
        self._begin()
        in_each_fork(self._begin)
        self._enter(limits.spent)
        if spent is not None:
            self._enter(spent)

    def _begin(self) -> None:
        # What threads had set aside at a fork comes to an end where they are, and would never be given back here.
        self._changed = threading.Condition()
        self._aside: list[tuple[int, float]] = []

    @contextlib.contextmanager
    def spending(
        self, request: Request, *, wait: Callable[[float], None] = time.sleep
    ) -> Iterator[Callable[[Reply], None]]:
        """Set aside what a request could cost, and wait for its turn.

        Args:
            request: what will be asked.
            wait: lets so many seconds pass, or raises when the request is not to be sent any more.

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
            self.take_turn(wait)
            yield self._enter
        finally:
            with self._changed:
                self._aside.remove(share)
                self._changed.notify_all()

    def take_turn(self, wait: Callable[[float], None] = time.sleep) -> None:
        """Return when a request may be sent by the requests a minute, for one more attempt of the same request."""
        if self._limiter is not None:
            self._limiter.wait(wait)

    def _enter(self, paid: Reply | LmUsage) -> None:
        with self._changed:
            self._tokens += paid.prompt_tokens + paid.completion_tokens
            self._cost += (
                paid.cost_usd
                if paid.cost_usd is not None
                else self._price.of(paid.prompt_tokens, paid.completion_tokens)
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


_budgets: WeakKeyDictionary[ReplyStore, dict[tuple[str, SpendingLimits], Budget]] = WeakKeyDictionary()


def budget_of(
    limits: SpendingLimits | None, *, price: Price | None, label: str, store: ReplyStore | None
) -> Budget | None:
    """The budget of a model, which begins with what its kept replies came to; ``None`` where nothing is limited.

    A cap is thereby of the run directory that the store lies in: a command that is started again gets no fresh one,
    and neither does a second object for the same model.

    Args:
        limits: the caps.
        price: of a token; ``None`` when it is unknown.
        label: name of the model, as its engine has it.
        store: where its replies are kept.

    Raises:
        ConfigurationError: there is a cap in currency and no price.
        RunError: the store cannot be read.
    """
    if limits is None:
        return None
    if store is None:
        return Budget(limits, price=price, label=label)
    budgets = _budgets.setdefault(store, {})
    if (label, limits) not in budgets:
        budgets[label, limits] = Budget(limits, price=price, label=label, spent=store.usage(label))
    return budgets[label, limits]
