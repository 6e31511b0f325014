"""Servers that fail, refuse, hang or answer with garbage: what is asked again, and when a model is given up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from dspy.utils.exceptions import LMServerError

from inpars_plus.foundation.errors import DeadModelError, NoReplyError, ReplyError
from inpars_plus.lms import (
    ReplyStore,
    backoff,
    failure_of,
    hosted,
    life,
    usage_of,
)


def test_a_dead_server_is_given_up_early_and_named(loopback: ModuleType, quick: list[float]) -> None:
    with loopback.LoopbackServer() as server:
        lm = loopback.lm_of(server)
    with pytest.raises(DeadModelError) as caught:
        lm("x")
    assert len(quick) == 3
    assert server.address in str(caught.value)
    assert "does not answer" in str(caught.value)
    started = time.monotonic()
    with pytest.raises(DeadModelError):
        lm("y")
    assert time.monotonic() - started < 0.5
    assert str(failure_of(lm)) == str(caught.value)


def test_a_server_that_dies_under_way_is_given_up_and_finished_replies_are_kept(
    loopback: ModuleType, tmp_path: Path, quick: list[float]
) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with loopback.LoopbackServer() as server:
        lm = loopback.lm_of(server, store=store)
        for number in range(5):
            lm(f"{number}")
    with pytest.raises(DeadModelError):
        lm("5")
    assert lm("4") == ["a reply"]
    assert len(store) == 5


def test_garbage_in_three_of_ten_answers_is_asked_again_and_counted(loopback: ModuleType, quick: list[float]) -> None:
    with loopback.LoopbackServer(misbehave=loopback.mostly("garbage", 0.3)) as server:
        lm = loopback.lm_of(server)

        def ask(number: int) -> str | None:
            try:
                return str(lm(f"{number}")[0])
            except ReplyError:
                return None

        with ThreadPoolExecutor(8) as threads:
            replies = list(threads.map(ask, range(100)))
        assert replies.count("a reply") >= 95
        assert failure_of(lm) is None
        assert 20 < lm.engine.garbled == server.requests - usage_of(lm).calls


@pytest.mark.parametrize("fault", ["garbage", "half"])
def test_nothing_but_garbage_costs_replies_first_and_ends_the_model_then(
    loopback: ModuleType, quick: list[float], fault: str
) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: fault) as server:
        lm = loopback.lm_of(server)
        with pytest.raises(ReplyError, match="something that is no reply") as caught:
            lm("x")
        assert not isinstance(caught.value, NoReplyError)
        with pytest.raises(ReplyError):
            lm("x")
        with pytest.raises(DeadModelError, match="not usably"):
            lm("x")
        assert server.requests == 12


@pytest.mark.parametrize("fault", [401, 404])
def test_a_refusal_for_good_ends_the_model_at_once(loopback: ModuleType, quick: list[float], fault: int) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: fault) as server:
        with pytest.raises(DeadModelError, match="refuses the model 'openai/test-model'"):
            loopback.lm_of(server)("x")
        assert server.requests == 1
        assert quick == []


def test_a_refused_request_is_one_missing_reply(loopback: ModuleType, quick: list[float]) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 400 if number == 0 else None) as server:
        lm = loopback.lm_of(server)
        with pytest.raises(ReplyError, match="refused the request"):
            lm("x")
        assert lm("x") == ["a reply"]


def test_errors_now_and_then_are_tried_again(loopback: ModuleType, quick: list[float]) -> None:
    faults = {0: 500, 1: 503, 3: "close", 5: "close"}
    with loopback.LoopbackServer(misbehave=faults.get) as server:
        lm = loopback.lm_of(server)
        assert [lm(f"{number}") for number in range(4)] == [["a reply"]] * 4


def test_a_server_that_only_fails_is_given_up_at_a_second_request_and_not_for_one_alone(
    loopback: ModuleType, quick: list[float]
) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 500) as server:
        lm = loopback.lm_of(server)
        for _ in range(2):
            with pytest.raises(NoReplyError, match="no usable reply came back"):
                lm("x")
        with pytest.raises(DeadModelError, match="not usably"):
            lm("y")
        assert server.requests == 12


def test_a_first_request_that_a_server_never_serves_is_one_missing_reply(
    loopback: ModuleType, quick: list[float]
) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 500 if number not in (4, 9) else None) as server:
        lm = loopback.lm_of(server)
        with pytest.raises(NoReplyError):
            lm("x")
        assert lm("y") == ["a reply"]
        with pytest.raises(NoReplyError):
            lm("z")
        assert lm("y") == ["a reply"]
        assert failure_of(lm) is None


def test_a_model_that_has_never_answered_is_not_given_up_while_another_request_is_with_it(
    loopback: ModuleType,
) -> None:
    held, go_on = threading.Event(), threading.Event()

    def reply(text: str) -> str:
        held.set()
        go_on.wait(20)
        return "a reply"

    with loopback.LoopbackServer(reply, lambda number: 500 if number else None) as server:
        lm = loopback.lm_of(server, num_retries=0)
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(lm, "x")
            try:
                assert held.wait(20)
                for other in ("y", "z"):
                    with pytest.raises(NoReplyError):
                        lm(other)
            finally:
                go_on.set()
            assert first.result() == ["a reply"]
        assert failure_of(lm) is None


def test_calls_that_fail_for_good_end_the_model_when_twelve_in_a_row_did(
    loopback: ModuleType, quick: list[float]
) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 503 if number else None) as server:
        lm = loopback.lm_of(server)
        lm("good")
        for number in range(11):
            with pytest.raises(NoReplyError, match="no usable reply came back"):
                lm(f"{number}")
        with pytest.raises(DeadModelError, match="not usably"):
            lm("11")
        assert server.requests == 1 + 12 * 4


def test_a_server_that_answered_an_earlier_run_is_not_given_up_after_one_call(
    loopback: ModuleType, tmp_path: Path, quick: list[float]
) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with loopback.LoopbackServer(misbehave=lambda number: 503 if 1 <= number < 5 else None) as server:
        loopback.lm_of(server, store=store)("one")
        lm = loopback.lm_of(server, store=store)
        with pytest.raises(NoReplyError):
            lm("two")
        assert lm("three") == ["a reply"]


def test_too_many_requests_are_asked_again_after_the_time_that_the_server_names(loopback: ModuleType) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 429 if number == 0 else None) as server:
        assert loopback.lm_of(server)("x") == ["a reply"]
        first, second = server.times
    assert 0.2 <= second - first < 0.5


@pytest.mark.slow
def test_a_server_that_takes_fewer_requests_than_there_are_threads_answers_them_all(loopback: ModuleType) -> None:
    lock, taken = threading.Lock(), []

    def two_in_a_moment(number: int) -> int | None:
        with lock:
            now = time.monotonic()
            taken[:] = [then for then in taken if now - then < 0.25]
            if len(taken) >= 2:
                return 429
            taken.append(now)
            return None

    with loopback.LoopbackServer(misbehave=two_in_a_moment) as server:
        lm = loopback.lm_of(server)
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(lambda i: lm(f"{i}"), range(12))) == [["a reply"]] * 12
    assert failure_of(lm) is None


def test_a_server_that_goes_on_refusing_is_given_up_and_the_flags_that_help_are_named(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(hosted, "PATIENCE_SECONDS", 0.25)
    with loopback.LoopbackServer(misbehave=lambda number: "busy") as server:
        with pytest.raises(DeadModelError, match=r"takes no more requests.*--requests-per-minute or fewer --threads"):
            loopback.lm_of(server)("x")
        assert 2 <= server.requests <= 4


@pytest.mark.parametrize("fault", [503, "close"])
def test_a_model_is_asked_again_some_time_after_its_server_failed(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch, fault: int | str
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.3)
    failing = 2 if fault == 503 else 1
    with loopback.LoopbackServer(misbehave=lambda number: fault if number < failing else None) as server:
        lm = loopback.lm_of(server, num_retries=0)
        if fault == 503:
            with pytest.raises(NoReplyError):
                lm("w")
        for _ in range(3):
            with pytest.raises(DeadModelError):
                lm("x")
        assert server.requests == failing
        time.sleep(0.3)
        assert lm("x") == ["a reply"]
        assert failure_of(lm) is None


def test_a_model_that_is_asked_again_some_time_after_is_not_given_up_for_one_request_alone(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.3)
    with loopback.LoopbackServer(misbehave=lambda number: 503 if number < 3 else None) as server:
        lm = loopback.lm_of(server, num_retries=0)
        with pytest.raises(NoReplyError):
            lm("w")
        with pytest.raises(DeadModelError):
            lm("x")
        time.sleep(0.3)
        with pytest.raises(NoReplyError):
            lm("y")
        assert lm("z") == ["a reply"]


def test_a_model_that_answered_once_is_given_up_for_twelve_failures_each_time_that_it_is_asked_again(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.0)
    served = (0, 14)
    with loopback.LoopbackServer(misbehave=lambda number: None if number in served else 500) as server:
        lm = loopback.lm_of(server, num_retries=0)

        def fail(times: int) -> None:
            for number in range(times):
                with pytest.raises(NoReplyError):
                    lm(f"{number}")

        def end_with_twelve() -> None:
            fail(11)
            with pytest.raises(DeadModelError, match="not usably"):
                lm("x")

        assert lm("good") == ["a reply"]
        end_with_twelve()
        fail(1)
        assert lm("another") == ["a reply"]
        for _ in range(2):  # a server that is gone still ends each work that asks it
            end_with_twelve()
        assert server.requests == 1 + 12 + 2 + 2 * 12


def test_a_request_that_fails_after_the_model_was_given_up_does_not_count_when_it_is_asked_again(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch, quick: list[float]
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.3)
    held, go_on = threading.Event(), threading.Event()

    def faults(number: int) -> int | str | None:
        if number == 0:
            held.set()
            go_on.wait(20)
        return [503, "close", "close", 503, 503, None][number]

    with loopback.LoopbackServer(misbehave=faults) as server, ThreadPoolExecutor(1) as threads:
        lm = loopback.lm_of(server, num_retries=1)
        late = threads.submit(lm, "late")
        try:
            assert held.wait(20)
            with pytest.raises(DeadModelError, match="does not answer"):
                lm("x")
        finally:
            go_on.set()
        with pytest.raises(DeadModelError, match="does not answer"):
            late.result()
        held.clear()
        held.wait(0.3)  # to sleep is not to wait here
        with pytest.raises(NoReplyError):
            lm("y")
        assert lm("z") == ["a reply"]


def test_garbled_answers_that_come_after_the_model_was_given_up_do_not_count_when_it_is_asked_again(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.0)
    with loopback.LoopbackServer(misbehave=lambda number: 500 if number else None) as server:
        lm = loopback.lm_of(server, num_retries=0)
        assert lm("good") == ["a reply"]
        for number in range(11):
            with pytest.raises(NoReplyError):
                lm(f"{number}")
        with pytest.raises(DeadModelError):
            lm("x")
        for _ in range(11):
            lm.engine._noted(LMServerError("no reply", status=200))
        with pytest.raises(NoReplyError):
            lm("y")


@pytest.mark.parametrize("answers", [0, 1])
def test_a_call_that_fails_just_after_the_model_was_given_up_is_told_so(loopback: ModuleType, answers: int) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: 503 if number >= answers else None) as server:
        lm = loopback.lm_of(server, num_retries=0)
        for number in range(answers):
            assert lm(f"good {number}") == ["a reply"]
        for number in range(11 if answers else 1):
            with pytest.raises(NoReplyError):
                lm(f"{number}")
        with pytest.raises(DeadModelError):
            lm("x")
    late = lm.engine.explain(LMServerError("busy"), time.monotonic())
    assert isinstance(late, DeadModelError)


@pytest.mark.parametrize("fault", [401, 404])
def test_what_no_time_mends_is_never_asked_again(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.0)
    with loopback.LoopbackServer(misbehave=lambda number: fault) as server:
        lm = loopback.lm_of(server)
        for _ in range(2):
            with pytest.raises(DeadModelError):
                lm("x")
        assert server.requests == 1


def test_a_server_that_hangs_is_given_up(loopback: ModuleType, quick: list[float]) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: "hang") as server:
        started = time.monotonic()
        with pytest.raises(DeadModelError, match="does not answer"):
            loopback.lm_of(server, timeout=0.2, num_retries=1)("x")
        assert time.monotonic() - started < 5
