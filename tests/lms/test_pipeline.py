"""The thread that drives the local model keeps its batch full while callers ask again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inpars_plus.lms.embedded import local_model
from inpars_plus.lms.pipeline import Pipeline

pytestmark = pytest.mark.model

_CALLERS, _REQUESTS, _TOKENS = 16, 4, 8


class _Counted:
    """The engine's own pipeline, with its steps counted."""

    def __init__(self, inner: Any) -> None:
        self.steps = 0
        self._inner = inner

    def step(self) -> None:
        self.steps += 1
        self._inner.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def pipeline() -> Any:
    made = Pipeline(local_model("embedded").path)
    yield made
    made.close()


def _ask(pipeline: Pipeline, text: str) -> None:
    config = pipeline.config(max_new_tokens=_TOKENS, min_new_tokens=_TOKENS, ignore_eos=True, do_sample=False)
    pipeline.submit(pipeline.encode(text), config).result(timeout=120)


def _work() -> None:
    """What a program does between two calls: a few milliseconds of Python."""
    ends = time.thread_time() + 0.003
    while time.thread_time() < ends:
        sum(range(100))


def test_callers_that_work_between_calls_still_fill_the_batch(pipeline: Pipeline) -> None:
    counted = pipeline._pipeline = _Counted(pipeline._pipeline)

    def caller(number: int) -> None:
        for request in range(_REQUESTS):
            _work()
            _ask(pipeline, f"{number} times {request} is")

    with ThreadPoolExecutor(_CALLERS) as pool:
        list(pool.map(caller, range(_CALLERS)))
    # Together, the requests take about _REQUESTS * _TOKENS steps; one after the other _CALLERS times as many.
    assert counted.steps < 1.3 * _REQUESTS * _TOKENS


def test_a_lone_caller_is_not_kept_waiting(pipeline: Pipeline) -> None:
    for number in range(3):
        _ask(pipeline, f"{number} and")
    assert pipeline._patience(1, 1) == 0.0


@pytest.mark.slow
def test_requests_that_do_not_fit_together_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inpars_plus.lms.pipeline._PLAIN_CACHED_TOKENS", 1024)
    small = Pipeline(local_model("embedded").path, prefix_caching=False)
    config = small.config(max_new_tokens=2, do_sample=False, ignore_eos=True)
    prompts = [small.encode(f"{number} " + "water boils when it is hot, " * 60) for number in range(6)]
    assert sum(map(len, prompts)) > 2048
    assert max(map(len, prompts)) < 1000
    waiting = [small.submit(prompt, config) for prompt in prompts]
    assert [len(future.result(timeout=120).tokens) for future in waiting] == [2] * 6
    assert small.context_tokens == 1024
    last = [small.submit(prompt, config) for prompt in prompts]
    small.close()
    assert all(future.done() for future in last)
