"""Tests of the cheats, and that the metric with the real models sees through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.cheats import CHEATS, TEMPLATES, cheat_queries

DOCUMENTS = [
    Document(id="a", title="Why the sea rises", text="The moon pulls the ocean. So tides rise.\nTwice a day."),
    Document(id="b", text="Bread needs yeast! And time."),
]
TERMS = [["moon", "ocean", "tides"], ["bread", "yeast"]]


def test_each_cheat_writes_one_query_a_document() -> None:
    made = {name: cheat_queries(name, DOCUMENTS, TERMS, ["what moves water", None]) for name in CHEATS}
    assert made["first_sentence"] == ["The moon pulls the ocean.", "Bread needs yeast!"]
    assert made["title"] == ["Why the sea rises", "Bread needs yeast!"]
    assert made["three_title_words"] == ["sea rises", "bread needs yeast"]
    assert made["bare_key_terms"] == ["moon ocean tides", "bread yeast"]
    assert made["templates"] == ["what is the role of moon in ocean tides", "how does bread affect yeast and it"]
    assert len(set(made["constant_question"])) == 1
    assert made["other_documents_query"] == ["", "what moves water"]


def test_there_are_ten_templates_and_they_rotate() -> None:
    assert len(set(TEMPLATES)) == 10
    made = cheat_queries("templates", [DOCUMENTS[0]] * 20, [TERMS[0]] * 20, [None] * 20)
    assert len(set(made)) == 10


@pytest.mark.model
@pytest.mark.collections
def test_human_queries_score_above_every_cheat(collections: Path) -> None:
    from inpars_plus.experiments.check_metric import check_collection

    result = check_collection(collections / "adi", "test", seed=0, pairs=60, documents=30)
    above = {name: row["human_above"] for name, row in result["cheats"].items()}
    assert min(above.values()) >= 0.7, above
    assert result["human_score"] > 2 * max(row["score"] for row in result["cheats"].values())
