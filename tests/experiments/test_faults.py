"""What goes wrong while a job runs: one sentence says it, and nothing that was paid for is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Ledger, read_queries
from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.experiments.generate_queries import generate_queries
from inpars_plus.foundation import CorpusError, DeadModelError, RunError, SpendingCapError
from inpars_plus.lms import SpendingLimits
from inpars_plus.lms.limits import Budget
from inpars_plus.programs import ProgramFileWarning

THREADS = 4
SECRET = "sk-do-not-write-me-0123456789"

SCRIPT = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import World, compile_settings, generate_settings, tune_settings, write_candidate, write_query
from inpars_plus.corpora import Document
from inpars_plus.experiments import generating
from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.experiments.generate_queries import generate_queries
from inpars_plus.experiments.tune_generator import tune_generator
from inpars_plus.foundation import InParsError
from inpars_plus.metrics.languages import is_other_language

job, corpus, out, log, largest = sys.argv[2], *map(Path, sys.argv[3:6]), int(sys.argv[6])
generating.CHUNK = 16
world = World(log=log, seconds=0.002, replies=write_candidate if job == "tune" else write_query)
if largest:
    # The language model of a check unpacks itself into a temporary file, which is not what is tried here.
    is_other_language("wo ist der Bahnhof", Document(id="1", text="Where is the station?"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
try:
    if job == "compile":
        compile_programs(compile_settings(corpus, out), **world.parts)
    elif job == "tune":
        tune_generator(tune_settings(corpus, Path(sys.argv[7]), out, Path(sys.argv[8]), rounds=1), **world.parts)
    else:
        generate_queries(generate_settings(corpus, Path(sys.argv[7]), out), **world.parts)
except InParsError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


class Job:
    """A job in a process of its own.

    Args:
        job: ``compile``, ``generate`` or ``tune``.
        corpus: its corpus.
        folder: where its run directory and its log go.
        programs: for ``generate`` and ``tune``.
        base: for ``tune``.
    """

    def __init__(self, job: str, corpus: Path, folder: Path, programs: Path, base: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.out = folder / "run"
        self.log = folder / "asked.jsonl"
        self._arguments = [job, str(corpus), str(self.out), str(self.log)]
        self._given = [str(programs), str(base)]

    def start(self, *, largest_file: int = 0) -> subprocess.Popen[str]:
        here = str(Path(__file__).parent)
        command = [sys.executable, "-W", "error", "-c", SCRIPT, here, *self._arguments, str(largest_file)]
        return subprocess.Popen([*command, *self._given], env=os.environ, stderr=subprocess.PIPE, text=True)

    def finish(self) -> None:
        process = self.start()
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told

    def kill_after(self, calls: int) -> None:
        process = self.start()
        while len(self.asked) < calls and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL

    @property
    def asked(self) -> list[str]:
        if not self.log.exists():
            return []
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line)["key"] for line in whole.splitlines()]

    @property
    def paid_twice(self) -> int:
        return sum(count - 1 for count in Counter(self.asked).values())

    def results(self) -> Any:
        summary = json.loads((self.out / "summary.json").read_text())
        return summary["results"], summary["hashes"], summary["lm"]


@pytest.mark.slow
@pytest.mark.parametrize(("job", "kills"), [("compile", (60, 150, 200)), ("generate", (30, 90))])
def test_a_job_killed_several_times_goes_on_pays_nothing_twice_and_ends_the_same(
    compiled: Path, corpus: Path, tmp_path: Path, job: str, kills: tuple[int, ...]
) -> None:
    whole, killed = (Job(job, corpus, tmp_path / name, compiled) for name in ("whole", "killed"))
    whole.finish()
    assert whole.paid_twice == 0
    for calls in kills:
        killed.kill_after(calls)
    killed.finish()
    assert killed.results() == whole.results()
    assert set(killed.asked) == set(whole.asked)
    # Only what was with the model when the process died may have been asked again.
    assert killed.paid_twice <= len(kills) * THREADS
    if job == "generate":
        for name in ("ledger.jsonl", "queries.jsonl", "qrels/train.tsv"):
            assert (killed.out / name).read_bytes() == (whole.out / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("job", ["compile", "generate", "tune"])
def test_a_full_disk_is_told_in_a_sentence_and_nothing_paid_is_lost(
    compiled: Path, corpus: Path, tiny_directory: Path, tmp_path: Path, job: str
) -> None:
    one = Job(job, corpus, tmp_path / "one", compiled, tiny_directory)
    process = one.start(largest_file=50_000)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.startswith("RunError: ")
    assert len(told.splitlines()) == 1
    before = len(one.asked)
    assert before > 0
    one.finish()
    whole = Job(job, corpus, tmp_path / "whole", compiled, tiny_directory)
    whole.finish()
    if job != "tune":  # which draws several samples from one prompt
        assert one.paid_twice <= THREADS
    assert before < len(one.asked) <= len(whole.asked) + THREADS


def limited(small: Any, tokens: int) -> Any:
    """A world whose model may spend so many tokens."""
    limits = SpendingLimits(max_tokens=tokens)
    return small.World(budget=Budget(limits, price=None, label="scripted"))


@pytest.mark.slow
def test_a_spending_cap_stops_a_compile_which_goes_on_with_a_higher_one(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.compile_settings(corpus, tmp_path / "run")
    capped = limited(small, 6_000)
    with pytest.raises(SpendingCapError, match="cap is reached"):
        compile_programs(settings, **capped.parts)
    free = small.World()
    assert compile_programs(settings, **free.parts) is not None
    whole = small.World()
    compile_programs(small.compile_settings(corpus, tmp_path / "whole"), **whole.parts)
    assert capped.calls > 0
    assert capped.calls + free.calls == whole.calls


@pytest.mark.slow
def test_a_spending_cap_stops_a_generation_whose_files_hold_what_was_finished(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inpars_plus.experiments.generating.CHUNK", 16)
    settings = small.generate_settings(corpus, compiled, tmp_path / "q")
    capped = limited(small, 9_000)
    with pytest.raises(SpendingCapError):
        generate_queries(settings, **capped.parts)
    done = Ledger(tmp_path / "q" / "ledger.jsonl").documents_done()
    assert 0 < len(done) < 120
    assert len(read_queries(tmp_path / "q" / "queries.jsonl")) > 0
    free = small.World()
    generate_queries(settings, **free.parts)
    whole = small.World()
    generate_queries(small.generate_settings(corpus, compiled, tmp_path / "w"), **whole.parts)
    assert capped.calls + free.calls == whole.calls


def chat_reply(text: str) -> str:
    """What a chat model answers to DSPy's chat format."""
    import re

    machine, unit = re.findall(r"The (\w+) of unit (\w+)", text)[-1]
    return (
        f'[[ ## queries ## ]]\n[{{"text": "why does the {machine} of {unit} lose its seal"}}]\n\n[[ ## completed ## ]]'
    )


def hosted(small: Any, loopback: Any, misbehave: Any) -> Any:
    return loopback.LoopbackServer(reply=chat_reply, misbehave=misbehave)


def test_a_server_that_returns_garbage_a_third_of_the_time_costs_queries_and_not_the_run(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with hosted(small, loopback, loopback.mostly("garbage", 0.3)) as server:
        settings = small.generate_settings(
            corpus, compiled, tmp_path / "q", lm="openai/loop", api_base=server.address, limit=20
        )
        with pytest.warns(UserWarning, match="compiled with scripted"):
            summary = generate_queries(settings, scorer=small.FlatScorer())
        assert server.authorizations[0] == f"Bearer {SECRET}"
    assert summary.results["documents"] == 20
    assert summary.results["accepted"] >= 15
    for path in (tmp_path / "q").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_compile_against_a_server_with_garbage_ends_well_and_writes_no_secret(
    corpus: Path, tmp_path: Path, small: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with hosted(small, loopback, loopback.mostly("garbage", 0.3)) as server:
        settings = small.compile_settings(
            corpus, tmp_path / "run", lm="openai/loop", api_base=server.address, test_documents=8, threads=8
        )
        summary = compile_programs(settings, scorer=small.FlatScorer())
    assert summary is not None
    assert summary.results["manual"]["test"]["after"]["accepted"] > 0.5
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.parametrize("job", ["compile", "generate"])
def test_a_dead_server_is_told_early(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with hosted(small, loopback, lambda number: None) as server:
        address = server.address
    dead = {"lm": "openai/loop", "api_base": address}
    started = time.monotonic()
    settings: Any
    work: Any
    if job == "compile":
        settings, work = small.compile_settings(corpus, tmp_path / "x", **dead), compile_programs
    else:
        settings, work = small.generate_settings(corpus, compiled, tmp_path / "x", **dead), generate_queries
    # That another model compiled the program is a warning, and not what is tried here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProgramFileWarning)
        with pytest.raises(DeadModelError) as raised:
            work(settings, scorer=small.FlatScorer())
    assert time.monotonic() - started < 60
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "x" / "compiled").exists()


def test_bad_corpora_are_told_before_anything_is_spent(tmp_path: Path, small: Any) -> None:
    world = small.World()
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "1", "text": "fine"}\n{"id": "2", "text": \n')
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    for path, said in ((bad, "bad.jsonl, line 2"), (empty, "the corpus is empty"), (tmp_path / "none", "no such file")):
        with pytest.raises(CorpusError) as raised:
            compile_programs(small.compile_settings(path, tmp_path / "run"), **world.parts)
        assert said in str(raised.value)
    assert world.calls == 0


def test_a_directory_in_use_is_left_alone(corpus: Path, tmp_path: Path, small: Any) -> None:
    from inpars_plus.foundation import Run

    with Run(tmp_path / "run"), pytest.raises(RunError, match="another process"):
        compile_programs(small.compile_settings(corpus, tmp_path / "run"), **small.World().parts)
