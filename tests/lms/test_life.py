from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation.errors import DeadModelError, ModelError, RunError, SpendingCapError
from inpars_plus.lms import Reply, ReplyStore, SpendingLimits, life, scripted_lm
from inpars_plus.lms.life import Life, asking_threads
from inpars_plus.lms.limits import Budget


def begun(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def test_the_first_reason_for_giving_a_model_up_stays() -> None:
    own = Life("model")
    first, second = DeadModelError("gone"), SpendingCapError("spent")
    assert own.give_up(first) is first
    stands = own.give_up(second)
    assert (type(stands), str(stands)) == (DeadModelError, str(first))
    with pytest.raises(DeadModelError) as caught:
        own.check()
    assert str(caught.value) == str(first)


def test_a_reason_that_is_raised_often_keeps_nothing_of_the_calls_alive() -> None:
    own = Life("model")
    first = DeadModelError("gone", place="model", remedy="Start it")
    own.give_up(first)
    told: list[ModelError] = []
    for _ in range(3):
        with pytest.raises(DeadModelError) as caught:
            own.check()
        told.append(caught.value)
    assert [str(one) for one in told] == ["model: gone. Start it"] * 3
    assert len({id(one) for one in told}) == 3
    frames = [sum(1 for _ in traceback.walk_tb(one.__traceback__)) for one in told]
    assert frames[0] == frames[2]
    assert own.failure is not None
    assert own.failure.__traceback__ is None


def test_a_death_that_may_pass_holds_for_a_while_and_one_for_good_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "HOLD_SECONDS", 0.1)
    passing, lasting = Life("passing"), Life("lasting")
    passing.give_up(DeadModelError("no answer"), may_pass=True)
    lasting.give_up(DeadModelError("wrong key"))
    with pytest.raises(DeadModelError):
        passing.check()
    time.sleep(0.1)
    assert passing.failure is not None  # it is remembered until a call tries again
    passing.check()
    assert passing.failure is None
    with pytest.raises(DeadModelError):
        lasting.check()


def test_who_waits_for_a_turn_is_told_at_once_that_the_work_is_stopped() -> None:
    own = Life("model")
    seen: list[ModelError] = []

    def wait() -> None:
        try:
            own.wait(60.0)
        except ModelError as problem:
            seen.append(problem)

    waiting = begun(wait)
    own.stop()
    waiting.join(5)
    assert "the work was stopped" in str(seen[0])
    own.go_on()
    own.wait(0.0)


def test_to_settle_is_to_wait_until_the_reply_under_way_is_kept(tmp_path: Path) -> None:
    sent = threading.Event()

    def answer(prompt: str) -> str:
        sent.set()
        time.sleep(0.1)
        return "x"

    store = ReplyStore(tmp_path / "r.sqlite")
    lm = scripted_lm(answer, store=store)
    begun(lambda: lm("a"))
    sent.wait(5)
    lm.engine.life.stop()
    lm.engine.life.settle()
    assert len(store) == 1
    with pytest.raises(ModelError, match="stopped"):
        lm("b")
    assert lm("a") == ["x"]  # what is kept costs nothing


@pytest.mark.parametrize("looks", ["get", "put"])
@pytest.mark.parametrize(
    ("full", "error", "told"), [(False, ModelError, "the work was stopped"), (True, RunError, "the disk is full")]
)
def test_a_call_whose_store_fails_while_the_work_is_stopped_is_told_which_of_the_two_it_was(
    full: bool, error: type[Exception], told: str, looks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    lm = scripted_lm(["x"], store=store)
    use = getattr(store, looks)

    def stopped_meanwhile(*given: Any) -> Reply | None:
        lm.engine.life.stop()
        if full:
            raise RunError("the store of replies cannot be used (the disk is full)")
        store.close()
        found: Reply | None = use(*given)
        return found

    monkeypatch.setattr(store, looks, stopped_meanwhile)
    with pytest.raises(error, match=told):
        lm("a")


def test_an_interrupt_stops_threads_that_wait_for_their_turn() -> None:
    budget = Budget(SpendingLimits(requests_per_minute=60), price=None, label="scripted")
    lm = scripted_lm(lambda prompt: "x", budget=budget)

    def work() -> None:
        with asking_threads(lm, 8) as pool:
            waiting = [pool.submit(lm, f"{number}") for number in range(8)]
            waiting[0].result()
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - started < 0.9
    assert len(lm.engine.prompts) == 1


def test_an_interrupt_waits_for_a_call_of_a_thread_that_the_pool_does_not_know(tmp_path: Path) -> None:
    """As the one that was just being started."""
    sent = threading.Event()

    def answer(prompt: str) -> str:
        sent.set()
        time.sleep(0.3)
        return "x"

    store = ReplyStore(tmp_path / "r.sqlite")
    lm = scripted_lm(answer, store=store)

    def work() -> None:
        with asking_threads(lm, 2):
            begun(lambda: lm("a"))
            sent.wait(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(store) == 1


def test_an_error_in_the_block_is_no_interrupt() -> None:
    lm = scripted_lm(lambda prompt: "x", seconds=0.05)
    asked = []

    def work() -> None:
        with asking_threads(lm, 2) as pool:
            asked.extend(pool.submit(lm, f"{number}") for number in range(4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert [one.result() for one in asked] == [["x"]] * 4
