"""Whether constraints are met, and what a filter is worth, over real BM25 and the real encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Judgment, Ledger, LedgerEntry, Query, open_corpus, write_beir
from inpars_plus.experiments.measure_constraints import main, measure_constraints
from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.bm25 import Bm25Retriever

DOCUMENTS = [
    Document(
        id=f"d{number}",
        title="Ferry strike",
        text=f"The ferry strike went on, and islands were cut off from bread and news; crews met in room {number}.",
        metadata={"source": f"Paper {'ABCDEFGHIJKLMNOPQRST'[number % 20]}", "date": "2018-06-20"},
    )
    for number in range(60)
]


def _queries(shift: int = 0) -> list[TrainingQuery]:
    return [
        TrainingQuery(
            f"q{one.id}", f"{DOCUMENTS[at + shift].metadata['source']} article about the ferry strike", (one.id,)
        )
        for at, one in enumerate(DOCUMENTS[:20])
    ]


def _bm25() -> Bm25Retriever:
    return Bm25Retriever([one.id for one in DOCUMENTS], [one.full_text for one in DOCUMENTS])


def test_a_filter_finds_what_the_constraint_says() -> None:
    found = measure_constraints(DOCUMENTS, _queries(), _bm25())
    assert (found["queries"], found["stated"], found["met"]) == (20, 20, 20)
    assert found["fields"] == {"source": 20}
    assert found["filtered"]["hit@10"] == 1.0
    assert found["difference"]["low"] > 0
    assert found["p"] < 0.01


def test_a_constraint_that_its_document_does_not_meet_is_counted_as_such() -> None:
    found = measure_constraints(DOCUMENTS, _queries(shift=1), _bm25())
    assert (found["stated"], found["met"]) == (20, 0)
    assert found["filtered"]["hit@10"] == 0.0


def test_a_query_that_states_nothing_is_counted_too() -> None:
    plain = [TrainingQuery("q", "why did the ferry crews strike", ("d1",))]
    found = measure_constraints(DOCUMENTS, plain, _bm25())
    assert (found["stated"], found["met"], found["difference"]["score"]) == (0, 0, 0.0)


def test_no_queries_are_told() -> None:
    with pytest.raises(InputError, match="no queries to measure"):
        measure_constraints(DOCUMENTS, [], _bm25())


def test_a_query_with_a_second_constraint_that_is_not_so_is_not_met() -> None:
    both = [TrainingQuery("q", "Paper B article by night about the ferry strike from May 1999", ("d1",))]
    found = measure_constraints(DOCUMENTS, both, _bm25())
    assert (found["stated"], found["met"], found["fields"]) == (1, 0, {"source": 1, "date": 1})


def _entry(number: int, reason: str | None, text: str = "Paper {} article about the ferry strike") -> LedgerEntry:
    candidate = text.format("ABCDEFGHIJKLMNOPQRST"[number % 20])
    return LedgerEntry(
        document_id=f"d{number}", candidate=candidate, accepted=reason is None, reason=reason, program="p"
    )


@pytest.mark.model
def test_the_script_prints_and_writes_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(one.model_dump_json() + "\n" for one in DOCUMENTS))
    write_beir(
        tmp_path / "queries",
        queries=[Query(id=one.id, text=one.text) for one in _queries()],
        judgments=[Judgment(query_id=one.id, document_id=one.document_ids[0]) for one in _queries()],
        split="train",
    )
    accepted = [_entry(number, None) for number in range(20)]
    dropped = [_entry(number, "not_retrieved") for number in range(20, 40)]
    Ledger(tmp_path / "queries" / "ledger.jsonl").append([*accepted, *dropped])
    out = tmp_path / "out"
    flags = ["--corpus", str(corpus), "--queries", str(tmp_path / "queries"), "--out", str(out), "--sample", "2"]
    assert main(flags) == 0
    shown = capsys.readouterr().out
    assert "accepted: 20 queries, 20 state a constraint, 20 one that their document meets" in shown
    assert "accepted or not retrieved: 40 queries, 40 state a constraint, 40 one that" in shown
    assert "told by the reader that the queries were accepted by" in shown
    assert shown.count("    source: Paper ") == shown.count("    date: 2018-06-20") == 2
    summary = json.loads((out / "summary.json").read_text())
    rows = summary["results"]
    assert [rows[name]["queries"] for name in ("accepted", "accepted or not retrieved")] == [20, 40]
    assert rows["accepted"]["filtered"]["hit@10"] == 1.0
    assert summary["settings"]["corpus"] == str(corpus)
    assert summary["settings"]["retriever"] == "hybrid:0.5"
    assert summary["hashes"]["corpus"] == open_corpus(str(corpus)).digest()
    assert set(summary["hashes"]) == {"corpus", "encoder", "queries"}
