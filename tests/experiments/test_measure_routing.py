"""Measuring routing: the figures follow from the lines, and a finished run asks nothing again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import split_documents, write_documents
from inpars_plus.experiments.analysts import ANALYST, how_fitted
from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.experiments.measure_routing import measure_routing, tell
from inpars_plus.experiments.routing_bench import ADAPTIVE, TRUE_TYPE, UNCOMPILED, alone
from inpars_plus.experiments.selection import safe_name
from inpars_plus.foundation import ConfigurationError, read_lines
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import MetricRecord, OptimizerRecord, ProgramCard, QueryGenerator, load_program, save_program
from inpars_plus.retrieval.hashing import HashingEncoder

TYPES = ("code", "report", "talk")


@pytest.fixture(autouse=True)
def _hashing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))
    for module in ("analysts", "routing_bench"):
        monkeypatch.setattr(f"inpars_plus.experiments.{module}.load_encoder", HashingEncoder)


@pytest.fixture
def corpus(typed: Any, tmp_path: Path) -> Path:
    write_documents(tmp_path / "c.jsonl", typed.some(200, *TYPES))
    return tmp_path / "c.jsonl"


@pytest.mark.slow
def test_routing_is_measured_on_documents_that_the_analyst_has_not_seen(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.generate_settings(corpus, tmp_path / "none", tmp_path / "out")
    summary = measure_routing(settings, generation=False)
    routing = summary.results["routing"]
    assert routing["accuracy"]["all"] >= 0.9  # hashed words are a poor encoder
    for name in TYPES:
        row = routing["confusion"][name]
        assert routing["accuracy"][name] == pytest.approx(row.get(name, 0) / sum(row.values()))
    unseen = sum(sum(row.values()) for row in routing["confusion"].values())
    assert unseen + sum(routing["fitted"]["documents"].values()) == 600
    assert set(summary.results["foreign"]) == set(TYPES)
    assert min(summary.results["foreign"].values()) > 0.9
    assert "generation" not in summary.results
    assert "unknown when not fitted" in tell(summary)


@pytest.mark.slow
def test_adaptive_generation_stands_beside_every_other_way_to_choose(corpus: Path, tmp_path: Path, small: Any) -> None:
    compiling = small.compile_settings(
        corpus, tmp_path / "run", by_type=True, test_documents=4, cross_types=False, analyst=True
    )
    compile_programs(compiling, **small.World().parts)
    world = small.World()
    settings = small.generate_settings(corpus, tmp_path / "run", tmp_path / "out")
    summary = measure_routing(settings, generation=True, test_documents=12, **world.parts)
    found = summary.results["generation"]
    rows = {ADAPTIVE, TRUE_TYPE, UNCOMPILED, *map(alone, TYPES)}
    assert set(found["rows"]) == set(found["by_type"]) == rows
    assert set(found["differences"]) == rows - {ADAPTIVE}
    assert {row["documents"] for row in found["rows"].values()} == {36}
    for row in rows:
        mean = sum(found["by_type"][row][name] for name in TYPES) / 3
        assert found["rows"][row]["score"] == pytest.approx(mean, abs=1e-5)
    for name in TYPES:
        assert found["by_type"][TRUE_TYPE][name] == found["by_type"][alone(name)][name]
    difference = found["rows"][ADAPTIVE]["score"] - found["rows"][TRUE_TYPE]["score"]
    assert found["differences"][TRUE_TYPE]["score"] == pytest.approx(difference, abs=1e-5)
    assert found["best_single"] == max(map(alone, TYPES), key=lambda row: found["rows"][row]["score"])
    assert found["cheats"]["title"]["documents"] == 36
    told = tell(summary)
    assert "(best single)" in told
    assert "cheat: title" in told
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["results"] == json.loads(
        json.dumps(summary.results)
    )

    calls = world.calls
    again = measure_routing(settings, generation=True, test_documents=12, **world.parts)
    assert again.results == summary.results
    assert world.calls == calls


@pytest.mark.slow
def test_each_row_is_written_by_its_program_which_reads_no_type_but_the_one_told(
    corpus: Path, typed: Any, tmp_path: Path, small: Any
) -> None:
    for name in TYPES:
        program = QueryGenerator(attempts=1)
        program.generate.signature = program.generate.signature.with_instructions(f"Write as {name} does.")
        card = ProgramCard(
            document_type=name,
            lm="scripted",
            optimizer=OptimizerRecord(name="none"),
            seed=0,
            metric=MetricRecord(name="none"),
            data_hash="none",
        )
        save_program(program, tmp_path / "programs" / f"{name}.json", card)

    def reply(prompt: str) -> str:
        """A query that says whose instruction the model read, and which type it was told."""
        program = re.search(r"Write as (\w+) does", prompt)
        told = re.findall(r"## document_type ## \]\]\s+(\w+)", prompt)[-1]
        query = f"why would {program[1] if program else 'nobody'} and {told} ever stall"
        return f"[[ ## queries ## ]]\n{json.dumps([query])}\n\n[[ ## completed ## ]]"

    world = small.World(replies=reply, chat=True)
    settings = small.generate_settings(corpus, tmp_path / "programs", tmp_path / "out")
    measure_routing(settings, generation=True, test_documents=12, **world.parts)

    def lines(row: str) -> dict[str, str]:
        found = read_lines(tmp_path / "out" / "scores" / f"{safe_name(row)}.jsonl")
        return {line["document_id"]: line["query"].split(" ever")[0] for _, line in found}

    documents = [one for one in typed.some(200, *TYPES) if one.id in lines(ADAPTIVE)]
    analyst: Any = load_program(tmp_path / "out" / ANALYST)
    routes = analyst.use_encoder(HashingEncoder()).route(documents)
    told = {one.id: route.document_type for one, route in zip(documents, routes, strict=True)}
    right = [one.id for one in documents if told[one.id] == one.doc_type]
    assert len(right) >= 0.8 * len(documents) == 0.8 * 36
    for name in TYPES:
        assert set(lines(alone(name)).values()) == {f"why would {name} and document"}
    assert set(lines(UNCOMPILED).values()) == {"why would nobody and document"}
    assert lines(TRUE_TYPE) == {one.id: f"why would {one.doc_type} and {one.doc_type}" for one in documents}
    assert [lines(ADAPTIVE)[one] for one in right] == [lines(TRUE_TYPE)[one] for one in right]
    for one, other in told.items():
        assert lines(ADAPTIVE)[one] == f"why would {other or TYPES[0]} and {other or 'document'}"
    asked = [prompt for prompt in world.models[0].engine.prompts if "Write as" in prompt]
    assert len(set(asked)) == len(asked)  # what one row has paid for is found again by the others


@pytest.mark.slow
def test_one_type_and_a_type_without_a_program_are_refused(
    corpus: Path, compiled: Path, typed: Any, tmp_path: Path, small: Any
) -> None:
    write_documents(tmp_path / "one.jsonl", typed.some(60, "code"))
    settings = small.generate_settings(tmp_path / "one.jsonl", compiled, tmp_path / "a")
    with pytest.raises(ConfigurationError, match="documents of one type need no analyst"):
        measure_routing(settings, generation=False)
    settings = small.generate_settings(corpus, compiled, tmp_path / "b")
    with pytest.raises(ConfigurationError, match="none of the programs is for the document type 'code'"):
        measure_routing(settings, generation=True, **small.World().parts)


@pytest.mark.parametrize(("name", "least"), [("fit_documents", 8), ("test_documents", 4)])
@pytest.mark.parametrize("number", [-1, 0, 3])
def test_too_few_documents_are_refused_by_their_flag(
    tmp_path: Path, small: Any, name: str, least: int, number: int
) -> None:
    settings = small.generate_settings(tmp_path / "none.jsonl", tmp_path / "none", tmp_path / "out")
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigurationError, match=rf"{flag}: {number} documents .* Give {least} or more"):
        measure_routing(settings, generation=False, **{name: number})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_analyst_that_was_fitted_in_another_way_is_fitted_again(
    typed: Any, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents(tmp_path / "c.jsonl", typed.some(50, *TYPES))
    settings = small.generate_settings(tmp_path / "c.jsonl", tmp_path / "none", tmp_path / "out")
    fits = []

    def counted(*given: Any, **how: Any) -> Any:
        fits.append(given)
        return fit_type_router(*given, **how)

    for module in ("analysts", "routing_bench"):
        monkeypatch.setattr(f"inpars_plus.experiments.{module}.fit_type_router", counted)
    measure_routing(settings, generation=False)
    measure_routing(settings, generation=False)
    assert len(fits) == 4  # one of all types, and one without each
    monkeypatch.setattr(HashingEncoder, "digest", "another encoder")
    measure_routing(settings, generation=False)
    assert len(fits) == 8


@pytest.mark.parametrize(("name", "value"), [("METHOD", -1), ("KEPT", 0.9), ("FORM_FEATURES", ("length",))])
def test_each_part_of_the_fitting_is_among_the_inputs(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = how_fitted(HashingEncoder())
    monkeypatch.setattr(f"inpars_plus.experiments.analysts.{name}", value)
    assert how_fitted(HashingEncoder()) != before


def test_a_type_without_a_test_document_is_named(typed: Any, tmp_path: Path, small: Any) -> None:
    few = split_documents(typed.some(20, "talk")).train[:9]
    write_documents(tmp_path / "few.jsonl", [*typed.some(60, "code"), *few])
    settings = small.generate_settings(tmp_path / "few.jsonl", tmp_path / "none", tmp_path / "out")
    with pytest.raises(ConfigurationError, match=r"none of the 9 documents of type 'talk'.*50 of a type"):
        measure_routing(settings, generation=False)
