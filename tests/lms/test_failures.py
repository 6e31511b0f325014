"""What errors of language models mean, however they are wrapped."""

from __future__ import annotations

import pytest
from dspy.utils.exceptions import LMAuthError, LMError, LMTransportError, LMUnexpectedError

from inpars_plus.foundation.errors import DeadModelError, ReplyError
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


@pytest.mark.parametrize("refusal", [LMAuthError("bad key"), LMUnexpectedError("engine broken")])
def test_a_lasting_failure_is_found_behind_a_reply_that_cannot_be_read(refusal: LMError) -> None:
    error = _wrapped(refusal, ReplyError("no usable reply came back"))
    assert lasting_failure(error) is refusal
    assert is_bad_reply(error)


def test_a_call_that_may_pass_is_a_failed_call_and_no_lasting_failure() -> None:
    assert is_failed_call(LMTransportError("down"))
    assert lasting_failure(LMTransportError("down")) is None
    assert not is_failed_call(LMAuthError("bad key"))
    told = to_raise(LMTransportError("down", model="openai/m"), model="m")
    assert isinstance(told, DeadModelError)
    assert told.place == "model 'openai/m'"
