"""The filter in front of a retriever, over real BM25."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.bm25 import Bm25Retriever
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.filtered import MetadataFilter
from inpars_plus.retrieval.hashing import HashingEncoder
from inpars_plus.retrieval.hybrid import ConvexRetriever, RrfRetriever
from inpars_plus.retrieval.protocol import Ranking, Retriever

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


def test_documents_by_id_do_as_well_as_a_list_of_them() -> None:
    plain, filtered = _filter()
    query = "Harbour Post article about the ferry strike"
    by_id = MetadataFilter(plain, {one.id: one for one in DOCUMENTS})
    assert by_id.search([query], 3) == filtered.search([query], 3)


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (DOCUMENTS[0], r"not one Document\. Pass \[document\]$"),
        (["text"], r"^documents\[0\]: a Document is wanted, not a str"),
        (None, "^documents are wanted, not None"),
    ],
)
def test_what_are_no_documents_is_refused_before_any_search(documents: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        MetadataFilter(_filter()[0], documents)


@pytest.mark.parametrize("retriever", [None, "bm25", Bm25Retriever])
def test_what_cannot_search_is_refused(retriever: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^retriever: .* has no search method\. It needs a method search"):
        MetadataFilter(retriever, DOCUMENTS)


class _Engine:
    """A person's own, which combines the tops of others and so can be told to look deeper."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth

    def with_depth(self, depth: int) -> _Engine:
        return _Engine(depth)

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        ids = tuple(one.id for one in reversed(DOCUMENTS))[: min(k, self.depth)]
        return [Ranking(ids, (1.0,) * len(ids)) for _ in queries]


def test_a_person_s_own_retriever_is_searched_deeper_too_and_what_it_finds_is_checked() -> None:
    (found,) = MetadataFilter(_Engine(), DOCUMENTS).search(["Harbour Post article about the ferry strike"], 2)
    assert found.ids == ("d80", "d40")

    class Broken(_Engine):
        def search(self, queries: Sequence[str], k: int) -> Any:
            return [Ranking((), ())]

    with pytest.raises(ConfigurationError, match=r"retriever 'Broken': search returned 1 rankings for 2 queries"):
        MetadataFilter(Broken(), DOCUMENTS).search(["a", "b"], 2)
