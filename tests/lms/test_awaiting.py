"""Calls that are awaited: they leave the event loop's threads alone, and end when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from inpars_plus.foundation.errors import ConfigurationError, ModelError
from inpars_plus.lms import EngineLM, failure_of, load_lm, scripted_lm


def test_slow_calls_leave_the_threads_of_the_event_loop_to_the_application() -> None:
    together = threading.Barrier(41)

    def answer(prompt: str) -> str:
        together.wait(20)
        return "x"

    lm = scripted_lm(answer)

    async def ask() -> list[list[str]]:
        calls = [asyncio.create_task(lm.acall(f"{number}")) for number in range(40)]
        await asyncio.wait_for(asyncio.to_thread(together.wait, 20), 20)  # a look-up of the application
        return list(await asyncio.gather(*calls))

    assert asyncio.run(ask()) == [["x"]] * 40


def _ended(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def _quiet_after(lm: EngineLM) -> bool:
    return _ended(lambda: lm.engine.life._calls == 0)


def test_a_call_that_is_cancelled_sends_nothing_more_and_the_model_lives_on(loopback: ModuleType) -> None:
    refused = True
    with loopback.LoopbackServer(misbehave=lambda number: "busy" if refused else None) as server:
        lm = loopback.lm_of(server)

        async def give_up() -> None:
            calls = [lm.acall(f"{number}") for number in range(5)]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.gather(*calls), 1.5)

        asyncio.run(give_up())
        assert _quiet_after(lm)
        sent = server.requests
        time.sleep(1.0)
        assert server.requests == sent
        assert failure_of(lm) is None
        refused = False
        assert lm("a") == ["a reply"]


def test_a_wait_ends_where_its_call_was_given_up() -> None:
    from inpars_plus.lms.life import GIVEN_UP, Life

    own, given_up = Life("model"), threading.Event()
    token = GIVEN_UP.set(given_up)
    try:
        own.wait(0.0)
        threading.Timer(0.1, given_up.set).start()
        started = time.monotonic()
        with pytest.raises(ModelError, match="model: the call was given up while it waited"):
            own.wait(60.0)
        assert time.monotonic() - started < 5
    finally:
        GIVEN_UP.reset(token)
    own.wait(0.0)


def test_patience_is_how_long_a_refusing_server_is_waited_out(loopback: ModuleType, quick: list[float]) -> None:
    with loopback.LoopbackServer(misbehave=lambda number: "busy") as server:
        lm = loopback.lm_of(server, patience=1.0)
        started = time.monotonic()
        with pytest.raises(ModelError, match="takes no more requests"):
            lm("a")
        assert time.monotonic() - started < 10
    with pytest.raises(ConfigurationError, match="patience: a model cannot be waited for -1 seconds"):
        load_lm("openai/x", api_key="k", patience=-1)


@pytest.mark.model
def test_a_model_of_this_machine_takes_no_patience() -> None:
    with pytest.raises(ConfigurationError, match="refuses no requests"):
        load_lm("embedded", patience=1.0)


_ENDS = """
import threading, time
from inpars_plus.lms.life import Life
def wait():
    try:
        Life("model").wait(60)
    except Exception as problem:
        print(problem)
{start}
time.sleep(.2)
"""


@pytest.mark.parametrize(
    "start",
    [
        "threading.Thread(target=wait).start()",
        "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(1).submit(wait)",
    ],
)
def test_a_process_ends_though_a_thread_waits_for_its_turn(start: str) -> None:
    script = _ENDS.replace("{start}", start)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True, env=dict(os.environ)
    )
    assert done.stdout == "model: the program ended while the call waited for its turn\n"
