"""What every engine shares: replay, limits, counting, and errors in this project's own words.

An engine here is DSPy's sanctioned way to a model: an object with ``complete(Request) -> Response``. DSPy's own cache
stays off (``cache=False``); a :class:`~inpars_plus.lms.replies.ReplyStore` takes its place, because it is written
before a reply is used and lies in the run directory.

How draws travel. DSPy strips ``rollout_id`` before it builds the engine's request, and asks ``n`` times the same for
``n`` replies. :class:`EngineLM` therefore notes the rollout of the call in a context variable, and the engine reads it
as a :class:`Draw`: the rollout and the how-manieth candidate of the call. The draw is part of the reply's key and of
the seed of a local model, so draws are independent and come out again in the next run. At temperature 0 there is one
draw only.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events
from dspy.utils.exceptions import (
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMUnexpectedError,
    LMUnsupportedFeatureError,
)

from inpars_plus.foundation.errors import (
    ConfigurationError,
    DeadModelError,
    InParsError,
    ModelError,
    NoReplyError,
    ReplyError,
    RunError,
    SpendingCapError,
)
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.secrets import hide_secrets
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.lms.awaiting import AsyncEngine
from inpars_plus.lms.life import Life
from inpars_plus.lms.requests import request_fields

if TYPE_CHECKING:
    from inpars_plus.lms.limits import Budget
    from inpars_plus.lms.replies import ReplyStore

__all__ = ["Draw", "Engine", "EngineLM", "Reply", "failure_of", "sentence", "usage_of"]


@dataclass(frozen=True)
class Reply:
    """One finished generation.

    Attributes:
        text: what the model wrote, without the stop string.
        prompt_tokens: tokens of the rendered request.
        completion_tokens: tokens of the reply.
        finish_reason: ``length`` when the reply was cut at the most tokens allowed.
        cost_usd: in US dollars; ``None`` when the price is unknown or there is none.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: Literal["stop", "length"] = "stop"
    cost_usd: float | None = None


@dataclass(frozen=True)
class Draw:
    """Which of several replies to the same request is asked for.

    Attributes:
        rollout: DSPy's ``rollout_id``; ``None`` when none was given.
        candidate: 0 for the first reply of a call, 1 for the second of a call with ``n=2``, and so on.
    """

    rollout: int | None = None
    candidate: int = 0


@dataclass
class _Call:
    rollout: int | None
    finished: int = 0


_call: ContextVar[_Call | None] = ContextVar("inpars_plus_lm_call", default=None)


class Engine(ABC):
    """Base of the engines: a subclass generates, this class does what must not differ between models.

    Many threads call :meth:`complete` at once. Copies are the same object, because optimizers deep-copy programs, and
    their models with them, for every trial.

    Args:
        name: the model as it is named in DSPy.
        identity: what, beside the request, decides a reply: the name with a checkpoint's hash or a server's address.
        store: where finished replies are kept and found again.
        budget: what may be spent.

    Attributes:
        life: whether it may be asked.
    """

    supports_function_calling = False
    supports_reasoning = False
    supports_response_schema = False
    supported_params: frozenset[str] = frozenset({"temperature", "max_tokens", "stop", "top_p", "top_k"})
    prefers_completion = False
    """Whether the model does better with a plain completion prompt than with chat turns and field markers."""
    openings: tuple[str, ...] = ()
    """Beginnings of an answer that the model was tuned to go on from; programs give it one after the other."""
    tuned_for: str = ""
    """Digest of the compiled program that the model was tuned for."""

    def __init__(
        self, *, name: str, identity: str, store: ReplyStore | None = None, budget: Budget | None = None
    ) -> None:
        self.name = name
        self._identity = identity
        self._store = store
        self._budget = budget
        self._renew_locks()
        in_each_fork(self._renew_locks)
        self._usage = LmUsage()
        self._reused = 0
        self._reused_earlier = 0
        self._paid_keys: set[str] = set()
        self.life = Life(name)

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()

    @abstractmethod
    def _generate(self, request: Request, draw: Draw) -> Reply:
        """One attempt at one reply. May be called from many threads at once.

        Raises:
            DeadModelError: no call of this engine will work any more.
            lm15.LM15Error: this attempt failed; DSPy tries again where that can help.
        """

    def complete(self, request: Request) -> Response:
        """DSPy's engine contract: one request, one reply.

        Raises:
            DeadModelError: the model is given up.
            SpendingCapError: the next reply could cross a cap.
            RunError: the reply cannot be kept.
        """
        call = _call.get()
        draw = Draw() if call is None or request.config.temperature == 0 else Draw(call.rollout, call.finished)
        with self.life.call():
            reply = self._replayed(request, draw)
        if call is not None:
            call.finished += 1
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(reply.text),
            finish_reason=reply.finish_reason,
            usage=Usage(input_tokens=reply.prompt_tokens, output_tokens=reply.completion_tokens),
        )

    def stream(self, request: Request) -> Iterator[Any]:
        """The whole reply as a stream of one piece, for applications that stream."""
        events: Iterator[Any] = iter(response_to_events(self.complete(request)))
        return events

    def _replayed(self, request: Request, draw: Draw) -> Reply:
        if self._store is None:
            return self._paid(request, draw)
        key = digest(self._identity, request_fields(request), [draw.rollout, draw.candidate])
        # One thread asks, others with the same request wait for its reply instead of paying for their own.
        with self._store.asking(key):
            with self._using(self._store):
                stored = self._store.get(key)
            if stored is not None:
                with self._lock:
                    self._reused += 1
                    self._reused_earlier += key not in self._paid_keys
                return stored
            reply = self._paid(request, draw)
            with self._using(self._store):
                self._store.put(key, self.name, reply)
            with self._lock:
                self._paid_keys.add(key)
            return reply

    @contextlib.contextmanager
    def _using(self, store: ReplyStore) -> Iterator[None]:
        """Around a look into the store: where the work has ended and closed it, that is the reason."""
        try:
            yield
        except RunError:
            if store.closed:
                self.life.wait(0.0)
            raise

    def _paid(self, request: Request, draw: Draw) -> Reply:
        self.life.check()
        try:
            if self._budget is None:
                return self._counted(request, draw)
            with self._budget.spending(request, wait=self.life.wait) as spend:
                reply = self._counted(request, draw)
                spend(reply)
                return reply
        except SpendingCapError as problem:
            self.life.give_up(problem)
            raise

    def _counted(self, request: Request, draw: Draw) -> Reply:
        with self.life.request():
            started = time.perf_counter()
            try:
                reply = self._generate(request, draw)
            except DeadModelError as problem:
                self.life.give_up(problem)
                raise
            seconds = time.perf_counter() - started
        with self._lock:
            self._usage += LmUsage(
                calls=1,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                cost_usd=reply.cost_usd,
                seconds=seconds,
            )
        return reply

    def explain(self, problem: LMError, started: float) -> Exception:
        """The error of this project that stands for a failed call, after DSPy's attempts are used up.

        Args:
            problem: what DSPy raised.
            started: when the call began, on ``time.monotonic()``.
        """
        del started
        if isinstance(problem.__cause__, InParsError):
            return problem.__cause__
        if isinstance(problem, LMInvalidRequestError):
            return ReplyError(f"the model refused the request ({sentence(problem)})", place=self.name)
        if isinstance(problem, LMUnsupportedFeatureError | LMConfigurationError):
            return ConfigurationError(sentence(problem), place=self.name)
        if isinstance(problem, LMUnexpectedError) and problem.__cause__ is not None:
            own_error: Exception = problem  # an error in the engine itself: its traceback says more than a sentence
            return own_error
        return NoReplyError(f"no usable reply came back ({sentence(problem)})", place=self.name)

    @property
    def usage(self) -> LmUsage:
        """What the calls of this engine came to; replayed replies are not in it."""
        with self._lock:
            return self._usage

    @property
    def reused(self) -> int:
        """Replies that came from the store instead of the model."""
        with self._lock:
            return self._reused

    @property
    def reused_earlier(self) -> int:
        """Of these, replies that this engine did not pay for itself, such as those of an earlier process."""
        with self._lock:
            return self._reused_earlier

    @property
    def failure(self) -> ModelError | None:
        """Why the engine was given up; ``None`` while it works, and once it is tried again."""
        return self.life.failure

    def __copy__(self) -> Engine:
        return self

    def __deepcopy__(self, memo: object) -> Engine:
        return self

    def __reduce__(self) -> NoReturn:
        """An engine has locks and perhaps a key, and is of its process.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            "a language model cannot be pickled, and so neither can a program that has one",
            place=self.name,
            remedy="Make the model with load_lm in the other process, and give it to the program there; "
            "program.set_lm(None) takes it out here",
        )


class EngineLM(dspy.LM):
    """A ``dspy.LM`` over an :class:`Engine`: it notes the draw, and raises this project's errors.

    Args:
        engine: serves the calls.
        settings: what ``dspy.LM`` takes, such as ``temperature`` and ``max_tokens``.

    Raises:
        ConfigurationError: DSPy's own cache is asked for.
    """

    def __init__(self, engine: Engine, **settings: Any) -> None:
        if settings.pop("cache", False):
            raise ConfigurationError(
                "DSPy's own cache is not used here",
                place="cache",
                remedy="Leave it out; replies are kept with store=ReplyStore(path)",
            )
        super().__init__(engine.name, engine=engine, async_engine=AsyncEngine(engine), cache=False, **settings)
        # DSPy gives this setting another name for some models, and then refuses a call that says it by its usual one.
        if "max_completion_tokens" in self.kwargs:
            self.kwargs["max_tokens"] = self.kwargs.pop("max_completion_tokens")

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As ``dspy.LM``.

        Raises:
            ReplyError: this request got no usable reply; others may.
            DeadModelError: the model is given up.
            SpendingCapError: the cap is reached.
            ConfigurationError: the model cannot do what was asked.
        """
        with self._call(kwargs):
            return super().__call__(prompt, messages=messages, **kwargs)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As :meth:`__call__`, awaited."""
        with self._call(kwargs):
            return await super().acall(prompt, messages=messages, **kwargs)

    @contextlib.contextmanager
    def _call(self, kwargs: dict[str, Any]) -> Iterator[None]:
        token = _call.set(_Call(kwargs.get("rollout_id", self.kwargs.get("rollout_id"))))
        started = time.monotonic()
        try:
            yield
        except LMError as problem:
            explained = self.engine.explain(problem, started)
            if explained is problem:
                raise
            raise explained from problem
        finally:
            _call.reset(token)


def usage_of(lm: dspy.LM) -> LmUsage:
    """What a model's calls came to: counted in its engine, so copies of the LM and threads count together.

    Raises:
        ConfigurationError: the LM has no engine of this project.
    """
    return _engine_of(lm).usage


def failure_of(lm: dspy.LM) -> ModelError | None:
    """Why a model was given up, or ``None``. Optimizers swallow errors; this remembers them.

    Raises:
        ConfigurationError: the LM has no engine of this project.
    """
    return _engine_of(lm).failure


def _engine_of(lm: dspy.LM) -> Engine:
    engine = getattr(lm, "engine", None)
    if not isinstance(engine, Engine):
        raise ConfigurationError(
            f"the language model '{getattr(lm, 'model', lm)}' does not count its calls",
            remedy="Make it with inpars_plus.lms.load_lm",
        )
    return engine


def sentence(problem: Exception) -> str:
    """The first sentence of an error's message, printable, without secrets and without a full stop."""
    message = str(getattr(problem, "message", "") or problem).strip() or type(problem).__name__
    message = re.split(r"[.;] |\n", message, maxsplit=1)[0].rstrip(".")
    return str(hide_secrets("".join(character if character.isprintable() else " " for character in message)))[:200]
