"""``measure-adaptation``: which revisions get in, and what they do on test documents."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import TransportError

from inpars_plus.corpora import open_corpus
from inpars_plus.experiments import adaptation_bench
from inpars_plus.experiments.adaptation_bench import HARMFUL, scripted_proposer
from inpars_plus.experiments.measure_adaptation import (
    MeasureAdaptationSettings,
    measure_adaptation,
    tell,
)
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation import ConfigurationError
from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.prompts import pool_for
from inpars_plus.optimizers.prompts.adaptation import Adaptation
from inpars_plus.programs import load_program

STARTS = ("why", "when", "how often", "under what load")
HELPFUL = pool_for("manual").texts[1]


def obedient(prompt: str) -> str:
    """Queries that are as good as the instruction asks for; JSON where a proposer is asked."""
    if "Respond with a JSON" in prompt:
        if "`revision`" in prompt.rpartition("Respond with")[2]:
            return json.dumps({"reasoning": "x", "revision": {"text": HELPFUL}})
        return json.dumps({"reasoning": "x", "diagnosis": {"patterns": ["They are vague."], "missed_aspects": []}})
    instruction, _, last = prompt.rpartition("Document:")
    chance = 0.0 if any(text in instruction for text in HARMFUL) else 0.9 if HELPFUL in instruction else 0.3
    draw = int(hashlib.sha256(f"{last}{instruction}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    machine, name = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
    start = STARTS[int(draw * 1000) % 4]
    return f" {start} does the {machine} of {name} lose its seal" if draw < chance else f" {start} do machines break"


def settings_for(corpus: Path, out: Path, **values: Any) -> MeasureAdaptationSettings:
    small = {"lm": "scripted", "retriever": "bm25", "threads": 4, "validation_documents": 40, "test_documents": 40}
    return make_settings(
        MeasureAdaptationSettings, "measure-adaptation", corpus=str(corpus), out=out, **{**small, **values}
    )


@pytest.fixture
def wide(tmp_path: Path, small: Any) -> Path:
    path: Path = small.write_corpus(tmp_path / "corpus.jsonl", 400)
    return path


@pytest.mark.slow
def test_harmful_revisions_are_rejected_and_what_is_accepted_helps_on_test_documents(
    wide: Path, tmp_path: Path, small: Any
) -> None:
    settings = settings_for(wide, tmp_path / "run", proposer=["scripted", "writer"])
    summary = measure_adaptation(settings, **small.World(replies=obedient).parts)
    rows = summary.results["manual"]
    assert rows["scripted"]["meant_to_harm"] == {"offered": 4, "accepted": 0}
    assert rows["scripted"]["did_harm"]["offered"] >= 4
    assert rows["scripted"]["did_harm"]["accepted"] == 0
    for row in rows.values():
        (only,) = row["runs"]
        assert [one["instruction"] for one in only["tries"] if one["accepted"]] == [HELPFUL]
        assert only["chosen"] == HELPFUL
        assert only["difference"]["low"] > 0.1
        assert only["final"] == pytest.approx(only["first"] + only["difference"]["score"])
    assert all(
        one["test"]["score"] < 0 for one in rows["scripted"]["runs"][0]["tries"] if one["instruction"] in HARMFUL
    )
    told = tell(settings, summary)
    assert "0 of 4" in told
    assert "Copy the first sentence." in told
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["results"] == summary.results


@pytest.mark.slow
def test_a_revision_that_was_meant_to_harm_and_helps_is_no_harm(wide: Path, tmp_path: Path, small: Any) -> None:
    """A small model hardly follows an instruction: "Write one word." made its queries better than a long one did."""

    def contrary(prompt: str) -> str:
        told = prompt.replace(HELPFUL, "Sing.").replace(HARMFUL[1], HELPFUL) if "Document:" in prompt else prompt
        return obedient(told)

    settings = settings_for(wide, tmp_path / "run", tries=4)
    row = measure_adaptation(settings, **small.World(replies=contrary).parts).results["manual"]["scripted"]
    assert [one["instruction"] for one in row["runs"][0]["tries"] if one["accepted"]] == [HARMFUL[1]]
    assert row["meant_to_harm"] == {"offered": 2, "accepted": 1}
    assert row["did_harm"]["accepted"] == 0
    assert row["did_harm"]["offered"] >= 1


@pytest.mark.slow
def test_a_finished_command_calls_nothing_and_another_proposer_only_what_is_new(
    wide: Path, tmp_path: Path, small: Any
) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=4)
    first = measure_adaptation(settings, **small.World(replies=obedient).parts)
    world = small.World(replies=obedient)
    assert measure_adaptation(settings, **world.parts).results == first.results
    assert world.calls == 0
    more = measure_adaptation(
        settings.model_copy(update={"proposer": ("scripted", "writer")}), **small.World(replies=obedient).parts
    )
    assert more.results["manual"]["scripted"] == first.results["manual"]["scripted"]


@pytest.mark.slow
def test_each_seed_draws_other_documents(wide: Path, tmp_path: Path, small: Any) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=2, seeds=2)
    runs = measure_adaptation(settings, **small.World(replies=obedient).parts).results["manual"]["scripted"]["runs"]
    assert [row["seed"] for row in runs] == [0, 1]
    assert runs[0]["first"] != runs[1]["first"]


def test_a_proposer_that_writes_nonsense_leaves_the_instruction_as_it_is(
    wide: Path, tmp_path: Path, small: Any
) -> None:
    def babbling(prompt: str) -> str:
        return "no idea" if "Respond with a JSON" in prompt else obedient(prompt)

    settings = settings_for(wide, tmp_path / "run", tries=2, proposer=["writer"])
    summary = measure_adaptation(settings, **small.World(replies=babbling).parts)
    (row,) = summary.results["manual"]["writer"]["runs"]
    assert [one["reason"] for one in row["tries"]] == ["no revision came: unreadable_diagnosis"] * 2
    assert row["final"] == row["first"]
    assert "(none)" in tell(settings, summary)


@pytest.mark.slow
def test_it_can_begin_with_a_compiled_program_and_with_one_only(
    wide: Path, compiled: Path, tmp_path: Path, small: Any
) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=1, program=compiled)
    summary = measure_adaptation(settings, **small.World(replies=obedient).parts)
    uncompiled = measure_adaptation(
        settings_for(wide, tmp_path / "other", tries=1), **small.World(replies=obedient).parts
    )
    runs = [one.results["manual"]["scripted"]["runs"][0] for one in (summary, uncompiled)]
    assert runs[0]["chosen"] != runs[1]["chosen"]
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("compiled.json", "best_pool_prompt.json"):
        (folder / name).write_bytes((compiled / "work" / "manual" / name).read_bytes())
    several = settings_for(wide, tmp_path / "run", tries=1, program=folder)
    with pytest.raises(ConfigurationError, match=r"begins with one program, and here are 2"):
        measure_adaptation(several, **small.World(replies=obedient).parts)


@pytest.mark.slow
@pytest.mark.parametrize("lm", ["other", "writer"])
def test_a_proposer_that_never_answers_is_no_result_also_under_the_generators_name(
    wide: Path, tmp_path: Path, small: Any, lm: str
) -> None:
    def refusing(prompt: str) -> str:
        if "Respond with a JSON" in prompt:
            raise TransportError("connection refused")
        return obedient(prompt)

    settings = settings_for(wide, tmp_path / "run", tries=1, lm=lm, proposer=["writer"])
    with pytest.raises(DeadModelError, match=r"'writer'.* calls for a new instruction .*connection refused"):
        measure_adaptation(settings, **small.World(replies=refusing).parts)
    summary = measure_adaptation(settings, **small.World(replies=obedient).parts)
    assert summary.results["manual"]["writer"]["runs"][0]["chosen"] == HELPFUL


def test_where_no_revision_could_be_accepted_the_tries_are_refused_before_anything_is_called(
    wide: Path, tmp_path: Path, small: Any
) -> None:
    world = small.World(replies=obedient)
    settings = settings_for(wide, tmp_path / "run", tries=4, validation_documents=6)
    with pytest.raises(ConfigurationError, match=r"with 6 validation documents .* none of 4 .* at most 3 tries"):
        measure_adaptation(settings, **world.parts)
    settings = settings_for(wide, tmp_path / "run", tries=1, validation_documents=4)
    with pytest.raises(ConfigurationError, match=r"none of 1 .*whatever it does\. Give more documents\.?$"):
        measure_adaptation(settings, **world.parts)
    assert world.calls == 0


def test_a_proposer_that_is_named_twice_is_measured_once(wide: Path, tmp_path: Path, small: Any) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=1, seeds=1, proposer=["scripted", "scripted"])
    summary = measure_adaptation(settings, **small.World(replies=obedient).parts)
    assert [len(row["runs"]) for row in summary.results["manual"].values()] == [1]


@pytest.mark.slow
def test_a_harmful_revision_is_counted_once_and_the_script_is_not_begun_again(
    wide: Path, tmp_path: Path, small: Any
) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=9)
    with pytest.raises(ConfigurationError, match=r"has 8 revisions, and here are 9 tries"):
        measure_adaptation(settings, **small.World(replies=obedient).parts)

    def repeating(prompt: str) -> str:
        if "`revision`" in prompt.rpartition("Respond with")[2]:
            return json.dumps({"reasoning": "x", "revision": {"text": HARMFUL[0]}})
        return obedient(prompt)

    settings = settings_for(wide, tmp_path / "run", tries=3, proposer=["writer"])
    summary = measure_adaptation(settings, **small.World(replies=repeating).parts)
    row = summary.results["manual"]["writer"]
    assert len(row["runs"][0]["tries"]) == 3
    assert row["meant_to_harm"] == {"offered": 1, "accepted": 0}
    assert "0 of 1" in tell(settings, summary)


@pytest.mark.slow
def test_another_checkpoint_or_script_of_the_same_name_is_another_adaptation(
    wide: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(wide, tmp_path / "run", tries=2, proposer=["writer", "scripted"])

    def chosen(checkpoint: str, text: str) -> tuple[str, str]:
        def writing(prompt: str) -> str:
            asked = "`revision`" in prompt.rpartition("Respond with")[2]
            return json.dumps({"reasoning": "x", "revision": {"text": text}}) if asked else obedient(prompt)

        def make_lm(name: str, store: Any) -> Any:
            name = f"{name}@{checkpoint}" if name == "writer" else name
            return scripted_lm(writing, store=store, name=name, num_retries=0)

        rows = measure_adaptation(settings, make_lm=make_lm, scorer=small.FlatScorer()).results["manual"]
        return tuple(
            rows[name]["runs"][0]["tries"][at]["instruction"] for at, name in enumerate(("writer", "scripted"))
        )

    assert chosen("1", "Ask about the machine first.") == ("Ask about the machine first.", HARMFUL[0])
    monkeypatch.setattr(adaptation_bench, "HARMFUL", ("Sing about the machine.",))
    assert chosen("2", "Ask about the seal first.") == ("Ask about the seal first.", "Sing about the machine.")


def test_documents_that_a_compiled_program_shows_are_left_out(
    wide: Path, compiled: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    demonstrations = load_program(compiled / "compiled" / "manual.json").generate.demos
    shown = {
        one.id
        for one in open_corpus([str(wide)]).documents()
        if any(" ".join(one.text.split()[:20]) in demo["document"] for demo in demonstrations)
    }
    assert shown
    used: set[str] = set()

    def adapting(bench: Any, start: Any, *rest: Any, train: Any, validation: Any, **_: Any) -> Adaptation:
        used.update(example.source.id for example in (*train, *validation))
        return Adaptation(start, ())

    monkeypatch.setattr(adaptation_bench, "adapt_instruction", adapting)
    everything = {"train_documents": 400, "validation_documents": 400, "test_documents": 4, "tries": 1}
    for program, expected in ((None, set()), (compiled, shown)):
        used.clear()
        settings = settings_for(wide, tmp_path / f"run-{program is None}", program=program, **everything)
        measure_adaptation(settings, **small.World(replies=obedient).parts)
        assert (shown - used == expected) if program is None else used.isdisjoint(shown)


def test_half_of_the_scripted_revisions_are_harmful() -> None:
    _, revisions = scripted_proposer("scientific-abstract", 8)
    assert sum(text in HARMFUL for text in revisions) == 4
    assert len(set(revisions)) == 8
    assert set(revisions) - set(HARMFUL) <= set(pool_for("scientific-abstract").texts)


@pytest.mark.model
@pytest.mark.slow
def test_with_the_embedded_generator_no_harmful_revision_gets_in(wide: Path, tmp_path: Path, small: Any) -> None:
    settings = settings_for(
        wide, tmp_path / "run", lm="embedded", tries=2, validation_documents=12, test_documents=8, train_documents=8
    )
    summary = measure_adaptation(settings, scorer=small.FlatScorer())
    assert summary.results["manual"]["scripted"]["meant_to_harm"] == {"offered": 1, "accepted": 0}
