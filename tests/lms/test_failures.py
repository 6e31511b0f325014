"""What errors of language models mean, however they are wrapped."""

from __future__ import annotations

import pytest
from dspy.utils.exceptions import (
    LMAuthError,
    LMError,
    LMServerError,
    LMStreamAssemblyError,
    LMTransportError,
    LMUnexpectedError,
    LMUnsupportedModelError,
)

from inpars_plus.foundation.errors import DeadModelError, NoReplyError, ReplyError
from inpars_plus.lms.failures import is_bad_reply, is_failed_call, lasting_failure, own_cause, to_raise


def _wrapped(inner: Exception, *around: Exception) -> Exception:
    for outer in around:
        outer.__cause__ = inner
        inner = outer
    return inner


def test_an_error_that_is_not_the_models_stays_itself() -> None:
    error = ZeroDivisionError()
    assert to_raise(error, model="m") is error


def test_our_own_error_is_found_in_whatever_it_is_wrapped() -> None:
    own = DeadModelError("gone")
    error = _wrapped(own, LMUnexpectedError("a"), LMUnexpectedError("b"))
    assert own_cause(error) is to_raise(error, model="m") is own


def test_a_ring_of_causes_has_an_end() -> None:
    error = LMTransportError("down")
    error.__cause__ = error
    assert own_cause(error) is None
    assert lasting_failure(error) is None


def test_a_refusal_is_a_lasting_failure_behind_a_reply_that_cannot_be_read_too() -> None:
    refusal = LMAuthError("bad key")
    error = _wrapped(refusal, ReplyError("no usable reply came back"))
    assert lasting_failure(error) is refusal
    assert is_bad_reply(error)


def test_what_an_engine_explained_as_a_reply_that_cannot_be_read_is_no_lasting_failure() -> None:
    error = _wrapped(ValueError("null"), LMUnexpectedError("no reply"), LMServerError("garbled"), ReplyError("garbled"))
    assert lasting_failure(error) is None
    assert is_bad_reply(error)


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (LMTransportError("down"), False),
        (LMServerError("busy"), False),
        (LMStreamAssemblyError("cut"), False),
        (_wrapped(TimeoutError(), LMUnexpectedError("late")), False),
        (_wrapped(ConnectionError(), LMUnexpectedError("down")), False),
        (_wrapped(ValueError("a bug"), LMUnexpectedError("a bug")), False),
        (LMAuthError("bad key"), True),
        (_wrapped(LMAuthError("bad key"), LMServerError("gateway")), True),
        (LMUnsupportedModelError("unknown"), True),
    ],
)
def test_a_failure_may_pass_or_lasts_and_is_never_both(error: LMError, lasting: bool) -> None:
    assert (lasting_failure(error) is not None) is lasting
    assert is_failed_call(error) is not lasting


def test_a_reply_that_did_not_come_is_a_failed_call_and_one_that_cannot_be_read_is_none() -> None:
    failed, garbled = _wrapped(LMServerError("busy"), NoReplyError("none")), ReplyError("garbled")
    assert (is_failed_call(failed), is_bad_reply(failed)) == (True, False)
    assert (is_failed_call(garbled), is_bad_reply(garbled)) == (False, True)


def test_a_call_that_may_pass_is_told_as_a_dead_model() -> None:
    told = to_raise(LMTransportError("down", model="openai/m"), model="m")
    assert isinstance(told, DeadModelError)
    assert told.place == "model 'openai/m'"
