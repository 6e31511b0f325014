"""Failed calls of models that count nothing themselves: a ``dspy.LM`` of one's own, or any other ``dspy.BaseLM``.

A model of this package (``load_lm``) says itself whether a failed call is a missing reply or its end. For other models
programs judge by the same rule:

- What no further call would mend (key, bill, unknown model) is the end of the model, at once.
- A refused request is a reply that cannot be read.
- What may pass (server error, time-out, no connection, rate limit) is a missing reply; but a model is given up that has
  failed twelve calls in a row, or has never answered while no other call is under way that it may answer yet: after one
  where it was silent, after two where it answered with errors, of which one alone may be of a request that it cannot
  serve. It is asked again whenever a program is called again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import dspy
from dspy.utils.exceptions import (
    LMError,
    LMInvalidRequestError,
    LMTimeoutError,
    LMTransportError,
    LMUnsupportedFeatureError,
)

from inpars_plus.foundation.errors import ConfigurationError, InParsError, ModelError, NoReplyError, ReplyError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.lms.engine import EngineLM, sentence
from inpars_plus.lms.failures import dead_model, lasting_failure
from inpars_plus.lms.life import GIVEN_UP

__all__ = ["failed_call", "is_foreign", "note_answer", "refuses_temperature", "under_way"]

_FAILURES_IN_A_ROW = 12
_SILENT = (LMTransportError, LMTimeoutError)


class _Health:
    """How a model does; many threads ask it, and copies of the model share it."""

    def __init__(self) -> None:
        self._answered = False
        self._failures = 0
        self._begin_anew()
        in_each_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0  # the threads that asked are not in a forked process

    def __deepcopy__(self, memo: object) -> _Health:
        return self

    def __reduce__(self) -> tuple[type[_Health], tuple[()]]:
        return _Health, ()  # another process finds out for itself

    def begin(self) -> None:
        with self._lock:
            self._under_way += 1

    def end(self) -> None:
        with self._lock:
            self._under_way -= 1

    def answer(self) -> None:
        with self._lock:
            self._answered, self._failures = True, 0

    def is_lost_after_failure(self, *, silent: bool) -> bool:
        with self._lock:
            self._failures += 1
            never = not self._answered and self._under_way <= 1 and (silent or self._failures > 1)
            return never or self._failures >= _FAILURES_IN_A_ROW


_ATTRIBUTE = "_inpars_plus_health"


def is_foreign(lm: dspy.BaseLM) -> bool:
    """Whether a model is none of this package, so that nobody counts its failures."""
    return not isinstance(lm, EngineLM)


@contextlib.contextmanager
def under_way(lm: dspy.BaseLM) -> Iterator[None]:
    """Around a call of a foreign model.

    Raises:
        ModelError: nobody waits for the reply any more.
    """
    if (given_up := GIVEN_UP.get()) is not None and given_up.is_set():
        raise ModelError("the call was given up", place=str(lm.model))
    health = _health_of(lm)
    health.begin()
    try:
        yield
    finally:
        health.end()


def note_answer(lm: dspy.BaseLM) -> None:
    """A foreign model has answered, whatever it said."""
    _health_of(lm).answer()


def failed_call(error: LMError, lm: dspy.BaseLM) -> InParsError:
    """The error of this project that stands for a failed call of a foreign model; it is counted.

    Args:
        error: what DSPy raised after its attempts, with none of our own errors behind it.
        lm: the model.
    """
    name = str(lm.model)
    lasting = lasting_failure(error)
    if lasting is not None:
        return dead_model(lasting, model=name, what="cannot be asked")
    if isinstance(error, LMInvalidRequestError):
        return ReplyError(f"the model refused the request ({sentence(error)})", place=name)
    if isinstance(error, LMUnsupportedFeatureError):
        return ConfigurationError(sentence(error), place=name)
    if _health_of(lm).is_lost_after_failure(silent=isinstance(error, _SILENT)):
        return dead_model(error, model=name)
    return NoReplyError(f"no usable reply came back ({sentence(error)})", place=name)


def refuses_temperature(error: BaseException) -> bool:
    """Whether a model refused a request for its temperature, as reasoning models do that take none but 1."""
    refusal = error if isinstance(error, LMInvalidRequestError) else error.__cause__
    return isinstance(refusal, LMInvalidRequestError) and "temperature" in str(refusal).lower()


def _health_of(lm: dspy.BaseLM) -> _Health:
    # Of the model, because DSPy copies one for each setting of a call. One step, so it needs no lock.
    health: _Health = vars(lm).setdefault(_ATTRIBUTE, _Health())
    return health
