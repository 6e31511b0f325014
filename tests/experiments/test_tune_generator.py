"""Tuning from a compiled program to a generator that goes back into it, with a scripted model and a tiny base."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.tune_generator import tell, tune_generator
from inpars_plus.foundation import ConfigurationError, InputError, Summary, digest_file
from inpars_plus.lms.embedded import local_model
from inpars_plus.optimizers.generators.pairs import read_pairs
from inpars_plus.programs import ProgramFileWarning, load_program

MEASURES = {"score", "accepted", "hit@10", "copy4", "top_opening", "documents"}

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import World, tune_settings, write_candidate
from inpars_plus.experiments.tune_generator import tune_generator
corpus, programs, out, base = map(Path, sys.argv[2:6])
world = World(replies=write_candidate, seconds=0.002)
tune_generator(tune_settings(corpus, programs, out, base, epochs=3), **world.parts)
"""


@pytest.fixture
def tune(corpus: Path, compiled: Path, tiny_directory: Path, small: Any) -> Any:
    """Runs the job; gives its settings, its summary and how often the model was called."""

    def run(out: Path, **values: Any) -> tuple[Any, Summary, int]:
        world = small.World(replies=small.write_candidate)
        settings = small.tune_settings(corpus, compiled, out, tiny_directory, **values)
        summary = tune_generator(settings, **world.parts)
        assert summary is not None
        return settings, summary, world.calls

    return run


@pytest.mark.slow
def test_a_tuned_generator_is_written_with_all_that_it_came_from(tune: Any, compiled: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings, summary, calls = tune(out)
    assert json.loads((out / "summary.json").read_text())["results"] == summary.results
    assert calls == summary.lm.calls

    test = summary.results["manual"]["test"]
    for row in ("before", "before_with_openings", "after", "before_sampled", "after_sampled"):
        assert set(test[row]) >= MEASURES
        assert test[row]["documents"] == 16
    assert set(test["difference"]) == set(test["dense"]["difference"]) == {"score", "low", "high"}
    assert set(test["cheats"]["title"]) >= MEASURES

    card = json.loads((out / "generator" / "card.json").read_text())
    assert card["program"]["digest"] == load_program(compiled / "compiled" / "manual.json").card.digest
    assert card["data"] == [digest_file(out / "rounds" / str(number) / "pairs.jsonl") for number in (1, 2)]
    assert (out / "generator" / "program.json").read_bytes() == (compiled / "compiled" / "manual.json").read_bytes()
    assert local_model(str(out / "generator")).openings == tuple(card["openings"])
    assert len(card["openings"]) >= 4
    assert summary.hashes["generator/model.gguf"] == digest_file(out / "generator" / "model.gguf")

    told = tell(settings, summary)
    assert "before, given openings" in told
    assert str(out / "report.html") in told
    report = (out / "report.html").read_text()
    assert "Round 2 (cpo)" in report
    assert "<script" not in report


@pytest.mark.slow
def test_train_validation_and_test_documents_are_apart_and_rounds_see_others(tune: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tune(out)
    rounds = [{pair.document_id for pair in read_pairs(out / "rounds" / str(n) / "pairs.jsonl")} for n in (1, 2)]
    test = {json.loads(line)["document_id"] for line in (out / "scores" / "after.jsonl").read_text().splitlines()}
    assert rounds[0].isdisjoint(rounds[1])
    assert test.isdisjoint(rounds[0] | rounds[1])


@pytest.mark.slow
def test_a_finished_tuning_runs_again_without_a_call_and_tells_the_same(tune: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tune(out)
    kinds = (".json", ".jsonl", ".html", ".gguf", ".safetensors")
    before = {path: digest_file(path) for path in out.rglob("*.*") if path.suffix in kinds}
    _, _, calls = tune(out)
    assert calls == 0
    assert {path: digest_file(path) for path in before} == before


@pytest.mark.slow
def test_a_tuning_killed_in_sampling_training_and_export_ends_the_same(
    tune: Any, corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _, expected, _ = tune(whole, epochs=3)
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SCRIPT, here, str(corpus), str(compiled), str(killed), str(tiny_directory)]
    deaths = 0
    for sign in ("replies.sqlite", "rounds/1/training/checkpoint.safetensors", "rounds/2/adapter"):
        process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)
        while not (killed / sign).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        deaths += process.wait(timeout=60) == -signal.SIGKILL
    assert deaths >= 2
    _, summary, _ = tune(killed, epochs=3)
    assert summary.results == expected.results
    assert summary.hashes == expected.hashes


def test_too_few_pairs_are_told_with_the_place(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"candidates\.jsonl: 4 documents gave \d+ preference pairs, but 16"):
        tune(tmp_path / "run", train_documents=4, rounds=1)


def test_a_hosted_model_cannot_be_tuned(corpus: Path, compiled: Path, tiny_directory: Path, small: Any) -> None:
    settings = small.tune_settings(corpus, compiled, Path("never"), tiny_directory, lm="openai/gpt-4o-mini")
    with pytest.raises(ConfigurationError, match="only a local one can be tuned"):
        tune_generator(settings)
    assert not Path("never").exists()


@pytest.mark.slow
@pytest.mark.model
def test_a_base_with_another_tokenizer_is_refused_before_anything_is_sampled(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, lm="embedded")
    with pytest.warns(ProgramFileWarning), pytest.raises(ConfigurationError, match="different tokenizers"):
        tune_generator(settings)
    assert not (tmp_path / "run" / "rounds").exists()


def test_the_plan_is_told_without_a_call(
    tmp_path: Path, corpus: Path, compiled: Path, tiny_directory: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small.World()
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, dry_run=True)
    assert tune_generator(settings, **world.parts) is None
    assert "nothing was called" in capsys.readouterr().out
    assert world.calls == 0
    assert not (tmp_path / "run").exists()
