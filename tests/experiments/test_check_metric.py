"""Human pairs that the metric is checked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Judgment, Query, write_beir
from inpars_plus.experiments.check_metric import human_pairs
from inpars_plus.foundation.errors import CorpusError


def test_pairs_are_of_relevant_documents_that_are_there_and_not_empty(tmp_path: Path) -> None:
    corpus = {name: Document(id=name, text=text) for name, text in {"a": "A.", "b": "B.", "empty": ""}.items()}
    judged = [("1", "a", 1), ("2", "b", 2), ("3", "a", 0), ("4", "empty", 1), ("5", "gone", 1)]
    queries = [Query(id=query, text=f"query {query}") for query, _, _ in judged]
    judgments = [Judgment(query_id=query, document_id=name, grade=grade) for query, name, grade in judged]
    write_beir(tmp_path, queries=queries, judgments=judgments, split="dev")
    drawn = [human_pairs(tmp_path, "dev", corpus, seed=seed) for seed in range(8)]
    assert all({(one.id, text) for one, text in found} == {("a", "query 1"), ("b", "query 2")} for found in drawn)
    assert {found[0][1] for found in drawn} == {"query 1", "query 2"}
    assert drawn[0] == human_pairs(tmp_path, "dev", corpus, seed=0)


def test_a_judged_query_without_a_text_is_named(tmp_path: Path) -> None:
    queries = [Query(id=name, text=f"query {name}") for name in ("1", "2")]
    judgments = [Judgment(query_id=name, document_id="a", grade=1) for name in ("1", "2")]
    write_beir(tmp_path, queries=queries, judgments=judgments, split="dev")
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "query 1"}\n')
    with pytest.raises(CorpusError, match=r"dev.tsv: the query '2' is judged and has no text"):
        human_pairs(tmp_path, "dev", {"a": Document(id="a", text="A.")}, seed=0)
