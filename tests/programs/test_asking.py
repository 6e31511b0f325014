"""Asking for JSON: what could not be read is data, and a model that no further call would mend is an error."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import dspy
import pytest
from dspy import lm15

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms import load_lm
from inpars_plus.programs import DocumentAnalyst, PointwiseReranker, QueryExpander

Make = Callable[..., tuple[dspy.LM, Any]]

DOCUMENTS = [Document(id=str(number), text=f"How do I send form {number}?") for number in range(20)]
LABELS = {"domain": "software", "topics": ["forms"], "complexity": "advanced", "audience": "developers"}


@pytest.fixture(params=["ours", "foreign"])
def model(request: pytest.FixtureRequest, chat_lm: Make) -> Make:
    """Makes a model over an engine of this package, or one of DSPy's own over the same engine."""

    def make(replies: Any) -> tuple[dspy.LM, Any]:
        lm, engine = chat_lm(replies)
        foreign = request.param == "foreign"
        return (dspy.LM("chat/foreign", engine=engine, cache=False, num_retries=0) if foreign else lm), engine

    return make


def _routes(lm: dspy.LM) -> list[str | None]:
    with dspy.context(lm=lm):
        return [route.reason for route in DocumentAnalyst(["faq", "news"]).route(DOCUMENTS)]


@pytest.mark.parametrize("kind", [lm15.AuthError, lm15.BillingError, lm15.UnsupportedModelError])
def test_what_no_further_call_would_mend_ends_the_run_and_is_no_unreadable_reply(
    model: Make, kind: type[Exception]
) -> None:
    lm, _ = model([kind("no such luck")] * len(DOCUMENTS))
    with pytest.raises(DeadModelError, match=r"model 'chat/\w+': the model cannot be asked \(.*no such luck"):
        _routes(lm)


@pytest.mark.parametrize("kind", [ConnectionError, TimeoutError, ValueError])
def test_an_engine_that_breaks_off_is_told_as_a_model_that_did_not_answer(model: Make, kind: type[Exception]) -> None:
    lm, _ = model([kind("no such luck")] * len(DOCUMENTS))
    with pytest.raises(DeadModelError, match=r"model 'chat/\w+': the model did not answer \(.*no such luck"):
        _routes(lm)


@pytest.mark.parametrize("fault", ["null", "garbage", "half", "empty"])
def test_one_garbled_reply_of_a_server_is_one_reply_that_cannot_be_read(loopback: ModuleType, fault: str) -> None:
    def misbehave(number: int) -> str | None:
        return fault if number == 1 else None

    with loopback.LoopbackServer(lambda text: '{"judgment": {"grade": 2}}', misbehave) as server:
        lm = load_lm("openai/test", api_base=server.address, api_key="k", num_retries=0)
        with dspy.context(lm=lm):
            report = PointwiseReranker()(query="q", passages=["a", "b", "c", "d"]).report
    assert (report.calls, report.unreadable) == (4, 1)


def test_rerankers_and_expanders_end_with_the_model_too(model: Make) -> None:
    for program, inputs in (
        (PointwiseReranker(), {"query": "q", "passages": ["a", "b"]}),
        (QueryExpander(), {"query": "q"}),
    ):
        lm, _ = model([lm15.AuthError("bad key")] * 2)
        with dspy.context(lm=lm), pytest.raises(DeadModelError, match=r"bad key"):
            program(**inputs)


def test_a_request_longer_than_the_context_is_a_reply_that_cannot_be_read(model: Make) -> None:
    good = json.dumps({"analysis": {"doc_type": "faq", **LABELS}})
    lm, engine = model([lm15.ContextLengthError("too long"), *[good] * (len(DOCUMENTS) - 1)])
    reasons = _routes(lm)
    assert reasons.count("unreadable_analysis") == 1
    assert reasons.count(None) == len(engine.prompts) - 1 == len(DOCUMENTS) - 1


def test_a_failed_call_is_a_missing_reply_of_our_models_and_the_end_of_another_that_never_answered(
    chat_lm: Make,
) -> None:
    busy = [lm15.ServerError("busy")] * len(DOCUMENTS)
    assert set(_routes(chat_lm(busy)[0])) == {"no_analysis"}
    foreign = dspy.LM("chat/foreign", engine=chat_lm(busy)[1], cache=False, num_retries=0)
    with pytest.raises(DeadModelError, match=r"busy"):
        _routes(foreign)


def test_a_server_that_is_not_there_ends_the_run() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        lm = load_lm("openai/none", api_base=address, api_key="k", num_retries=0)
        with pytest.raises(DeadModelError, match=rf"{address} does not answer"):
            _routes(lm)


@pytest.mark.parametrize(("own", "sent"), [(None, None), (16, 64), (500, 500)])
def test_a_limit_is_raised_to_what_a_reply_needs_and_a_model_without_one_gets_none(
    loopback: ModuleType, own: int | None, sent: int | None
) -> None:
    with loopback.LoopbackServer(lambda text: '{"judgment": {"grade": 2}}') as server:
        lm = dspy.LM("openai/own", api_base=server.address, api_key="k", cache=False, max_tokens=own)
        with dspy.context(lm=lm):
            PointwiseReranker()(query="q", passages=["a", "b"])
    # DSPy sends either name as the newer one.
    assert [body.get("max_tokens", body.get("max_completion_tokens")) for body in server.bodies] == [sent, sent]


def test_the_limit_of_a_reasoning_model_which_has_another_name_is_left_as_it_is(loopback: ModuleType) -> None:
    with loopback.LoopbackServer(lambda text: '{"expansion": {"terms": ["a"], "rephrasings": []}}') as server:
        lm = dspy.LM("openai/gpt-5-mini", api_base=server.address, api_key="k", cache=False, max_tokens=16_000)
        with dspy.context(lm=lm):
            assert QueryExpander()(query="q").reason is None
    (body,) = server.bodies
    assert (body.get("max_tokens"), body.get("max_completion_tokens")) == (None, 16_000)
