"""A ``dspy.LM`` of one's own: one failed call is a missing reply, and only what lasts ends the work."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import dspy
import pytest
from dspy import lm15

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.lms import EngineLM
from inpars_plus.programs import PointwiseReranker, QueryGenerator
from inpars_plus.programs.foreign_models import _health_of

Make = Callable[..., tuple[EngineLM, Any]]

DOCUMENT = Document(id="1", text="The pump leaks after some weeks. A worn seal was the reason in most cases.")
QUERY = "why does my machine drip after some weeks"
GRADE = json.dumps({"judgment": {"grade": 2}})


def _chat(*queries: str) -> str:
    return f"[[ ## queries ## ]]\n{json.dumps([{'text': query} for query in queries])}\n\n[[ ## completed ## ]]"


def _own(server: Any) -> dspy.LM:
    return dspy.LM("openai/own", api_base=server.address, api_key="k", num_retries=0, cache=False)


def _foreign(engine: Any, **settings: Any) -> dspy.LM:
    return dspy.LM("chat/foreign", engine=engine, num_retries=0, cache=False, **settings)


def _ask(lm: dspy.LM, n: int = 1) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return QueryGenerator()(source=DOCUMENT, number_of_queries=n)


@pytest.mark.parametrize(
    ("fault", "reason"), [(500, "no_reply"), ("close", "no_reply"), ("garbage", "no_reply"), (400, "unreadable_reply")]
)
def test_queries_that_were_written_survive_a_call_that_fails(
    loopback: ModuleType, fault: int | str, reason: str
) -> None:
    with loopback.LoopbackServer(lambda text: _chat(QUERY), lambda number: fault if number else None) as server:
        found = _ask(_own(server), n=2)
    assert (found.queries, found.shortfall) == ([QUERY], 1)
    assert {candidate.reason for candidate in found.rejected} == {reason}


def test_one_failed_call_of_twenty_is_one_passage_without_a_grade(loopback: ModuleType) -> None:
    program, passages = PointwiseReranker(), [f"p {number}" for number in range(20)]
    with loopback.LoopbackServer(lambda text: GRADE, lambda number: 500 if number == 15 else None) as server:
        program.set_lm(_own(server))
        report = program(query="q", passages=passages, threads=2).report
    assert (report.calls, report.unreadable) == (20, 1)


@pytest.mark.parametrize("status", [401, 402])
def test_a_refusal_that_lasts_ends_the_work_even_of_a_model_that_has_answered(
    loopback: ModuleType, status: int
) -> None:
    with (
        loopback.LoopbackServer(lambda text: _chat(QUERY), lambda number: status if number else None) as server,
        pytest.raises(DeadModelError, match=r"model 'openai/own': the model cannot be asked"),
    ):
        _ask(_own(server), n=2)


def test_a_model_that_fails_twelve_calls_in_a_row_is_given_up_and_is_asked_again_later(chat_lm: Make) -> None:
    failing = [lm15.ServerError("busy")] * 12
    _, engine = chat_lm([GRADE, *failing, GRADE, lm15.ServerError("busy")])
    passages = [f"p {number}" for number in range(13)]
    with dspy.context(lm=_foreign(engine)):
        with pytest.raises(DeadModelError, match=r"did not answer \(.*busy"):
            PointwiseReranker()(query="q", passages=passages, threads=1)
        assert len(engine.prompts) == 13
        report = PointwiseReranker()(query="q", passages=passages[:2], threads=1).report
    assert (report.calls, report.unreadable) == (2, 1)


def test_a_model_that_has_never_answered_is_given_up_at_the_second_error_and_at_the_first_silence(
    loopback: ModuleType,
) -> None:
    with loopback.LoopbackServer(lambda text: GRADE, lambda number: 500) as server:
        lm = _own(server)
        assert [one.reason for one in _ask(lm).rejected] == ["no_reply"]
        with pytest.raises(DeadModelError, match=r"did not answer \(.*fault 500"):
            _ask(lm)
        assert server.requests == 2
    with loopback.LoopbackServer(lambda text: GRADE, lambda number: "close") as server:
        with pytest.raises(DeadModelError, match=r"did not answer"):
            _ask(_own(server))
        assert server.requests == 1


@pytest.mark.parametrize("failure", [lm15.TransportError("reset"), lm15.ServerError("busy")])
def test_a_first_failure_is_no_end_while_another_call_may_be_answered(chat_lm: Make, failure: Exception) -> None:
    begun = threading.Event()

    def reply(prompt: str) -> str:
        if "p 1" in prompt:
            begun.set()
            time.sleep(1)
            return GRADE
        begun.wait(20)
        raise failure

    _, engine = chat_lm(reply)
    with dspy.context(lm=_foreign(engine)):
        report = PointwiseReranker()(query="q", passages=["p 0", "p 1"], threads=2).report
    assert (report.calls, report.unreadable) == (2, 1)


def test_a_copy_of_a_model_that_has_answered_has_answered_too(chat_lm: Make) -> None:
    _, engine = chat_lm([_chat(QUERY), lm15.ServerError("busy")])
    lm = _foreign(engine)
    assert _ask(lm).queries == [QUERY]
    assert [one.reason for one in _ask(lm.copy(temperature=0.5)).rejected] == ["no_reply"]
    elsewhere = pickle.loads(pickle.dumps(_health_of(lm)))
    assert elsewhere.is_lost_after_failure(silent=True)  # another process does not know


def test_a_call_that_was_given_up_asks_nothing_more_of_a_model_of_ones_own(loopback: ModuleType) -> None:
    program, passages = PointwiseReranker(), [f"p {number}" for number in range(20)]
    with loopback.LoopbackServer(lambda text: (time.sleep(0.2), GRADE)[1]) as server:
        program.set_lm(_own(server))

        async def give_up() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(program.acall(query="q", passages=passages, threads=1), 1.0)

        asyncio.run(give_up())
        sent = server.requests
        time.sleep(1.5)
        assert server.requests <= sent + 1


def test_what_the_model_cannot_do_is_a_mistake_in_its_settings(chat_lm: Make) -> None:
    _, engine = chat_lm([lm15.UnsupportedFeatureError("no such setting")])
    with pytest.raises(ConfigurationError, match=r"chat/foreign: no such setting"):
        _ask(_foreign(engine))


@pytest.fixture(params=["ours", "foreign"])
def fussy(request: pytest.FixtureRequest, chat_lm: Make) -> Callable[..., tuple[dspy.LM, Any]]:
    """Makes a model whose second and later requests may be refused for their temperature."""

    def make(*replies: Any) -> tuple[dspy.LM, Any]:
        ours, engine = chat_lm(list(replies), temperature=None)
        return (ours if request.param == "ours" else _foreign(engine)), engine

    return make


def test_a_request_that_is_refused_for_its_temperature_is_sent_once_more_without_one(fussy: Any) -> None:
    refusal = lm15.InvalidRequestError("Unsupported value: 'temperature' does not support 0.7 with this model")
    lm, engine = fussy(_chat("pump"), _chat("seal"), refusal, _chat(QUERY))
    assert _ask(lm).queries == [QUERY]
    assert [temperature for temperature, _ in engine.sampled] == [None, None, 0.7, None]
    lm, engine = fussy(_chat("pump"), _chat("seal"), refusal, refusal)
    assert _ask(lm).rejected[-1].reason == "unreadable_reply"
    assert len(engine.prompts) == 4


def test_a_request_that_is_refused_for_something_else_is_not_sent_again(fussy: Any) -> None:
    lm, engine = fussy(_chat("pump"), _chat("seal"), lm15.InvalidRequestError("too many words"))
    assert _ask(lm).rejected[-1].reason == "unreadable_reply"
    assert len(engine.prompts) == 3
