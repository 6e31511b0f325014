"""The filter in front of a retriever, over real BM25."""

from __future__ import annotations

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.bm25 import Bm25Retriever
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.filtered import MetadataFilter
from inpars_plus.retrieval.hashing import HashingEncoder
from inpars_plus.retrieval.hybrid import ConvexRetriever, RrfRetriever
from inpars_plus.retrieval.protocol import Retriever

DOCUMENTS = [
    Document(
        id=f"d{number}",
        title="Ferry strike",
        text=f"The ferry strike went on for day {number} and the islands were cut off.",
        metadata={
            "source": "Harbour Post" if number % 40 == 0 else "Daily Tide",
            "date": f"20{10 + number // 40}-03-01",
        },
    )
    for number in range(120)
]


def _filter() -> tuple[Bm25Retriever, MetadataFilter]:
    plain = Bm25Retriever([one.id for one in DOCUMENTS], [one.full_text for one in DOCUMENTS])
    return plain, MetadataFilter(plain, DOCUMENTS)


def test_only_documents_that_meet_the_constraint_are_found_however_deep_they_stand() -> None:
    plain, filtered = _filter()
    query = "Harbour Post article about the ferry strike"
    assert isinstance(filtered, Retriever)
    assert set(filtered.search([query], 3)[0].ids) == {"d0", "d40", "d80"}
    assert not {"d0", "d40", "d80"} <= set(plain.search([query], 3)[0].ids)


def test_constraints_together_narrow_it_down() -> None:
    _, filtered = _filter()
    assert filtered.search(["Harbour Post article from March 2011 about the strike"], 5)[0].ids == ("d40",)


def test_a_year_finds_its_months() -> None:
    _, filtered = _filter()
    found = filtered.search(["ferry strike published in 2012"], 100)[0].ids
    assert set(found) == {f"d{number}" for number in range(80, 120)}


def test_without_a_constraint_or_with_one_that_nobody_meets_the_ranking_stays() -> None:
    plain, filtered = _filter()
    queries = ["ferry strike", "ferry strike article from May 1999", ""]
    assert filtered.search(queries, 7) == plain.search(queries, 7)


@pytest.mark.parametrize("name", ["hybrid", "rrf"])
def test_a_hybrid_looks_deeper_than_it_does_without_a_filter(name: str) -> None:
    many = [
        Document(
            id=f"d{number}",
            text=f"The ferry strike went on for day {number} and the islands were cut off.",
            metadata={"source": "Harbour Post" if number >= 400 else "Daily Tide"},
        )
        for number in range(420)
    ]
    ids, texts = [one.id for one in many], [one.full_text for one in many]
    parts = Bm25Retriever(ids, texts), DenseRetriever(ids, texts, HashingEncoder())
    fused = ConvexRetriever(*parts) if name == "hybrid" else RrfRetriever(*parts)
    query = "Harbour Post article about the ferry strike"
    (found,) = MetadataFilter(fused, many).search([query], 5)
    assert len(found) == 5
    assert all(int(one[1:]) >= 400 for one in found.ids)
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_where_nothing_that_is_found_meets_the_constraint_the_page_stays_as_it_is() -> None:
    plain, _ = _filter()
    other = Document(id="x", text="Bread rises.", metadata={"source": "Baker"})
    filtered = MetadataFilter(plain, [*DOCUMENTS, other])
    query = "Baker article about the ferry strike"
    assert filtered.search([query], 4) == plain.search([query], 4)


def test_order_and_scores_are_those_of_the_retriever() -> None:
    plain, filtered = _filter()
    query = "Daily Tide article about strike day 7"
    everything = plain.search([query], len(DOCUMENTS))[0]
    found = filtered.search([query], 5)[0]
    met = [(name, score) for name, score in zip(everything.ids, everything.scores, strict=True) if int(name[1:]) % 40]
    assert list(zip(found.ids, found.scores, strict=True)) == met[:5]


@pytest.mark.parametrize("k", [0, -1])
def test_a_search_for_nothing_is_refused(k: int) -> None:
    _, filtered = _filter()
    with pytest.raises(ConfigurationError, match=f"at least 1 document, not {k}"):
        filtered.search(["Harbour Post article about the ferry strike"], k)
