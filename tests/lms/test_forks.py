"""A server loads its application and then forks its workers: each can ask, whatever other threads did meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.foundation.secrets import hide_secrets, register_secret
from inpars_plus.lms import EngineLM, ReplyStore, SpendingLimits, load_scorer, scripted_lm
from inpars_plus.lms.embedded import EmbeddedEngine
from inpars_plus.lms.limits import Budget

# Python warns of every fork beside a thread; a server that loads its application before it forks has them all the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def code_of_a_fork(work: Callable[[], bool], *, seconds: float = 20.0) -> int | None:
    """0 where a forked process found the work right, 1 where not; ``None`` where it did not end in time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        except BaseException as problem:
            sys.__stderr__.write(f"in the fork: {problem!r}\n")  # type: ignore[union-attr]
        finally:
            os._exit(code)  # this process is a copy of pytest, and must not go on as one
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def test_a_fork_beside_a_call_under_way_asks_keeps_and_settles(tmp_path: Path) -> None:
    sent, go_on = threading.Event(), threading.Event()
    here = os.getpid()

    def answer(prompt: str) -> str:
        if os.getpid() == here and "slow" in prompt:
            sent.set()
            go_on.wait(20)
        return "x"

    store = ReplyStore(tmp_path / "r.sqlite")
    budget = Budget(SpendingLimits(max_tokens=10_000), price=None, label="scripted")
    lm = scripted_lm(answer, store=store, budget=budget, max_tokens=6000)
    asking = threading.Thread(target=lambda: lm("slow"))
    asking.start()
    sent.wait(5)

    def asks_the_same() -> bool:
        replies = lm("slow"), lm("other")  # the first waits for nobody, and tokens set aside there are free here
        lm.engine.life.settle()
        return replies == (["x"], ["x"]) and len(store) == 2

    try:
        assert code_of_a_fork(asks_the_same) == 0
    finally:
        go_on.set()
        asking.join()
    assert len(store) == 2
    assert lm("other") == ["x"]
    assert lm.engine.reused_earlier == 1  # the reply that the fork paid for


def test_a_store_is_the_same_file_after_a_fork_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lm = scripted_lm(lambda prompt: "x", store=(store := ReplyStore("r.sqlite")))
    lm("a")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert code_of_a_fork(lambda: len(store) == 1) == 0
    assert len(store) == 1
    assert not (tmp_path / "elsewhere" / "r.sqlite").exists()


def test_no_connection_to_the_store_is_carried_over_a_fork(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    opened: list[sqlite3.Connection | None] = []
    assert store._opened is not None
    before = store._opened

    def looks() -> bool:
        opened.append(store._opened)
        return store._opened is None and len(store) == 0

    assert code_of_a_fork(looks) == 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        before.execute("SELECT 1")
    assert len(store) == 0
    store.close()
    assert code_of_a_fork(lambda: store._closed) == 0


def test_a_lock_that_another_thread_holds_at_the_fork_stops_nobody_there() -> None:
    lm = scripted_lm(lambda prompt: "x")
    with lm.engine._lock, lm.engine._script_lock, lm.engine.life._changed:

        def asks() -> bool:
            register_secret("a-secret-of-the-fork")
            return bool(lm("a") == ["x"] and hide_secrets("a-secret-of-the-fork") == "[hidden]")

        assert code_of_a_fork(asks) == 0


@pytest.mark.model
def test_a_forked_process_loads_its_own_model_and_scorer(embedded: EngineLM) -> None:
    engine = embedded.engine
    assert isinstance(engine, EmbeddedEngine)
    scorer = load_scorer()
    said, scored = embedded("The capital of France is"), scorer.score([("Water is", " wet")])
    loaded = engine.pipeline
    config = loaded.config(max_new_tokens=2)

    def asks() -> bool:
        with pytest.raises(DeadModelError, match="loaded before this process was forked"):
            loaded.submit(loaded.encode("Water is"), config).result(timeout=5)
        again = scorer.score([("Water is", " wet"), ("Water is", " dry")])
        same = abs(again[0].mean_log_probability - scored[0].mean_log_probability) < 1e-3
        return engine.pipeline is not loaded and embedded("The capital of France is") == said and same

    assert code_of_a_fork(asks, seconds=120) == 0
    assert embedded("The capital of France is") == said
    assert engine.pipeline is loaded
