"""What an error of a language model means: a call that may pass, a reply that cannot be read, or a model that is dead.

DSPy wraps what an engine raises, and adapters and engines wrap it again; what counts stands in the chain of causes.
"""

from __future__ import annotations

from collections.abc import Iterator

from dspy.lm15 import LM15Error
from dspy.utils.exceptions import (
    AdapterParseError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMUnsupportedModelError,
)

from inpars_plus.foundation.errors import DeadModelError, InParsError, NoReplyError, ReplyError

__all__ = ["dead_model", "is_bad_reply", "is_failed_call", "lasting_failure", "own_cause", "to_raise"]

_HOPELESS = (LMAuthError, LMBillingError, LMConfigurationError, LMUnsupportedModelError)
_LM_FAILURES = (LMError, LM15Error, TimeoutError, ConnectionError)


def own_cause(error: BaseException) -> InParsError | None:
    """The first of our own errors in the chain of causes: DSPy wraps what an engine raises."""
    return next((one for one in _chain(error) if isinstance(one, InParsError)), None)


def lasting_failure(error: BaseException) -> LMError | None:
    """What in the chain of causes no further call would mend.

    That is a refused key, an unpaid bill, a model that the server does not have, or a missing setting.
    """
    return next((one for one in _chain(error) if isinstance(one, _HOPELESS)), None)


def is_failed_call(error: BaseException) -> bool:
    """Whether the model failed in a way that may pass: no connection, a timeout, a server error, a rate limit.

    A fault of an engine counts as one too, because the next prompt may go well; whoever counts them gives up in time.
    No error is both this and a :func:`lasting_failure`.
    """
    own = own_cause(error)
    failed = isinstance(own, NoReplyError) or (own is None and isinstance(error, _LM_FAILURES))
    return failed and lasting_failure(error) is None


def is_bad_reply(error: BaseException) -> bool:
    """Whether the model answered something that cannot be read. That is data, not a failure."""
    own = own_cause(error)
    if own is None:
        return isinstance(error, AdapterParseError)
    return isinstance(own, ReplyError) and not isinstance(own, NoReplyError)


def to_raise(error: Exception, *, model: str, what: str = "did not answer") -> Exception:
    """What to tell the caller of an error that ends the run.

    Returns:
        Our own error if there is one in the chain of causes, a :class:`DeadModelError` for what DSPy raises about
        a model, and anything else as it is: it is a mistake in a program, a metric or a search engine.
    """
    own = own_cause(error)
    if own is not None:
        return own
    if not isinstance(error, (*_LM_FAILURES, AdapterParseError)):
        return error
    return dead_model(error, model=model, what=what)


def dead_model(error: Exception, *, model: str, what: str = "did not answer") -> DeadModelError:
    """The error of a model that is given up.

    Args:
        error: what DSPy or the engine raised.
        model: its name, where the error has none.
        what: the model did.
    """
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DeadModelError(
        f"the model {what} ({first_line[:300]})",
        place=f"model '{getattr(error, 'model', None) or model}'",
        remedy="Check that it is running and that its name, address and key are right, then run the same command "
        "again; finished calls are kept",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    seen: set[int] = set()
    # DSPy raises some errors from themselves: a chain of causes may be a ring.
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__
