"""``compile-programs --warm-start``: from compiled programs to one for another type, for a third of the calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.compile_programs import compile_programs, tell
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.foundation import ConfigurationError
from inpars_plus.foundation.errors import ProgramFileError
from inpars_plus.programs import (
    DocumentAnalyst,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    SentenceQueryGenerator,
    load_program,
    save_program,
)


def save_analyst(path: Path) -> Path:
    card = ProgramCard(
        document_type="any",
        lm="scripted",
        optimizer=OptimizerRecord(name="none"),
        seed=0,
        metric=MetricRecord(name="none"),
        data_hash="",
    )
    save_program(DocumentAnalyst(["faq"]), path, card)
    return path


@pytest.mark.slow
def test_a_new_type_starts_from_a_compiled_program_with_a_third_of_the_calls(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    corpus, out, world = small.write_corpus(tmp_path / "c.jsonl", 130, "faq"), tmp_path / "run", small.World()
    settings = small.compile_settings(corpus, out, budget=300, warm_start=[str(compiled)])
    summary = compile_programs(settings, **world.parts)
    assert summary is not None
    result = summary.results["faq"]
    assert result["calls"] <= 96
    assert result["optimizer"] == "warm-start"
    assert set(result["test"]) == {"before", "nearest", "after", "difference", "difference_nearest", "cheats"}
    assert result["settings"]["nearest"] == "manual"
    assert result["test"]["after"]["score"] > result["test"]["before"]["score"]
    program = load_program(out / "compiled" / "faq.json")
    assert program.card.optimizer.name == "warm-start"
    assert program.card.document_type == "faq"
    assert program.generate.demos
    nearest, start = (
        load_program(path) for path in (out / "work" / "faq" / "nearest.json", compiled / "compiled" / "manual.json")
    )
    assert nearest.generate.demos == start.generate.demos
    assert nearest.key_terms.state() == program.key_terms.state() != start.key_terms.state()
    told = tell(settings, summary)
    assert "nearest" in told
    assert "score, after less nearest:" in told
    assert "pool" not in told
    page = (out / "report.html").read_text()
    assert "nearest program as it is" in page

    again = small.World()
    repeated = compile_programs(settings, **again.parts)
    assert repeated is not None
    assert repeated.results == summary.results
    assert again.calls == 0


def test_a_program_for_documents_is_a_start_for_one_that_asks_about_sentences(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    corpus, out = small.write_corpus(tmp_path / "c.jsonl", 130, "faq"), tmp_path / "run"
    settings = small.compile_settings(
        corpus, out, budget=300, warm_start=[str(compiled)], granularity="sentence", test_documents=8
    )
    compile_programs(settings, **small.World().parts)
    assert type(load_program(out / "compiled" / "faq.json")) is SentenceQueryGenerator
    nearest, start = (
        load_program(path) for path in (out / "work" / "faq" / "nearest.json", compiled / "compiled" / "manual.json")
    )
    assert nearest.generate.signature.instructions == start.generate.signature.instructions
    assert nearest.generate.demos == start.generate.demos


@pytest.mark.slow
def test_another_program_to_start_from_is_another_compile(compiled: Path, tmp_path: Path, small: Any) -> None:
    corpus, out = small.write_corpus(tmp_path / "c.jsonl", 120, "faq"), tmp_path / "run"
    cold = small.compile_settings(corpus, out, budget=150)
    compile_programs(cold, **small.World().parts)
    world = small.World()
    warm = compile_programs(cold.model_copy(update={"warm_start": (compiled,)}), **world.parts)
    assert warm is not None
    assert "nearest" in warm.results["faq"]
    assert world.calls > 0


def test_a_dry_run_tells_the_third(compiled: Path, tmp_path: Path, small: Any, capsys: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 120, "faq")
    settings = small.compile_settings(corpus, tmp_path / "run", budget=300, warm_start=[str(compiled)], dry_run=True)
    compile_programs(settings, **small.World().parts)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("compile faq"))
    assert 80 <= int(line.split()[2]) <= 96


def test_a_directory_gives_its_programs_that_write_queries_each_once(compiled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "copy.json").write_bytes((compiled / "compiled" / "manual.json").read_bytes())
    save_analyst(folder / "analyst.json")
    (folder / "other.json").write_text(json.dumps({"a": 1}))
    found = warm_programs([folder, compiled, compiled / "compiled" / "manual.json"])
    assert [program.card.document_type for program in found] == ["manual"]


def test_programs_that_ask_about_parts_are_programs_to_start_from_too(compiled: Path, tmp_path: Path) -> None:
    plain: Any = load_program(compiled / "compiled" / "manual.json")
    save_program(SentenceQueryGenerator.from_program(plain), tmp_path / "compiled" / "sentences.json", plain.card)
    for path in (tmp_path, tmp_path / "compiled" / "sentences.json"):
        assert [type(program) for program in warm_programs([path])] == [SentenceQueryGenerator]


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"analyst.json: a warm start needs .* this is a DocumentAnalyst"):
        warm_programs([save_analyst(tmp_path / "analyst.json")])


def test_a_directory_without_programs_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no programs that write queries here"):
        warm_programs([tmp_path])
    with pytest.raises(ProgramFileError, match=r"none\.json"):
        warm_programs([tmp_path / "none.json"])


def test_what_is_refused_is_refused_before_anything_is_called(tmp_path: Path, small: Any) -> None:
    world = small.World()
    corpus = small.write_corpus(tmp_path / "c.jsonl", 120, "faq")
    settings = small.compile_settings(corpus, tmp_path / "run", warm_start=[str(tmp_path / "none")])
    with pytest.raises(ProgramFileError, match=r"none"):
        compile_programs(settings, **world.parts)
    assert world.calls == 0


@pytest.mark.parametrize("start", ["run", "run/compiled", "run/compiled/faq.json"])
def test_a_start_from_what_is_written_is_refused(tmp_path: Path, small: Any, start: str) -> None:
    settings = small.compile_settings(tmp_path / "none.jsonl", tmp_path / "run", warm_start=[str(tmp_path / start)])
    with pytest.raises(ConfigurationError, match=r"would begin from itself"):
        compile_programs(settings, **small.World().parts)


def test_a_model_that_would_have_no_instruction_to_write_is_refused(compiled: Path, tmp_path: Path, small: Any) -> None:
    settings = small.compile_settings(
        tmp_path / "none.jsonl", tmp_path / "run", warm_start=[str(compiled)], prompt_lm="writer"
    )
    with pytest.raises(ConfigurationError, match=r"--prompt-lm: a warm start keeps the instruction"):
        compile_programs(settings, **small.World().parts)


@pytest.mark.slow
def test_the_report_of_an_adaptation_shows_each_revision_with_its_verdict(tmp_path: Path, small: Any) -> None:
    corpus, out = small.write_corpus(tmp_path / "c.jsonl", 120), tmp_path / "run"
    compile_programs(
        small.compile_settings(corpus, out, optimizer="adapt", budget=300, test_documents=8), **small.World().parts
    )
    trials = [json.loads(line) for line in (out / "trials" / "manual.jsonl").read_text().splitlines()]
    tried = [trial for trial in trials if trial["accepted"] is not None]
    assert tried
    page = (out / "report.html").read_text()
    for trial in tried:
        assert trial["reason"].partition(",")[0] in page
    assert load_program(out / "compiled" / "manual.json").card.optimizer.name == "adapt"
