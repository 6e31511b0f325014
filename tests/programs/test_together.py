"""Calls at the same time keep their order and the context of whoever makes them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import dspy
import pytest

from inpars_plus.corpora import Document
from inpars_plus.lms.scripted import ScriptedEngine, scripted_lm
from inpars_plus.programs import DocumentAnalyst, ExpandingRetriever, QueryExpander
from inpars_plus.programs.together import together
from inpars_plus.retrieval import build_retriever

DOCUMENTS = [Document(id=str(number), text=f"A pump of form {number}.") for number in range(20)]


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


@pytest.mark.parametrize("kind", ["analyst", "expander"])
def test_an_interrupt_stops_the_model_that_the_program_has_for_itself(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count(1)

    def reply(prompt: str) -> str:
        if next(asked) == 1:
            raise KeyboardInterrupt  # whoever waits for the thread gets it, as from a signal
        return "{}"

    lm = scripted_lm(reply, chat=True, seconds=0.2)
    engine = cast(ScriptedEngine, lm.engine)
    stops: list[None] = []
    stop = engine.life.stop
    monkeypatch.setattr(engine.life, "stop", lambda: (stops.append(None), stop()))
    analyst, expander = DocumentAnalyst(["faq"], threads=2), QueryExpander()
    for program in (analyst, expander):
        program.set_lm(lm)
    search = ExpandingRetriever(expander, build_retriever("bm25", DOCUMENTS), threads=2)
    calls: dict[str, Callable[[], Any]] = {
        "analyst": lambda: analyst.route(DOCUMENTS),
        "expander": lambda: search.search(["a pump"] * 20, 3),
    }
    with dspy.context(lm=None), pytest.raises(KeyboardInterrupt):
        calls[kind]()
    assert len(stops) == 1
    assert len(engine.prompts) < 20
