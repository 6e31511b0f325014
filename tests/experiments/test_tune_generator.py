"""Tuning from a compiled program to a generator that goes back into it, with a scripted model and a tiny base."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Judgment, Query, open_corpus, write_beir
from inpars_plus.experiments.tune_generator import tell, tune_generator
from inpars_plus.experiments.tuning_samples import sampling_plan
from inpars_plus.foundation import (
    ConfigurationError,
    CorpusError,
    InParsError,
    InputError,
    Summary,
    digest_file,
    read_lines,
)
from inpars_plus.lms import load_lm
from inpars_plus.lms.embedded import local_model, release_pipelines
from inpars_plus.optimizers.generators.pairs import read_pairs
from inpars_plus.optimizers.generators.sampling import OPENINGS
from inpars_plus.programs import ProgramFileWarning, load_program

pytestmark = pytest.mark.usefixtures("one_thread")

MEASURES = {"score", "accepted", "hit@10", "copy4", "top_opening", "documents"}

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import World, tune_settings, write_candidate
from inpars_plus.experiments.tune_generator import tune_generator
corpus, programs, out, base = map(Path, sys.argv[2:6])
world = World(replies=write_candidate, seconds=0.002)
tune_generator(tune_settings(corpus, programs, out, base, epochs=3, single_stream=True), **world.parts)
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


@pytest.fixture(scope="module")
def tuned(compiled: Path, tiny_directory: Path, small: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Settings, summary and number of calls of a finished run, a round of SFT and one of CPO; nobody changes it."""
    folder = tmp_path_factory.mktemp("tuned")
    world = small.World(replies=small.write_candidate)
    corpus = small.write_corpus(folder / "corpus.jsonl", 120)
    settings = small.tune_settings(corpus, compiled, folder / "run", tiny_directory, loss="sft-cpo")
    return settings, tune_generator(settings, **world.parts), world.calls


@pytest.mark.slow
def test_a_tuned_generator_is_written_with_all_that_it_came_from(tuned: Any, compiled: Path) -> None:
    settings, summary, calls = tuned
    out = settings.out
    assert [one["loss"] for one in summary.results["manual"]["rounds"]] == ["sft", "cpo"]
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
    assert set(card["scores"]) > {"before", "after", "after_sampled", "difference"}
    assert all(test[name] == value for name, value in card["scores"].items())
    assert (out / "generator" / "program.json").read_bytes() == (compiled / "compiled" / "manual.json").read_bytes()
    assert local_model(str(out / "generator")).openings == tuple(card["openings"])
    assert len(card["openings"]) >= 4
    assert summary.hashes["generator"] == digest_file(out / "generator" / "model.gguf")

    told = tell(settings, summary)
    assert "before, given openings" in told
    assert str(out / "report.html") in told
    report = (out / "report.html").read_text()
    assert "Round 2 (cpo)" in report
    assert "<script" not in report


@pytest.mark.slow
def test_train_validation_and_test_documents_are_apart_and_rounds_see_others(tuned: Any) -> None:
    out = tuned[0].out
    rounds = [{pair.document_id for pair in read_pairs(out / "rounds" / str(n) / "pairs.jsonl")} for n in (1, 2)]
    test = {json.loads(line)["document_id"] for line in (out / "scores" / "after.jsonl").read_text().splitlines()}
    assert rounds[0].isdisjoint(rounds[1])
    assert test.isdisjoint(rounds[0] | rounds[1])


@pytest.mark.slow
def test_a_finished_tuning_runs_again_without_a_call_and_tells_the_same(tuned: Any, small: Any) -> None:
    settings, summary, _ = tuned
    kinds = (".json", ".jsonl", ".html", ".gguf", ".safetensors")
    before = {path: digest_file(path) for path in settings.out.rglob("*.*") if path.suffix in kinds}
    world = small.World(replies=small.write_candidate)
    again = tune_generator(settings, **world.parts)
    assert again is not None
    assert again.results == summary.results
    assert world.calls == 0
    assert {path: digest_file(path) for path in before} == before


@pytest.mark.slow
def test_the_card_is_of_the_last_command_and_comes_back_where_it_is_taken_away(tune: Any, tmp_path: Path) -> None:
    path = tmp_path / "run" / "generator" / "card.json"
    _, first, _ = tune(tmp_path / "run", rounds=1)
    _, second, _ = tune(tmp_path / "run", rounds=1, test_documents=8)
    assert second.hashes == first.hashes
    card = json.loads(path.read_text())
    assert card["settings"]["test_documents"] == card["scores"]["after"]["documents"] == 8
    path.unlink()
    tune(tmp_path / "run", rounds=1, test_documents=8)
    assert json.loads(path.read_text()) == card


@pytest.mark.slow
def test_a_tuning_killed_in_sampling_training_and_export_ends_the_same(
    tune: Any, corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _, expected, _ = tune(whole, epochs=3, single_stream=True)
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SCRIPT, here, str(corpus), str(compiled), str(killed), str(tiny_directory)]
    deaths = 0
    for sign in ("replies.sqlite", "rounds/1/training/checkpoint.safetensors", "rounds/2/adapter"):
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
        while not (killed / sign).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        deaths += process.wait(timeout=60) == -signal.SIGKILL
    assert deaths >= 2
    _, summary, _ = tune(killed, epochs=3, single_stream=True)
    assert summary.results == expected.results
    assert summary.hashes == expected.hashes
    files = [path.relative_to(whole) for name in ("rounds", "scores") for path in (whole / name).rglob("*.jsonl")]
    assert len(files) == 2 * 3 + 5
    for file in files:
        # The scripted model bears the name of its directory, and memory is what each process happens to hold.
        resumed, undisturbed = (
            re.sub(r', "peak_memory_mb": \d+', "", (run / file).read_text().replace(str(run), "RUN"))
            for run in (killed, whole)
        )
        assert resumed == undisturbed, file


@pytest.mark.slow
def test_people_and_teachers_write_candidates_too_and_other_models_are_compared(
    tune: Any, corpus: Path, tmp_path: Path
) -> None:
    names = [document.id for document in open_corpus(str(corpus)).documents()]
    human = tmp_path / "human"
    write_beir(
        human,
        queries=[Query(id=name, text=f"which seal of {name} did people ask for") for name in names],
        judgments=[Judgment(query_id=name, document_id=name) for name in names],
    )
    out = tmp_path / "run"
    settings, summary, _ = tune(out, human=human, teacher=("wiser",), compare=("other",), rounds=1)
    candidates = [line for _, line in read_lines(out / "rounds" / "1" / "candidates.jsonl")]
    by_origin = {line["origin"].split(",")[0]: line["document_id"] for line in candidates}
    assert {"human", "wiser", "scripted"} <= set(by_origin)
    assert len({line["prompt"] for line in candidates}) == len({line["document_id"] for line in candidates}) == 24
    assert sum(line["origin"] == "human" for line in candidates) == 24
    result = summary.results["manual"]["test"]
    assert result["compared_1"]["documents"] == 16
    assert "compared: other" in tell(settings, summary)
    differences = result["compared"]["compared_1"]
    for other in ("before", "after"):
        gained = result["compared_1"]["score"] - result[other]["score"]
        assert differences[f"less_{other}"]["score"] == pytest.approx(gained)
        assert f"compared 1 less {other}: " in tell(settings, summary)
    assert "compared: other" in (out / "report.html").read_text()


def test_people_must_have_asked_for_documents_of_the_corpus(tune: Any, tmp_path: Path) -> None:
    human = tmp_path / "human"
    asked = [Query(id="1", text="who leaks"), Query(id="2", text="what of it")]
    write_beir(human, queries=asked, judgments=[Judgment(query_id="1", document_id="elsewhere")])
    with pytest.raises(InputError, match=r"train\.tsv: no judgment is of a document of the corpus"):
        tune(tmp_path / "run", human=human)
    (human / "qrels" / "train.tsv").rename(human / "qrels" / "test.tsv")
    with pytest.raises(CorpusError, match=r"There are test\.tsv"):
        tune(tmp_path / "run", human=human)


@pytest.mark.slow
def test_other_settings_in_the_same_directory_train_anew(tune: Any, tmp_path: Path) -> None:
    _, first, _ = tune(tmp_path / "run", rounds=1)
    _, second, calls = tune(tmp_path / "run", rounds=1, learning_rate=5e-3)
    _, alone, _ = tune(tmp_path / "alone", rounds=1, learning_rate=5e-3)
    assert second.hashes == alone.hashes != first.hashes
    assert calls < 24  # what was sampled is kept


@pytest.mark.slow
def test_training_ends_when_the_reward_no_longer_rises(tune: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _, summary, _ = tune(out, rounds=1, epochs=6, patience=1)
    trained = summary.results["manual"]["rounds"][0]["training"]
    log = [line for _, line in read_lines(out / "rounds" / "1" / "training" / "train.jsonl")]
    rewards = [line["reward"] for line in log if "reward" in line]
    # What a tiny model writes is never worth anything, so the first validation stays the best.
    assert rewards == [0.0, 0.0]
    assert trained["stopped_early"]
    assert trained["steps"] == len(log) < 6 * trained["documents"] // 8


def test_a_corpus_without_text_is_told_before_anything_is_sampled(
    compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    corpus = tmp_path / "empty.jsonl"
    corpus.write_text("".join(json.dumps({"_id": str(n), "text": "", "doc_type": "manual"}) + "\n" for n in range(90)))
    world = small.World(replies=small.write_candidate)
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory)
    with pytest.raises(InParsError, match="manual") as caught:
        tune_generator(settings, **world.parts)
    assert len(str(caught.value).splitlines()) == 1
    assert world.calls == 0


@pytest.mark.slow
def test_a_model_that_has_no_gguf_form_is_tuned_and_served_through_torch(
    corpus: Path, compiled: Path, gemma: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", gemma, rounds=1)
    assert tune_generator(settings, **small.World(replies=small.write_candidate).parts) is not None
    generator = tmp_path / "run" / "generator"
    assert not (generator / "model.gguf").exists()
    lm = load_lm(str(generator), max_tokens=4)
    assert lm.engine.openings
    assert isinstance(lm("Query:")[0], str)
    release_pipelines()


@pytest.mark.slow
def test_rounds_share_what_train_documents_there_are(
    tune: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "inpars_plus"):
        _, summary, _ = tune(tmp_path / "run", train_documents=10_000, rounds=2)
    first, second = (one["sampled"]["documents"] for one in summary.results["manual"]["rounds"])
    assert first == second < 10_000
    assert "so each round takes" in caplog.text


def test_more_rounds_than_documents_are_refused(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--rounds: \d+ train documents .* too few for 50 rounds"):
        tune(tmp_path / "run", rounds=50)


def test_sft_then_cpo_needs_two_rounds(tmp_path: Path, small: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^--loss sft-cpo begins .* needs 2 rounds at least"):
        small.tune_settings(tmp_path, tmp_path, tmp_path, tmp_path, loss="sft-cpo", rounds=1)


def test_a_wrong_name_of_a_model_to_compare_with_is_told_before_anything_is_sampled(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(
        corpus, compiled, tmp_path / "run", tiny_directory, lm=str(tiny_directory), compare=("gguf:missing.gguf",)
    )
    with pytest.raises(ConfigurationError, match=r"no file missing\.gguf"):
        tune_generator(settings)
    hosted = settings.model_copy(update={"compare": (), "api_base": "http://localhost:1/v1"})
    with pytest.raises(ConfigurationError, match="--api-base: an address was given, but every model"):
        tune_generator(hosted)
    assert not (tmp_path / "run" / "rounds").exists()


def test_teachers_of_two_providers_do_not_share_an_address(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(
        *(corpus, compiled, tmp_path / "run", tiny_directory),
        lm=str(tiny_directory),
        teacher=("openai/mine",),
        compare=("anthropic/claude",),
        api_base="http://localhost:1/v1",
    )
    with pytest.raises(ConfigurationError, match=r"one address, and models of anthropic and openai.*_API_BASE"):
        tune_generator(settings)


@pytest.mark.slow
def test_another_kind_of_base_in_the_same_directory_leaves_nothing_of_the_first(
    corpus: Path, compiled: Path, tiny_directory: Path, gemma: Path, tmp_path: Path, small: Any
) -> None:
    for base in (tiny_directory, gemma):
        settings = small.tune_settings(corpus, compiled, tmp_path / "run", base, rounds=1)
        assert tune_generator(settings, **small.World(replies=small.write_candidate).parts) is not None
    assert not list((tmp_path / "run").rglob("*.gguf"))


def test_too_few_pairs_are_told_with_the_place(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"candidates\.jsonl: 4 documents gave \d+ preference pairs, but 16"):
        tune(tmp_path / "run", train_documents=4, rounds=1)


def test_a_hosted_model_cannot_be_tuned(corpus: Path, compiled: Path, tiny_directory: Path, small: Any) -> None:
    settings = small.tune_settings(corpus, compiled, Path("never"), tiny_directory, lm="openai/gpt-4o-mini")
    with pytest.raises(ConfigurationError, match="only such a one can be tuned"):
        tune_generator(settings)
    assert not Path("never").exists()


def test_a_job_that_a_launcher_starts_several_times_is_refused(
    tune: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigurationError, match=r"started in several processes.*Start it once.*takes every GPU"):
        tune(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.model
def test_a_base_with_another_tokenizer_is_refused_before_anything_is_sampled(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, lm="embedded")
    with pytest.warns(ProgramFileWarning), pytest.raises(ConfigurationError, match="different tokenizers"):
        tune_generator(settings)
    assert not (tmp_path / "run" / "rounds").exists()


@pytest.mark.parametrize("samples", range(2, 17))
def test_however_few_the_samples_some_go_on_from_an_opening_and_some_do_not(
    samples: int, tmp_path: Path, small: Any
) -> None:
    settings = small.tune_settings(tmp_path, tmp_path, tmp_path, tmp_path, samples=samples)
    plan = sampling_plan(settings, OPENINGS)
    assert plan.calls == samples
    assert min(plan.free, plan.opened, plan.draws) >= 1


def test_the_plan_is_told_without_a_call(
    tmp_path: Path, corpus: Path, compiled: Path, tiny_directory: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small.World()
    settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, dry_run=True)
    assert tune_generator(settings, **world.parts) is None
    assert "nothing was called" in capsys.readouterr().out
    assert world.calls == 0
    assert not (tmp_path / "run").exists()
