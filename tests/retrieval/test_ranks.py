from __future__ import annotations

import pytest

from inpars_plus.retrieval import Bm25Retriever, Ranking, ranks_of_sources


class Engine:
    """A person's engine: the rankings are all that is known of it."""

    def search(self, queries, k):
        return [Ranking(("a", "b", "c")[:k], (3.0, 2.0, 1.0)[:k]) for _ in queries]


def test_ranks_are_those_of_the_rankings(ids, texts):
    retriever = Bm25Retriever(ids, texts)
    queries = ["sand", "sand", "sand", "", "zinc"]
    sources = ["glass", "rivers", "bees", "bees", "cells"]
    expected = [ranking.rank(source) for ranking, source in zip(retriever.search(queries, 5), sources, strict=True)]
    assert ranks_of_sources(retriever, queries, sources, 5) == expected
    assert sorted(rank for rank in expected[:2] if rank) == [1, 2]


def test_what_is_below_k_is_not_found(ids, texts):
    retriever = Bm25Retriever(ids, texts)
    second = retriever.search(["sand"], 2)[0].ids[1]
    assert ranks_of_sources(retriever, ["sand"], [second], 1) == [None]
    assert ranks_of_sources(retriever, ["sand"], [second], 2) == [2]


def test_an_unknown_source_is_not_found_even_by_an_empty_query(ids, texts):
    assert ranks_of_sources(Bm25Retriever(ids, texts), ["", "sand"], ["nobody", "nobody"], 5) == [None, None]


def test_any_engine_will_do():
    assert ranks_of_sources(Engine(), ["q", "q", "q"], ["a", "c", "x"], 2) == [1, None, None]


def test_no_queries_have_no_ranks():
    assert ranks_of_sources(Engine(), [], [], 5) == []


def test_each_query_needs_a_source():
    with pytest.raises(ValueError, match="2 came with 1"):
        ranks_of_sources(Engine(), ["a", "b"], ["a"], 5)
