"""Requests that fail and requests that are refused for what is in them are told apart."""

from __future__ import annotations

import itertools

import dspy
import pytest
from dspy.lm15 import ContextLengthError, InvalidRequestError, ServerError, UnsupportedModelError

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.prompts.request_watch import RequestWatch
from inpars_plus.programs import PointwiseReranker


def _unreadable(failure: Exception) -> int:
    """How many of four replies could not be read, where the second request ends with this error."""
    number = itertools.count(1)  # counts for all threads, each number once

    def reply(prompt: str) -> str:
        if next(number) == 2:
            raise failure
        return '{"judgment": {"grade": 2}}'

    lm, program = scripted_lm(reply, chat=True, num_retries=0), PointwiseReranker()
    watch = RequestWatch(model=str(lm.model))
    with watch.to_the_end(), dspy.context(lm=lm, callbacks=[watch]):
        found = watch.call(program, {"query": "q", "passages": ["a", "b", "c", "d"]})
    return int(found.report.unreadable)


@pytest.mark.parametrize("refusal", [ContextLengthError, InvalidRequestError])
def test_a_request_that_is_refused_for_what_is_in_it_is_a_reply_that_cannot_be_read(refusal: type[Exception]) -> None:
    assert _unreadable(refusal("not this prompt")) == 1


@pytest.mark.parametrize("failure", [ServerError, UnsupportedModelError, ConnectionError])
def test_a_request_that_failed_otherwise_ends_the_ranking(failure: type[Exception]) -> None:
    with pytest.raises(DeadModelError, match="no such luck"):
        _unreadable(failure("no such luck"))
