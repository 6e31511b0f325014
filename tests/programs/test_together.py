"""Calls at the same time keep their order and the context of whoever makes them."""

from __future__ import annotations

import threading
import time

import dspy
import pytest

from inpars_plus.programs.together import together


@pytest.mark.parametrize("threads", [1, 3, 50])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def slow_at_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert together(slow_at_first, range(9), threads=threads) == [item * item for item in range(9)]
    assert together(slow_at_first, [], threads=threads) == []


def test_each_thread_has_the_context_of_the_caller() -> None:
    seen = []

    def look(item: int) -> None:
        seen.append((threading.current_thread(), dspy.settings.adapter))
        time.sleep(0.01)

    adapter = dspy.JSONAdapter()
    with dspy.context(adapter=adapter):
        together(look, range(4), threads=4)
    assert {id(one) for _, one in seen} == {id(adapter)}
    assert len({thread for thread, _ in seen}) > 1


def test_the_trace_has_the_order_of_the_items_and_its_limit() -> None:
    def ask(item: int) -> None:
        time.sleep(0.03 if item == 0 else 0)
        dspy.settings.trace.append(item)

    with dspy.context(trace=[-1], max_trace_size=4):
        together(ask, range(4), threads=4)
        assert dspy.settings.trace == [0, 1, 2, 3]
    with dspy.context(trace=None):
        assert together(lambda _: dspy.settings.trace, range(2), threads=2) == [None, None]


def test_the_first_error_is_raised_and_what_was_not_begun_is_not_done() -> None:
    done = []

    def fail(item: int) -> None:
        done.append(item)
        time.sleep(0.01)
        raise ValueError(str(item))

    with pytest.raises(ValueError, match=r"^0$"):
        together(fail, range(100), threads=2)
    assert len(done) < 50
