"""Every program can be awaited: same result, the caller's context, and a loop that goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import dspy
import pytest

from inpars_plus.corpora import Document, LedgerEntry
from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms.scripted import scripted_lm
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import (
    REGISTRY,
    AdaptiveQueryGenerator,
    DocumentAnalyst,
    PointwiseReranker,
    QueryGenerator,
    measured_performance,
)
from inpars_plus.programs.program import Program
from inpars_plus.programs.registry import program_class
from inpars_plus.retrieval.hashing import HashingEncoder

QUERY = "how do I stop water dripping from a pump"
SOURCE = Document(
    id="1", text="A worn seal lets a pump leak. It is replaced in an hour.", metadata={"source": "Harbour Post"}
)
PASSAGES = {"query": "why does a pump leak", "passages": ["How bread rises, worth 0", "A worn seal, worth 3"]}
LABELS = {"domain": "engineering", "topics": ["pumps"], "complexity": "introductory", "audience": "practitioners"}


def _said(prompt: str) -> str:
    """One reply that every signature finds its own field in, but for the generators' completion prompt."""
    if "[[ ##" not in prompt:
        return QUERY
    return json.dumps(
        {
            "analysis": {"doc_type": "manual", **LABELS},
            "judgment": {"grade": 3 if "worth 3" in prompt else 0},
            "preference": {"better": "tie"},
            "ranking": {"order": [2, 1]},
            "expansion": {"terms": ["gasket"], "rephrasings": []},
            "passage": {"text": "It leaks because its gasket is worn."},
            "reasoning": "Too general.",
            "diagnosis": {"patterns": ["No detail is named."], "missed_aspects": ["error 7"]},
            "revision": {"text": "Write a question about the fault that is named."},
        }
    )


def _program(name: str, typed: Any) -> tuple[Program, dict[str, Any]]:
    source: dict[str, Any] = {"source": SOURCE}
    if name == "AdaptiveQueryGenerator":
        return AdaptiveQueryGenerator(
            {"manual": QueryGenerator()}, QueryGenerator(), DocumentAnalyst(["manual"])
        ), source
    if name == "DocumentAnalyst":
        return DocumentAnalyst(["manual", "news"]), source
    if name == "TypeRouter":
        return fit_type_router(typed.some(40, "code", "talk"), HashingEncoder(), seed=0).router, source
    made = program_class(name)()
    if name == "InstructionAdapter":
        entry = {"document_id": "1", "candidate": "how do pumps work", "accepted": False, "reason": "not_retrieved"}
        report = measured_performance([LedgerEntry(**entry, program="p")], instruction="Ask.", key_terms={"1": ["air"]})
        return made, {"report": report}
    if name.endswith("Reranker"):
        return made, PASSAGES
    return made, source if name.endswith("Generator") else {"query": "why does a pump leak"}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_program_that_is_awaited_gives_what_it_gives_when_called(
    name: str, typed: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("dspy"), "propagate", True)
    program, inputs = _program(name, typed)
    assert isinstance(program, Program)
    with dspy.context(lm=scripted_lm(_said)):  # of the context, which a bare thread would not see
        called = program(**inputs)
        awaited = asyncio.run(program.acall(**inputs))
    assert dict(awaited.items()) == dict(called.items())
    assert not any("forward" in message for message in caplog.messages)


def _slow(seconds: float, seen: list[str] | None = None) -> Any:
    def reply(prompt: str) -> str:
        if seen is not None:
            seen.append(threading.current_thread().name)
        return QUERY

    return scripted_lm(reply, seconds=seconds)


def test_the_loop_goes_on_and_calls_run_at_the_same_time_on_threads_of_their_own() -> None:
    seen: list[str] = []
    program = QueryGenerator()
    program.set_lm(_slow(0.3, seen))

    async def serve() -> tuple[list[dspy.Prediction], int]:
        calls = asyncio.gather(*(program.acall(source=SOURCE) for _ in range(20)))
        turns = 0
        while not calls.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await calls, turns

    found, turns = asyncio.run(serve())
    assert [one.queries for one in found] == [[QUERY]] * 20
    assert turns >= 5
    assert all(name.startswith("inpars-plus-awaited") for name in seen)


def test_each_awaited_call_has_the_context_of_whoever_awaits_it() -> None:
    program = QueryGenerator()

    async def ask(query: str) -> list[str]:
        with dspy.context(lm=scripted_lm(lambda prompt: query)):
            found = await program.acall(source=SOURCE)
            queries: list[str] = found.queries
            return queries

    async def serve() -> list[list[str]]:
        return await asyncio.gather(ask(QUERY), ask("why does a seal wear out so soon"))

    assert asyncio.run(serve()) == [[QUERY], ["why does a seal wear out so soon"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_server_process_that_is_forked_after_the_first_call_has_threads_of_its_own() -> None:
    program = QueryGenerator()
    program.set_lm(_slow(0))
    asyncio.run(program.acall(source=SOURCE))
    child = os.fork()
    if child == 0:  # no assertion here: pytest would go on in both
        signal.alarm(60)
        code = 1
        try:
            code = 0 if asyncio.run(program.acall(source=SOURCE)).queries == [QUERY] else 1
        finally:
            os._exit(code)  # this process is a copy of pytest, and must not go on as one
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_error_reaches_whoever_awaits() -> None:
    program = PointwiseReranker()
    program.set_lm(scripted_lm([]))
    with pytest.raises(DeadModelError, match=r"the script has only 0 replies"):
        asyncio.run(program.acall(**PASSAGES))


@pytest.mark.parametrize(("number", "printed"), [(0, "PointwiseReranker"), (1, str([QUERY]))])
def test_the_examples_above_the_programs_print_what_they_should(
    number: int,
    printed: str,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (tree / "docs" / "programs.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("inpars_plus.lms.names.load_lm", lambda name: scripted_lm(_said, name=name))
    exec(compile(blocks[number], "docs/programs.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == f"{printed}\n"


def test_a_cancelled_call_asks_no_further_request() -> None:
    asked: list[str] = []
    program = QueryGenerator()
    program.set_lm(_slow(0.2, asked))

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(program.acall(source=SOURCE, number_of_queries=8), 0.3)

    asyncio.run(give_up())
    sent = len(asked)
    time.sleep(1.0)
    assert len(asked) <= sent + 1
