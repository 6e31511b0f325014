from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Ledger, LedgerEntry, read_judgments, read_queries, write_documents
from inpars_plus.experiments.analysts import fit_analyst
from inpars_plus.experiments.generate_queries import RECORD, generate_queries, tell
from inpars_plus.experiments.generating import Outcome
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import ConfigurationError, InputError, ProgramFileError, Run
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    Scores,
    load_program,
    programs_of,
    save_program,
)
from inpars_plus.retrieval.hashing import HashingEncoder


@pytest.mark.slow
def test_generation_writes_a_directory_to_train_on_and_a_ledger_that_explains_it(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any
) -> None:
    world, out = small.World(), tmp_path / "queries"
    settings = small.generate_settings(corpus, compiled, out, queries_per_document=2)
    summary = generate_queries(settings, **world.parts)

    entries = list(Ledger(out / "ledger.jsonl").entries())
    assert {entry.document_id for entry in entries} == {f"manual-{number}" for number in range(120)}
    kept = [entry for entry in entries if entry.accepted]
    assert 0 < len(kept) < len(entries)
    assert all(entry.scores["rank"] <= 10 for entry in kept)
    assert all(entry.program == kept[0].program for entry in entries)
    assert {entry.attempt for entry in entries} > {1}

    queries = {query.id: query for query in read_queries(out / "queries.jsonl")}
    judgments = read_judgments(out / "qrels" / "train.tsv")
    assert len(queries) == len(judgments) == len(kept)
    pairs = {(queries[one.query_id].text, one.document_id) for one in judgments}
    assert pairs == {(entry.candidate, entry.document_id) for entry in kept}
    reference = json.loads((out / "corpus-reference.json").read_text())
    assert reference["corpora"][0]["location"] == str(corpus.resolve())

    results = json.loads((out / "summary.json").read_text())["results"]
    assert results == json.loads(json.dumps(summary.results))
    assert results["asked"] == 240
    assert results["accepted"] == len(kept)
    assert results["accepted_share"] == pytest.approx(len(kept) / 240)
    assert results["reasons"] == dict(Counter(entry.reason for entry in entries if entry.reason))
    short = {int(missing): count for missing, count in results["documents_short_of_queries"].items()}
    assert sum(missing * count for missing, count in short.items()) == 240 - len(kept)
    assert f"{len(kept):,} queries accepted of 240" in tell(settings, summary)


def test_a_grown_corpus_gets_queries_for_its_new_documents_only(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    settings = small.generate_settings(corpus, compiled, out)
    generate_queries(settings, **small.World().parts)
    ledger = (out / "ledger.jsonl").read_text()
    queries = {query.id for query in read_queries(out / "queries.jsonl")}

    with corpus.open("a") as file:
        file.writelines(json.dumps(small.row(number)) + "\n" for number in range(120, 130))
    world = small.World()
    generate_queries(settings, **world.parts)
    grown = (out / "ledger.jsonl").read_text()
    assert grown.startswith(ledger)
    new = [json.loads(line)["document_id"] for line in grown[len(ledger) :].splitlines()]
    assert set(new) == {f"manual-{number}" for number in range(120, 130)}
    assert 10 <= world.calls <= 30
    assert queries <= {query.id for query in read_queries(out / "queries.jsonl")}


@pytest.mark.slow
def test_a_finished_generation_runs_again_without_a_call(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.generate_settings(corpus, compiled, tmp_path / "queries")
    generate_queries(settings, **small.World().parts)
    files = {path: path.read_bytes() for path in (tmp_path / "queries").rglob("*.jsonl")}
    world = small.World()
    generate_queries(settings, **world.parts)
    assert world.calls == 0
    assert {path: path.read_bytes() for path in files} == files


def test_documents_that_left_the_corpus_leave_the_files_too(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.generate_settings(corpus, compiled, tmp_path / "queries")
    generate_queries(settings, **small.World().parts)
    corpus.write_text("".join(f"{line}\n" for line in corpus.read_text().splitlines()[:60]))
    summary = generate_queries(settings, **small.World().parts)
    assert summary.results["documents"] == 60
    judged = {judgment.document_id for judgment in read_judgments(tmp_path / "queries" / "qrels" / "train.tsv")}
    assert judged <= {f"manual-{number}" for number in range(60)}


def test_a_limit_draws_by_seed_and_can_be_raised(compiled: Path, corpus: Path, tmp_path: Path, small: Any) -> None:
    out = tmp_path / "queries"
    generate_queries(small.generate_settings(corpus, compiled, out, limit=10), **small.World().parts)
    first = Ledger(out / "ledger.jsonl").documents_done()
    assert len(first) == 10
    generate_queries(small.generate_settings(corpus, compiled, out, limit=25), **small.World().parts)
    assert len(Ledger(out / "ledger.jsonl").documents_done()) == 25
    other = tmp_path / "other"
    generate_queries(small.generate_settings(corpus, compiled, other, limit=10, seed=1), **small.World().parts)
    assert Ledger(other / "ledger.jsonl").documents_done() != first


def test_an_empty_document_is_entered_and_never_sent(compiled: Path, tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 5)
    with corpus.open("a") as file:
        file.write('{"id": "empty", "text": "", "doc_type": "manual"}\n')
    world = small.World()
    summary = generate_queries(small.generate_settings(corpus, compiled, tmp_path / "queries"), **world.parts)
    assert summary.results["documents"] == 5
    assert summary.results["empty_documents"] == 1
    assert summary.results["asked"] == 5
    assert all("Document:" in prompt and "unit" in prompt for prompt in world.models[0].engine.prompts)


def test_shares_are_over_documents_that_were_asked_about(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    reasons = {"a": None, "b": "copied", "c": "no_metadata", "d": "no_metadata", "e": "empty_document"}
    ledger.append(
        [
            LedgerEntry(
                document_id=name, candidate=name, accepted=reason is None, reason=reason, program="p", content="c"
            )
            for name, reason in reasons.items()
        ]
    )
    outcome = Outcome(ledger, dict.fromkeys(reasons, "manual"), dict.fromkeys(reasons, "c"))
    results = outcome.results(1)
    assert (results["documents"], results["candidates"], results["accepted_share"]) == (2, 2, 0.5)
    assert (results["empty_documents"], results["documents_without_metadata"]) == (1, 2)
    assert results["reasons"] == {"copied": 1}
    assert outcome.by_type == {"manual": {"documents": 2, "accepted": 1}}


def test_a_directory_does_not_mix_two_ways_of_generating(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    generate_queries(small.generate_settings(corpus, compiled, out, limit=5), **small.World().parts)
    with pytest.raises(ConfigurationError, match="another queries_per_document: 1, not 2"):
        generate_queries(small.generate_settings(corpus, compiled, out, queries_per_document=2), **small.World().parts)
    other = tmp_path / "other.json"
    text = (compiled / "work" / "manual" / "best_pool_prompt.json").read_text()
    other.write_text(text)
    with pytest.raises(ConfigurationError, match="another program for 'manual'"):
        generate_queries(small.generate_settings(corpus, other, out), **small.World().parts)


@pytest.mark.parametrize("changed", [{"single_stream": True}, {"max_reply_tokens": 30}])
@pytest.mark.parametrize("said", [True, False])
def test_a_directory_does_not_mix_two_ways_of_asking_also_where_only_its_summary_says_how_it_was_asked(
    compiled: Path, corpus: Path, tmp_path: Path, small: Any, changed: dict[str, Any], said: bool
) -> None:
    out, (name, value) = tmp_path / "queries", next(iter(changed.items()))
    plain = small.generate_settings(corpus, compiled, out, limit=3)
    other = plain.model_copy(update=changed)
    for first, second in ((plain, other), (other, plain)):
        shutil.rmtree(out, ignore_errors=True)
        generate_queries(first, **small.World().parts)
        if not said:
            old = json.loads((out / RECORD).read_text())
            del old["made_with"][name]
            (out / RECORD).write_text(json.dumps(old))
        with pytest.raises(ConfigurationError, match=f"another {name}: .*{value}"):
            generate_queries(second, **small.World().parts)
        generate_queries(first, **small.World().parts)


@pytest.mark.parametrize("changed", [{"granularity": "sentence"}, {"adaptive": True}])
def test_a_ledger_of_before_there_was_a_choice_is_not_mixed_with_another(
    several: Path, typed: Any, tmp_path: Path, small: Any, changed: dict[str, Any]
) -> None:
    write_documents(tmp_path / "mixed.jsonl", typed.some(2, "code", "talk", start=200))
    settings = small.generate_settings(tmp_path / "mixed.jsonl", several, tmp_path / "queries")
    generate_queries(settings, **small.World().parts)
    record = tmp_path / "queries" / RECORD
    old = json.loads(record.read_text())
    for name in ("granularity", "choice of programs"):
        del old["made_with"][name]
    record.write_text(json.dumps(old))
    with pytest.raises(ConfigurationError, match=r"another (granularity|choice of programs)"):
        generate_queries(settings.model_copy(update=changed), **small.World().parts)
    generate_queries(settings, **small.World().parts)
    assert json.loads(record.read_text())["made_with"]["granularity"] == "document"


def test_one_program_serves_every_type_and_several_must_cover_all(compiled: Path, tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 5, "manual", "poem")
    summary = generate_queries(
        small.generate_settings(corpus, compiled / "compiled" / "manual.json", tmp_path / "a"), **small.World().parts
    )
    assert set(summary.results["by_type"]) == {"manual", "poem"}

    several = tmp_path / "programs"
    several.mkdir()
    shutil.copy(compiled / "compiled" / "manual.json", several / "a.json")
    shutil.copy(compiled / "compiled" / "manual.json", several / "b.json")
    with pytest.raises(ProgramFileError, match="two programs are for the document type 'manual'"):
        generate_queries(small.generate_settings(corpus, several, tmp_path / "b"), **small.World().parts)


@pytest.mark.slow
def test_a_type_without_a_program_is_named(tmp_path: Path, small: Any) -> None:
    from inpars_plus.experiments.compile_programs import compile_programs

    corpus = small.write_corpus(tmp_path / "c.jsonl", 60, "manual", "faq")
    settings = small.compile_settings(corpus, tmp_path / "run", by_type=True, test_documents=4, cross_types=False)
    compile_programs(settings, **small.World().parts)
    wider = small.write_corpus(tmp_path / "d.jsonl", 5, "manual", "faq", "poem")
    with pytest.raises(ProgramFileError, match="none of the 2 programs is for the document type 'poem'"):
        generate_queries(small.generate_settings(wider, tmp_path / "run", tmp_path / "q"), **small.World().parts)


def test_a_directory_without_programs_is_named(corpus: Path, tmp_path: Path, small: Any) -> None:
    (tmp_path / "nothing").mkdir()
    settings = small.generate_settings(corpus, tmp_path / "nothing", tmp_path / "q")
    with pytest.raises(ProgramFileError, match="no compiled programs"):
        generate_queries(settings, **small.World().parts)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Documents are encoded without a model."""
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inpars_plus.experiments.analysts.load_encoder", HashingEncoder)


@pytest.fixture
def several(compiled: Path, typed: Any, tmp_path: Path, hashing: None) -> Path:
    """A directory of programs for code and for talk, and what tells the two apart."""
    program: Any = load_program(compiled / "compiled" / "manual.json")
    for name in ("code", "talk"):
        card = program.card.model_copy(update={"document_type": name})
        save_program(program, tmp_path / "several" / "compiled" / f"{name}.json", card)
    with Run(tmp_path / "several") as run:
        fit_analyst(typed.some(150, "code", "talk"), steps=Steps(run), seed=0)
    return tmp_path / "several"


def test_an_analyst_chooses_the_program_and_the_ledger_says_which_wrote_what(
    several: Path, typed: Any, tmp_path: Path, small: Any
) -> None:
    documents = [*typed.some(6, "code", "talk", "report", start=200), Document(id="empty")]
    hidden = [one.model_copy(update={"doc_type": "mixed"}) for one in documents]
    write_documents(tmp_path / "mixed.jsonl", hidden)
    settings = small.generate_settings(tmp_path / "mixed.jsonl", several, tmp_path / "queries", adaptive=True)
    summary = generate_queries(settings, **small.World().parts)

    digests = {card.digest: name for name, card in programs_of(several).items()}
    entries = list(Ledger(tmp_path / "queries" / "ledger.jsonl").entries())
    for entry in entries:
        told, name = entry.scores["told_type"], entry.document_id.partition("-")[0]
        assert told == (name if name in ("code", "talk") else None)
        if told is not None:
            assert digests[entry.program] == told
    reasons = {entry.document_id: entry.scores["route_reason"] for entry in entries}
    assert reasons["empty"] == "empty_document"
    assert {reason for name, reason in reasons.items() if name.startswith("report")} == {"unknown_type"}
    wrote = summary.results["written_by"]
    assert sum(one["documents"] for one in wrote["programs"].values()) == 18  # nobody wrote for the empty one
    assert wrote["reasons"] == {"empty_document": 1, "unknown_type": 6}
    assert wrote["programs"]["talk"]["documents"] == 6
    assert "talk" in tell(settings, summary)
    assert summary.results["by_type"].keys() == {"mixed"}

    again = generate_queries(settings, **small.World().parts)
    assert again.results == summary.results
    fixed = settings.model_copy(update={"adaptive": False, "programs": several / "compiled" / "code.json"})
    with pytest.raises(ConfigurationError, match="another choice of programs"):
        generate_queries(fixed, **small.World().parts)


def test_the_program_of_the_told_type_writes_about_sentences_where_that_is_asked_for(
    several: Path, typed: Any, tmp_path: Path, small: Any
) -> None:
    documents = typed.some(3, "code", "talk", start=200)
    long = [one.model_copy(update={"text": f"{one.text} {one.text.split('.')[0]} in the cold."}) for one in documents]
    write_documents(tmp_path / "mixed.jsonl", long)
    settings = small.generate_settings(tmp_path / "mixed.jsonl", several, tmp_path / "queries", adaptive=True)
    world = small.World()
    generate_queries(settings.model_copy(update={"granularity": "sentence"}), **world.parts)
    shown = {prompt.rpartition("Document: ")[2].splitlines()[0] for prompt in world.models[0].engine.prompts}
    whole = {" ".join(one.full_text.split()) for one in long}
    assert shown
    assert shown.isdisjoint(whole)
    assert len(Ledger(tmp_path / "queries" / "ledger.jsonl").documents_done()) == 6


def test_a_ledger_does_not_mix_two_base_programs(several: Path, typed: Any, tmp_path: Path, small: Any) -> None:
    write_documents(tmp_path / "mixed.jsonl", typed.some(2, "code", "report", start=200))
    settings = small.generate_settings(tmp_path / "mixed.jsonl", several, tmp_path / "queries", adaptive=True)
    generate_queries(settings, **small.World().parts)
    program: Any = load_program(several / "compiled" / "code.json")
    better = program.card.metric.model_copy(update={"validation": Scores(after=1.0)})
    card = program.card.model_copy(update={"document_type": "memo", "metric": better})
    save_program(program, several / "compiled" / "memo.json", card)
    with pytest.raises(ConfigurationError, match="another base program: code, not memo"):
        generate_queries(settings, **small.World().parts)


def test_one_file_with_all_programs_serves_too(several: Path, typed: Any, tmp_path: Path, small: Any) -> None:
    adaptive = AdaptiveQueryGenerator.from_directory(several)
    card = programs_of(several)["code"]
    saved = save_program(adaptive, tmp_path / "adaptive.json", card.model_copy(update={"document_type": "any"}))
    write_documents(tmp_path / "mixed.jsonl", typed.some(4, "code", "talk", start=200))
    settings = small.generate_settings(
        tmp_path / "mixed.jsonl", tmp_path / "adaptive.json", tmp_path / "queries", adaptive=True
    )
    generate_queries(settings, **small.World().parts)
    entries = Ledger(tmp_path / "queries" / "ledger.jsonl").entries()
    assert {entry.program for entry in entries} == {f"{saved.digest}/code", f"{saved.digest}/talk"}


@pytest.mark.parametrize("granularity", ["document", "sentence"])
def test_a_file_that_writes_no_queries_by_itself_is_refused_with_what_to_do(
    several: Path, corpus: Path, tmp_path: Path, small: Any, granularity: str
) -> None:
    adaptive = AdaptiveQueryGenerator.from_directory(several)
    save_program(adaptive, tmp_path / "adaptive.json", programs_of(several)["code"])
    for file, what in (
        (tmp_path / "adaptive.json", r"adaptive\.json: the file holds several programs .*Add --adaptive"),
        (several / "compiled" / "_analyst.json", r"holds a TypeRouter, which writes no queries\. Name a program"),
    ):
        world = small.World()
        settings = small.generate_settings(corpus, file, tmp_path / "queries", granularity=granularity)
        with pytest.raises(ConfigurationError, match=what):
            generate_queries(settings, **world.parts)
        assert world.calls == 0


def test_one_program_is_nothing_to_choose_from(compiled: Path, corpus: Path, tmp_path: Path, small: Any) -> None:
    for programs, what in (
        (compiled / "compiled" / "manual.json", "nothing to choose from"),
        (compiled, "no fitted analyst"),
    ):
        settings = small.generate_settings(corpus, programs, tmp_path / "queries", adaptive=True)
        with pytest.raises(InputError, match=what):
            generate_queries(settings, **small.World().parts)
