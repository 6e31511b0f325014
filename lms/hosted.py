"""Models behind a network: any LiteLLM id, and any server that speaks OpenAI's protocol.

DSPy's own client makes the request; this engine adds what a run must know: where documents go, what was spent, and
when a server is not worth asking any more. The policy, after DSPy's attempts for a call are used up:

- The server refuses for good (key, bill, unknown model): the model is dead at once.
- It did not answer (no connection, a time-out), and answered nobody else since the call began: dead.
- It answers with errors or garbage: this reply is missing, which is data (``ReplyError``); after twelve failures in
  a row, or when it has never answered usably, the model is dead.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dspy
from dspy.lm15 import Request, Response, ServerError, registered_providers
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

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ReplyError
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.progress import say
from inpars_plus.foundation.secrets import register_secret
from inpars_plus.lms.engine import Draw, Engine, EngineLM, Reply, sentence
from inpars_plus.lms.limits import Budget, Price, SpendingLimits
from inpars_plus.lms.requests import request_text

if TYPE_CHECKING:
    from inpars_plus.lms.replies import ReplyStore

__all__ = ["EMPTY_AND_CUT", "HostedEngine", "hosted_lm"]

EMPTY_AND_CUT = "the reply is empty and was cut"
"""Begins the message of a reply of which nothing but thinking fitted into the tokens allowed."""

_REPLY_TOKENS = 1024
_THINKING_TOKENS = 16_000
_TIMEOUT_SECONDS = 60.0
_ATTEMPTS_AFTER_THE_FIRST = 3
_FAILURES_IN_A_ROW = 12
_CHARACTERS_A_TOKEN = 4

_NAMES = (
    "Name one of: embedded, gguf:PATH, the directory of a tuned generator, or provider/model as LiteLLM writes it, "
    "such as openai/gpt-4o-mini"
)

_FINAL = (LMAuthError, LMBillingError, LMUnsupportedModelError, LMNotConfiguredError)
_SILENT = (LMTransportError, LMTimeoutError)


class HostedEngine(Engine):
    """A hosted model behind DSPy's engine contract.

    Args:
        name: the LiteLLM id.
        api_base: the server's address; without one, the provider's own.
        api_key: the key; without one, the provider's environment variable. It is kept in memory only.
        timeout: seconds to wait for the server at each step.
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
        price: Price | None = None,
        store: ReplyStore | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(name=name, identity=f"{name}|{api_base or ''}", store=store, budget=budget)
        register_secret(api_key)
        client: dict[str, Any] = {"api_base": api_base, "api_key": api_key, "timeout": timeout}
        self._inner = dspy.LM(
            name, cache=False, num_retries=0, **{key: value for key, value in client.items() if value is not None}
        )
        self._price = price
        self.thinks = "max_completion_tokens" in self._inner.kwargs
        """Whether it is one of OpenAI's reasoning models, by DSPy's own rule: they think within the tokens of a reply,
        and take no temperature but 1."""
        self.host = _host(name, api_base)
        self._announced = False
        self._health = threading.Lock()
        self._answers = 0
        self._last_answer = float("-inf")
        self._failures_in_a_row = 0
        self._garbled = 0

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
            # The inner LM only carries the request: history, usage and callbacks belong to the LM around it.
            with dspy.context(disable_history=True, usage_tracker=None, callbacks=[], send_stream=None):
                response: Response = self._inner(request)
        except LMError as problem:
            raise self._noted(problem) from problem
        with self._health:
            self._answers += 1
            self._last_answer = time.monotonic()
            self._failures_in_a_row = 0
        return self._reply(request, response)

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
            if not refused:
                self._failures_in_a_row += 1
            self._garbled += garbled
        noted: Exception = problem
        if isinstance(problem.__cause__, TimeoutError):
            noted = EngineTimeoutError(f"{self.host} did not answer in time")
        elif garbled:
            noted = ServerError(f"{self.host} answered with something that is no reply ({sentence(problem)})")
        return noted

    def explain(self, problem: LMError, started: float) -> Exception:
        """The error of a failed call; see the policy above."""
        dead = None
        with self._health:
            silent = self._last_answer < started
            hopeless = self._failures_in_a_row >= _FAILURES_IN_A_ROW
            never = self._answers == 0 and self._garbled == 0
        if isinstance(problem, _FINAL) or getattr(problem, "status", None) == 404:
            dead = f"{self.host} refuses the model '{self.name}' ({sentence(problem)})"
        elif isinstance(problem, _SILENT) and silent:
            dead = f"{self.host} does not answer ({sentence(problem)})"
        elif isinstance(problem, LMServerError | LMRateLimitError) and (hopeless or never):
            dead = f"{self.host} answers, but not usably ({sentence(problem)})"
        if dead is None:
            return super().explain(problem, started)
        self.give_up(
            DeadModelError(
                dead, place=self.name, remedy="Check the address, the key and the model's name; finished work is kept"
            )
        )
        assert self.failure is not None
        return self.failure

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
    if _address(name, api_base) is None and not _has_provider(name):
        raise ConfigurationError(
            f"'{name}' is no directory with a model, and there is no provider '{provider}'", remedy=_NAMES
        )
    price = _price(name)
    budget = Budget(limits, price=price, label=name) if limits is not None else None
    try:
        engine = HostedEngine(
            name=name, api_base=api_base, api_key=api_key, timeout=timeout, price=price, store=store, budget=budget
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


def _price(name: str) -> Price | None:
    litellm = _litellm()
    with contextlib.suppress(Exception):  # LiteLLM has no common base of what it raises for an unknown model
        known = litellm.get_model_info(name)
        prompt, completion = known.get("input_cost_per_token"), known.get("output_cost_per_token")
        if prompt is not None and completion is not None:
            return Price(float(prompt), float(completion))
    return None


def _has_provider(name: str) -> bool:
    """Whether DSPy or LiteLLM knows who serves a model; a path that was mistyped has nobody."""
    litellm, prefix = _litellm(), name.partition("/")[0]
    listed = {str(getattr(one, "value", one)) for one in litellm.provider_list}
    if prefix in listed or prefix in {one.id for one in registered_providers()}:
        return True
    talks, litellm.suppress_debug_info = litellm.suppress_debug_info, True  # or it prints where to read of providers
    try:
        litellm.get_llm_provider(name)
    except Exception:  # of no common kind
        return False
    finally:
        litellm.suppress_debug_info = talks
    return True


def _litellm() -> Any:
    # Without this, LiteLLM fetches a list of prices from the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
    return require("litellm", install="pip install litellm", purpose="Calling a hosted language model")


def _host(name: str, api_base: str | None) -> str:
    return _address(name, api_base) or f"the provider '{name.partition('/')[0]}'"


def _address(name: str, api_base: str | None) -> str | None:
    prefix = name.partition("/")[0].upper()
    return api_base or os.environ.get(f"{prefix}_API_BASE") or os.environ.get(f"{prefix}_BASE_URL")
