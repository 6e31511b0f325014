"""A training set is read back by us and by other tools, and pairs are by id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.rankers.negatives import Negatives
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, read_training_queries
from inpars_plus.optimizers.rankers.training_set import triplets, with_margins, write_training_set
from inpars_plus.retrieval.runs import read_run

DOCUMENTS = {name: Document(id=name, title=name.upper(), text=f"about {name}") for name in ("a", "b", "c", "d")}
QUERIES = [TrainingQuery("q1", "first", ("a",)), TrainingQuery("q2", "second", ("b", "c"))]
NEGATIVES = [
    Negatives("q2", ("d", "a"), ("bm25", "dense"), (3.0, 0.4)),
    Negatives("q1", ("b", "c"), ("bm25", "bm25"), (1.0, 2.0)),
]


def test_rows_pair_queries_with_their_own_answers_and_negatives() -> None:
    rows = triplets(QUERIES, NEGATIVES, DOCUMENTS)
    assert len(rows) == 2 * 2 + 2
    assert {"anchor": "second", "positive": "C about c", "negative": "D about d"} in rows
    assert all(row["positive"] != row["negative"] for row in rows)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    record = {"filter": "round trip", "came": 3, "stayed": 2}
    assert write_training_set(tmp_path, QUERIES, NEGATIVES, DOCUMENTS, filters=[record]) == 6
    assert write_training_set(tmp_path, QUERIES, NEGATIVES, DOCUMENTS, filters=[record]) == 6
    read = read_training_queries(tmp_path, list(DOCUMENTS.values()))
    assert [(one.text, one.document_ids) for one in read] == [("first", ("a",)), ("second", ("b", "c"))]
    lines = (tmp_path / "triplets.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == triplets(QUERIES, NEGATIVES, DOCUMENTS)
    assert read_run(tmp_path / "negatives" / "bm25.trec")["q1"].ids == ("c", "b")
    assert read_run(tmp_path / "negatives" / "dense.trec")["q2"].ids == ("a",)
    assert json.loads((tmp_path / "filters.json").read_text()) == [record]


def test_a_negative_that_answers_and_negatives_of_nobody_are_refused() -> None:
    with pytest.raises(InputError, match="'a' answers the query and is one of its negatives"):
        triplets(QUERIES, [Negatives("q1", ("a",), ("x",), (1.0,))], DOCUMENTS)
    with pytest.raises(InputError, match="a query that is not there"):
        triplets(QUERIES, [Negatives("q9", ("a",), ("x",), (1.0,))], DOCUMENTS)


def test_margins_are_the_teacher_s_and_each_pair_is_asked_for_once() -> None:
    asked: list[tuple[str, str]] = []

    def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [float("A about a" in text) + 0.25 * text.count("b") for _, text in pairs]

    rows = triplets(QUERIES, NEGATIVES[1:], DOCUMENTS)
    labelled = with_margins(rows, score)
    assert [{**row, "label": one["label"]} for row, one in zip(rows, labelled, strict=True)] == labelled
    assert [row["label"] for row in labelled] == [1.25 - 0.5, 1.25 - 0.25]
    assert len(asked) == len(set(asked)) == 3
