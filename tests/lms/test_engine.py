from __future__ import annotations

import asyncio
import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dspy
import pytest
from dspy.lm15 import Message, Request, ServerError

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ReplyError
from inpars_plus.lms import Draw, Engine, EngineLM, Reply, ReplyStore, failure_of, scripted_lm, usage_of


class Drawing(Engine):
    """Replies with the draw that it was asked for."""

    def __init__(self, **settings: object) -> None:
        super().__init__(name="drawing", identity="drawing", **settings)  # type: ignore[arg-type]

    def _generate(self, request: Request, draw: Draw) -> Reply:
        return Reply(text=f"{draw.rollout}/{draw.candidate}", prompt_tokens=1, completion_tokens=1)


def test_a_rollout_reaches_the_engine_from_the_call_from_the_lm_and_from_a_copy() -> None:
    lm = EngineLM(Drawing(), temperature=0.7)
    assert lm("x") == ["None/0"]
    assert lm("x", rollout_id=3) == ["3/0"]
    assert lm.copy(rollout_id=4)("x") == ["4/0"]
    assert copy.deepcopy(lm.copy(rollout_id=5))("x") == ["5/0"]


def test_several_replies_of_one_call_are_several_draws() -> None:
    assert EngineLM(Drawing(), temperature=0.7)("x", n=3, rollout_id=1) == ["1/0", "1/1", "1/2"]


def test_at_temperature_zero_there_is_one_draw() -> None:
    with pytest.warns(UserWarning, match="rollout_id has no effect"):
        assert EngineLM(Drawing(), temperature=0.0)("x", n=2, rollout_id=7) == ["None/0", "None/0"]


def test_a_rollout_reaches_the_engine_through_a_predictor(write_query: type[dspy.Signature]) -> None:
    lm = EngineLM(Drawing(), temperature=0.7)
    with dspy.context(lm=lm):
        predict = dspy.Predict(write_query)
        with pytest.raises(dspy.utils.exceptions.AdapterParseError, match="9/0"):
            predict(document="d", key_terms=["k"], config={"rollout_id": 9})


def test_draws_of_threads_do_not_mix() -> None:
    lm = EngineLM(Drawing(), temperature=0.7)
    with ThreadPoolExecutor(32) as threads:
        assert list(threads.map(lambda i: lm("x", rollout_id=i)[0], range(500))) == [f"{i}/0" for i in range(500)]


def test_usage_is_counted_in_the_engine_whichever_copy_and_thread_asks() -> None:
    lm = scripted_lm(lambda prompt: "two words")
    copies = [copy.deepcopy(lm), lm.copy(temperature=0.5), lm]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda i: copies[i % 3]("three words here"), range(300)))
    usage = usage_of(lm)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost_usd) == (300, 900, 600, None)
    assert usage_of(copies[0]) == usage


def test_seconds_add_up_over_calls_that_run_side_by_side() -> None:
    lm = scripted_lm(lambda prompt: "x", seconds=0.1)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: lm("x"), range(8)))
    assert usage_of(lm).seconds > 0.7


def test_a_kept_reply_is_used_again_and_counted_apart(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "replies.sqlite")
    first = scripted_lm(lambda prompt: f"reply to {prompt}", store=store)
    again = scripted_lm([], store=store)
    assert first("a") == again("a") == ["reply to a"]
    assert (usage_of(again).calls, again.engine.reused, again.engine.reused_earlier) == (0, 1, 1)
    assert first("a") == ["reply to a"]
    assert (first.engine.reused, first.engine.reused_earlier) == (1, 0)


def test_temperature_stop_and_rollout_tell_kept_replies_apart(tmp_path: Path) -> None:
    lm = EngineLM(Drawing(store=ReplyStore(tmp_path / "r.sqlite")), temperature=0.5)
    assert lm("x", rollout_id=1) != lm("x", rollout_id=2)
    lm("x", rollout_id=1, stop=["\n"])
    lm("x", rollout_id=1, temperature=0.6)
    lm("x", rollout_id=1, max_tokens=9)
    assert usage_of(lm).calls == 5
    lm("x", rollout_id=1)
    assert usage_of(lm).calls == 5


def test_two_models_in_one_store_do_not_share_replies(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    one, two = scripted_lm(["one"], name="one", store=store), scripted_lm(["two"], name="two", store=store)
    assert (one("x"), two("x")) == (["one"], ["two"])


def test_threads_that_ask_the_same_pay_once(tmp_path: Path) -> None:
    lm = scripted_lm(lambda prompt: "x", seconds=0.05, store=ReplyStore(tmp_path / "r.sqlite"))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda i: lm("same"), range(16)))
    assert (usage_of(lm).calls, lm.engine.reused) == (1, 15)


def test_a_transient_failure_is_tried_again_and_a_dead_model_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lm = scripted_lm(["good"], failures={0: ServerError("later"), 1: ServerError("later")})
    assert lm("x") == ["good"]
    with pytest.raises(DeadModelError, match="the script has only 1 replies"):
        lm("y")
    assert len(lm.engine.prompts) == 4


def test_a_dead_model_stays_dead_and_says_why_to_every_copy() -> None:
    lm = scripted_lm([])
    with pytest.raises(DeadModelError):
        lm("x")
    with pytest.raises(DeadModelError):
        copy.deepcopy(lm)("y")
    assert isinstance(failure_of(lm), DeadModelError)
    assert len(lm.engine.prompts) == 1


def test_one_reply_that_fails_for_good_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    lm = scripted_lm(["good"], failures={number: ServerError("overloaded") for number in range(4)})
    with pytest.raises(ReplyError, match="no usable reply came back"):
        lm("x")
    assert failure_of(lm) is None
    assert lm("x") == ["good"]


def test_an_error_inside_an_engine_is_not_dressed_up() -> None:
    lm = scripted_lm(["x"], failures={0: ZeroDivisionError("a bug")})
    with pytest.raises(dspy.utils.exceptions.LMUnexpectedError, match="a bug"):
        lm("x")


def test_a_setting_that_the_engine_cannot_carry_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="nonsense"):
        scripted_lm(["x"])("x", nonsense=1)


def test_a_model_of_somebody_else_has_no_count() -> None:
    with pytest.raises(ConfigurationError, match="does not count its calls"):
        usage_of(dspy.LM("openai/x"))


def test_awaited_calls_are_served_counted_and_drawn_alike() -> None:
    lm = EngineLM(Drawing(), temperature=0.7)

    async def ask() -> list[list[str]]:
        return list(await asyncio.gather(*(lm.acall("x", rollout_id=i) for i in range(5))))

    assert asyncio.run(ask()) == [[f"{i}/0"] for i in range(5)]
    assert usage_of(lm).calls == 5


def test_an_explicit_request_gets_a_response() -> None:
    lm = scripted_lm(["text"])
    response = lm(Request(model="scripted", messages=(Message.user("x"),)))
    assert response.text == "text"
    assert response.usage.input_tokens == 1


def test_calls_leave_nothing_behind_in_their_thread() -> None:
    lm = EngineLM(Drawing(), temperature=0.7)
    seen: list[str] = []

    def work() -> None:
        seen.extend(lm("x", rollout_id=1))
        seen.extend(lm("x"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["1/0", "None/0"]
