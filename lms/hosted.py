"""Models behind a network: any LiteLLM id, and any server that speaks OpenAI's protocol.

DSPy's own client makes the request; this engine adds what a run must know: where documents go, what was spent, and
when a server is not worth asking any more. The policy, after DSPy's attempts for a call are used up:

- The server refuses for good (key, bill, unknown model): the model is dead at once.
- It did not answer (no connection, a time-out), and answered nobody else since the call began: dead.
- It gets too many requests (429): all threads wait, as long as it asks for, and one at a time tries again; after two
  and a half minutes without an answer it is dead.
- It answers with errors (``NoReplyError``) or garbage (``ReplyError``): this reply is missing, which is data; after
  twelve such calls or twelve garbled answers in a row the model is dead. One that has never answered usably, in this
  run or one whose replies are kept, is dead after errors at two different requests, where no other is with it that it
  may answer yet: one alone may be what it cannot serve.

What may pass is forgotten after a while (``HOLD_SECONDS``), so that a long-lived application recovers with its server.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dspy
from dspy.lm15 import Request, Response, ServerError
from dspy.lm15 import TimeoutError as EngineTimeoutError
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMNotConfiguredError,
    LMProviderError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnexpectedError,
    LMUnsupportedModelError,
)

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ModelError, ReplyError
from inpars_plus.foundation.progress import say
from inpars_plus.foundation.secrets import hide_userinfo, register_address, register_secret
from inpars_plus.lms.backoff import PATIENCE_SECONDS, Backoff
from inpars_plus.lms.engine import Draw, Engine, EngineLM, Reply, sentence
from inpars_plus.lms.limits import Budget, Price, SpendingLimits, budget_of
from inpars_plus.lms.providers import has_provider, price_of
from inpars_plus.lms.requests import request_text

if TYPE_CHECKING:
    from inpars_plus.lms.replies import ReplyStore

__all__ = ["EMPTY_AND_CUT", "HostedEngine", "hosted_lm", "server_address"]

EMPTY_AND_CUT = "the reply is empty and was cut"
"""Begins the message of a reply of which nothing but thinking fitted into the tokens allowed."""

_REPLY_TOKENS = 1024
_THINKING_TOKENS = 16_000
_TIMEOUT_SECONDS = 60.0
_ATTEMPTS_AFTER_THE_FIRST = 3
_FAILURES_IN_A_ROW = 12
_CHARACTERS_A_TOKEN = 4
_LONGEST_RETRY_AFTER = 60.0
_OPENAI = "openai/"
_NO_KEY = "none"
"""Sent to a server of one's own where no key is set: most look at none, and DSPy sends nothing without one."""

_NAMES = (
    "Name one of: embedded, gguf:PATH, the directory of a tuned generator, or provider/model as LiteLLM writes it, "
    "such as openai/gpt-4o-mini"
)

_FINAL = (LMAuthError, LMBillingError, LMUnsupportedModelError, LMNotConfiguredError)
_SILENT = (LMTransportError, LMTimeoutError)
_FAILED = (LMServerError, LMRateLimitError)


class _GarbledError(ServerError):
    """An answer that is none of the protocol, as DSPy tries it again."""


class HostedEngine(Engine):
    """A hosted model behind DSPy's engine contract.

    Args:
        name: the LiteLLM id.
        api_base: the server's address; without one, the provider's own.
        api_key: the key; without one, the provider's environment variable. It is kept in memory only.
        timeout: seconds to wait for the server at each step.
        patience: seconds for which too many requests are waited out.
        price: of a token, where it is known.
        store: where finished replies are kept and found again.
        budget: what may be spent.
    """

    def __init__(
        self,
        *,
        name: str,
        api_base: str | None = None,
        api_key: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        price: Price | None = None,
        store: ReplyStore | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(name=name, identity=f"{name}|{_address(name, api_base) or ''}", store=store, budget=budget)
        register_secret(api_key)
        register_address(_address(name, api_base))
        client: dict[str, Any] = {"api_base": api_base, "api_key": api_key, "timeout": timeout}
        self._inner = dspy.LM(
            name, cache=False, num_retries=0, **{key: value for key, value in client.items() if value is not None}
        )
        self._price = price
        self.thinks = "max_completion_tokens" in self._inner.kwargs
        """Whether it is one of OpenAI's reasoning models, by DSPy's own rule: they think within the tokens of a reply,
        and take no temperature but 1."""
        self.host = _host(name, api_base)
        self._patience = patience
        self._backoff = Backoff(wait=self.life.wait, patience=patience)
        self._announced = False
        self._answers = 0
        self._answered_earlier = store is not None and store.holds(name)
        self._last_answer = float("-inf")
        self._failed: set[int] = set()
        self._failures_in_a_row = 0
        self._garbled = 0

    def _renew_locks(self) -> None:
        super()._renew_locks()
        self._health = threading.Lock()

    @property
    def supports_response_schema(self) -> bool:  # type: ignore[override]
        """As DSPy knows the model."""
        return bool(self._inner.supports_response_schema)

    @property
    def supports_function_calling(self) -> bool:  # type: ignore[override]
        """As DSPy knows the model."""
        return bool(self._inner.supports_function_calling)

    @property
    def supports_reasoning(self) -> bool:  # type: ignore[override]
        """As DSPy knows the model."""
        return bool(self._inner.supports_reasoning)

    @property
    def supported_params(self) -> frozenset[str]:  # type: ignore[override]
        """As DSPy knows the model."""
        return frozenset(self._inner.supported_params)

    @property
    def garbled(self) -> int:
        """Answers of the server that were no answer of the protocol."""
        with self._health:
            return self._garbled

    def complete(self, request: Request) -> Response:
        """As :meth:`Engine.complete`; a temperature that the model would refuse is left to it.

        Raises:
            ReplyError: nothing but thinking fitted into the tokens allowed.
        """
        if self.thinks and request.config.temperature not in (None, 1.0):
            # Before the reply's key is made, which holds what is sent.
            request = replace(request, config=replace(request.config, temperature=None))
        response = super().complete(request)
        if response.finish_reason == "length" and not (response.text or "").strip():
            raise ReplyError(
                f"{EMPTY_AND_CUT} at {request.config.max_tokens or 0:,} tokens",
                place=self.name,
                remedy="A model that thinks before it writes needs room for both",
            )
        return response

    def _generate(self, request: Request, draw: Draw) -> Reply:
        del draw  # a server draws anew each time
        self._announce()
        try:
            response = self._backoff.run(lambda: self._sent(request), self._next_turn)
        except LMError as problem:
            if isinstance(problem, LMRateLimitError) and self._patience:
                raise self._dead(f"{self.host} takes no more requests ({sentence(problem)})", problem) from problem
            if isinstance(problem, _FAILED):
                with self._health:
                    if self._answers == 0 and self.life.failure is None:
                        self._failed.add(hash(request_text(request)))
            raise self._noted(problem) from problem
        with self._health:
            self._answers += 1
            self._last_answer = time.monotonic()
            self._failures_in_a_row = 0
        return self._reply(request, response)

    def _sent(self, request: Request) -> Response:
        # The inner LM only carries the request: history, usage and callbacks belong to the LM around it.
        with dspy.context(disable_history=True, usage_tracker=None, callbacks=[], send_stream=None):
            response: Response = self._inner(request)
        return response

    def _next_turn(self) -> None:
        self.life.wait(0.0)  # raises where nobody waits for the reply any more
        if self._budget is not None:
            self._budget.take_turn(self.life.wait)

    def _reply(self, request: Request, response: Response) -> Reply:
        text = response.text or ""
        sent, received = response.usage.input_tokens, response.usage.output_tokens
        # A server that reports no usage must not look free.
        prompt_tokens = len(request_text(request)) // _CHARACTERS_A_TOKEN if sent is None else sent
        completion_tokens = len(text) // _CHARACTERS_A_TOKEN if received is None else received
        return Reply(
            text=text,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            finish_reason="length" if response.finish_reason == "length" else "stop",
            cost_usd=self._price.of(prompt_tokens, completion_tokens) if self._price else None,
        )

    def _noted(self, problem: LMError) -> Exception:
        """The error that DSPy should see: what a second attempt can mend becomes one that it retries."""
        refused = isinstance(problem, (LMInvalidRequestError, LMConfigurationError, *_FINAL))
        garbled = not refused and (
            isinstance(problem, LMUnexpectedError)
            or type(problem) is LMProviderError
            or (isinstance(problem, LMServerError) and problem.status is not None and problem.status < 500)
        )
        with self._health:
            if self.life.failure is None:  # what comes in later is of the time before
                self._failures_in_a_row += garbled
            self._garbled += garbled
        if problem.retry_after is not None:  # DSPy would sleep for an hour if it was told to
            problem.retry_after = min(problem.retry_after, _LONGEST_RETRY_AFTER)
        noted: Exception = problem
        if isinstance(problem.__cause__, TimeoutError):
            noted = EngineTimeoutError(f"{self.host} did not answer in time")
        elif garbled:
            noted = _GarbledError(f"{self.host} answered with something that is no reply ({sentence(problem)})")
        return noted

    def explain(self, problem: LMError, started: float) -> Exception:
        """The error of a failed call; see the policy above."""
        dead = None
        garbled = isinstance(problem.__cause__, _GarbledError)
        failed = isinstance(problem, _FAILED)
        with self._health:
            # A call counts once: the attempts at a few documents that a server cannot serve are not yet its end.
            self._failures_in_a_row += failed and not garbled
            silent = self._last_answer < started
            hopeless = self._failures_in_a_row >= _FAILURES_IN_A_ROW
            never = self._answers == 0 and self._garbled == 0 and not self._answered_earlier
            never = never and len(self._failed) > 1 and not self.life.under_way
            # Another thread may have given it up just now, and forgotten what failed.
            gone = hopeless or never or self.life.failure is not None
        if _is_final(problem):
            dead = f"{self.host} refuses the model '{self.name}' ({sentence(problem)})"
        elif isinstance(problem, _SILENT) and silent:
            dead = f"{self.host} does not answer ({sentence(problem)})"
        elif failed and gone:
            dead = f"{self.host} answers, but not usably ({sentence(problem)})"
        if dead is None and garbled:
            return ReplyError(f"no usable reply came back ({sentence(problem)})", place=self.name)
        return super().explain(problem, started) if dead is None else self._dead(dead, problem)

    def _dead(self, what: str, problem: LMError) -> ModelError:
        key = "the key in OPENAI_API_KEY" if self.name.startswith(_OPENAI) else "the key"
        remedy = f"Check the address, {key} and the model's name"
        if keys := getattr(problem, "env_keys", ()):
            remedy = f"Set {' or '.join(keys)}"
        elif isinstance(problem, LMRateLimitError):
            remedy = "Ask more slowly, with --requests-per-minute or fewer --threads"
        given_up = self.life.give_up(
            DeadModelError(what, place=self.name, remedy=f"{remedy}; finished work is kept"),
            may_pass=not _is_final(problem),
        )
        with self._health:
            # When it is asked again, one request alone may again be what it cannot serve.
            self._failed.clear()
            self._failures_in_a_row = 0
        return given_up

    def _announce(self) -> None:
        with self._health:
            first, self._announced = not self._announced, True
        if first:
            say(f"From here on the text of documents goes to {self.host} (model {self.name}).")


def hosted_lm(
    name: str,
    *,
    limits: SpendingLimits | None = None,
    store: ReplyStore | None = None,
    api_base: str | None = None,
    api_key: str | None = None,
    timeout: float = _TIMEOUT_SECONDS,
    patience: float | None = None,
    num_retries: int = _ATTEMPTS_AFTER_THE_FIRST,
    temperature: float | None = None,
    max_tokens: int | None = None,
    **settings: Any,
) -> EngineLM:
    """The language model of a LiteLLM id. Nobody is called before its first call.

    OpenAI's reasoning models have 16,000 tokens for thinking and reply, where nothing else is said, and no less. They
    take no temperature but 1, so that 0 is left out here, and what a call asks for is left out there.

    Raises:
        MissingPartError: LiteLLM is not installed.
        ConfigurationError: the name or a setting is wrong, or a cap in currency has no known price.
    """
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise ConfigurationError(f"'{name}' names no language model", remedy=_NAMES)
    if _address(name, api_base) is None and not has_provider(name):
        raise ConfigurationError(
            f"'{name}' is no directory with a model, and there is no provider '{provider}'", remedy=_NAMES
        )
    if patience is None:
        patience = PATIENCE_SECONDS if num_retries else 0.0
    if not patience >= 0:
        raise ConfigurationError(
            f"a model cannot be waited for {patience:g} seconds", place="patience", remedy="Give 0 or more"
        )
    price = price_of(name)
    if api_key is None and name.startswith(_OPENAI) and _address(name, api_base):
        api_key = os.environ.get("OPENAI_API_KEY") or _NO_KEY
    try:
        # As the engine does, but before the budget is made: replies are kept under the name without its secrets.
        register_secret(api_key)
        register_address(_address(name, api_base))
        engine = HostedEngine(
            name=name,
            api_base=api_base,
            api_key=api_key,
            timeout=timeout,
            patience=patience,
            price=price,
            store=store,
            budget=budget_of(limits, price=price, label=name, store=store),
        )
        if engine.thinks:
            temperature = temperature or None
            if max_tokens is not None and max_tokens < _THINKING_TOKENS:
                raise ConfigurationError(
                    f"'{name}' thinks before it writes, and {max_tokens:,} tokens are too few for a reply with that",
                    remedy=f"Allow {_THINKING_TOKENS:,} or more, or leave it out",
                )
        tokens = max_tokens or (_THINKING_TOKENS if engine.thinks else _REPLY_TOKENS)
        return EngineLM(engine, num_retries=num_retries, temperature=temperature, max_tokens=tokens, **settings)
    except (LMError, TypeError, ValueError) as problem:
        raise ConfigurationError(f"the language model '{name}' cannot be set up ({sentence(problem)})") from problem


def _is_final(problem: LMError) -> bool:
    return isinstance(problem, _FINAL) or problem.status == 404


def _host(name: str, api_base: str | None) -> str:
    return hide_userinfo(_address(name, api_base) or "") or f"the provider '{name.partition('/')[0]}'"


def server_address(name: str, api_base: str | None) -> str | None:
    """Where a hosted model is asked, without user and password; ``None`` for the provider's own address.

    Args:
        name: the LiteLLM id.
        api_base: the address that was given; without one, that of the environment.
    """
    address = _address(name, api_base)
    user, at, _ = (urlsplit(address).netloc if address else "").rpartition("@")
    return address.replace(user + at, "", 1) if address and at else address


def _address(name: str, api_base: str | None) -> str | None:
    prefix = name.partition("/")[0].upper()
    variables = [f"{prefix}_API_BASE", f"{prefix}_BASE_URL"]
    if prefix == "OPENAI":  # where both are set, LiteLLM takes the newer one
        variables.reverse()
    return api_base or next(filter(None, map(os.environ.get, variables)), None)
