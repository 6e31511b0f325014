from __future__ import annotations

import numpy as np
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval import Bm25Retriever, ConvexRetriever, DenseRetriever, RrfRetriever
from inpars_plus.retrieval.fusion import Component, FusedRetriever
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever


class Fixed(IndexedRetriever):
    """Finds what it was told to find, whatever is asked."""

    def __init__(self, ids, found):
        super().__init__(ids)
        self._found = found

    def _search(self, queries, width):
        hits = Hits.empty(len(queries), width)
        for column, (name, score) in enumerate(list(self._found.items())[:width]):
            hits.positions[:, column] = self.position(name)
            hits.scores[:, column] = score
        return hits


def both(ids, lexical, dense):
    return Fixed(ids, lexical), Fixed(ids, dense)


def search(retriever, k=10):
    (ranking,) = retriever.search(["any"], k)
    return {name: pytest.approx(score) for name, score in zip(ranking.ids, ranking.scores, strict=True)}


def test_convex_adds_scores_scaled_between_the_lowest_and_the_highest():
    pair = both("abcd", {"a": 6.0, "b": 4.0, "d": 2.0, "c": 1.0}, {"c": 0.9, "a": 0.5, "b": 0.3, "d": 0.1})
    assert search(ConvexRetriever(*pair, weight=0.75)) == {
        "c": 0.75 * 1.0 + 0.25 * 0.0,
        "a": 0.75 * 0.5 + 0.25 * 1.0,
        "b": 0.75 * 0.25 + 0.25 * 0.6,
        "d": 0.75 * 0.0 + 0.25 * 0.2,
    }


def test_a_document_that_one_did_not_find_gets_nothing_from_it():
    pair = both("abc", {"a": 5.0, "b": 1.0, "c": 0.5}, {"b": 0.8, "c": 0.2})
    assert search(ConvexRetriever(*pair)) == {"b": 0.5 + 0.5 * 0.5 / 4.5, "a": 0.5, "c": 0.0}


def test_when_few_documents_share_a_term_the_lowest_score_is_that_of_the_others():
    pair = both("abc", {"a": 4.0, "b": 1.0}, {"c": 0.9, "b": 0.6, "a": 0.4})
    assert search(ConvexRetriever(*pair)) == {"a": 0.5, "c": 0.5, "b": 0.5 * 0.4 + 0.5 * 0.25}


def test_equal_scores_of_a_whole_top_are_scaled_to_one():
    pair = both("ab", {"a": 3.0, "b": 3.0}, {"a": 0.7, "b": 0.7})
    assert search(ConvexRetriever(*pair)) == {"a": 1.0, "b": 1.0}


def test_a_single_document_is_found_with_the_full_score():
    assert search(ConvexRetriever(*both("a", {"a": 2.0}, {"a": -0.3}))) == {"a": 1.0}


@pytest.mark.parametrize(("weight", "first"), [(0.0, "a"), (1.0, "c")])
def test_the_weight_is_that_of_the_dense_scores(weight, first):
    pair = both("abc", {"a": 4.0, "b": 1.0}, {"c": 0.9, "b": 0.6, "a": 0.4})
    assert next(iter(search(ConvexRetriever(*pair, weight=weight)))) == first


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_of_zero_to_one_is_refused(weight):
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        ConvexRetriever(*both("a", {}, {}), weight=weight)


def test_reciprocal_ranks_are_added():
    pair = both("abc", {"a": 9.0, "b": 2.0, "c": 1.0}, {"b": 0.5, "c": 0.4})
    assert search(RrfRetriever(*pair)) == {"b": 1 / 61 + 1 / 62, "c": 1 / 62 + 1 / 63, "a": 1 / 61}


def test_documents_without_a_shared_term_have_the_next_ranks_in_the_order_of_the_corpus():
    pair = both("abcdef", {"c": 9.0, "e": 2.0}, {"f": 0.5, "c": 0.4, "b": 0.3})
    assert search(RrfRetriever(*pair)) == {  # BM25 ranks c e a b d f; a and d are found by neither
        "c": 1 / 61 + 1 / 62,
        "f": 1 / 66 + 1 / 61,
        "b": 1 / 64 + 1 / 63,
        "e": 1 / 62,
    }


def test_ranks_beyond_a_hundred_count_for_nothing():
    names = [f"d{number:03}" for number in range(150)]
    pair = both(names, {"d149": 1.0}, {"d098": 0.9, "d099": 0.8})
    assert search(RrfRetriever(*pair)) == {"d098": 1 / 61 + 1 / 160, "d149": 1 / 61, "d099": 1 / 62}


def test_ties_are_in_the_order_of_the_corpus():
    pair = both("zyx", {"x": 1.0}, {"y": 1.0})
    assert list(search(ConvexRetriever(*pair))) == ["y", "x"]
    pair = both("zyx", {"x": 3.0, "y": 2.0, "z": 1.0}, {"z": 3.0, "y": 2.0, "x": 1.0})
    assert list(search(RrfRetriever(*pair))) == ["z", "x", "y"]


def test_a_larger_k_makes_a_ranking_longer_and_changes_nothing_else(ids, texts, letters):
    hybrid = ConvexRetriever(Bm25Retriever(ids, texts), DenseRetriever(ids, texts, letters))
    (full,) = hybrid.search(["sand and mud"], 8)
    for k in range(1, 8):
        (shorter,) = hybrid.search(["sand and mud"], k)
        assert (shorter.ids, shorter.scores) == (full.ids[:k], full.scores[:k])


def test_a_hundred_of_each_are_combined_whatever_k_is():
    names = [f"d{number:03}" for number in range(300)]
    pair = both(
        names,
        {name: 300.0 - number for number, name in enumerate(names)},
        {name: 1 + number / 300 for number, name in reversed(list(enumerate(names)))},
    )
    for retriever in (ConvexRetriever(*pair), RrfRetriever(*pair)):
        (ranking,) = retriever.search(["any"], 1000)
        assert set(ranking.ids) == {*names[:100], *names[200:]}


@pytest.mark.parametrize("floor", [0.0, None])
def test_one_retriever_alone_finds_as_many_as_are_asked_for(floor):
    names = [f"d{number:03}" for number in range(300)]
    found = {name: 300.0 - number for number, name in enumerate(names)}
    alone = FusedRetriever([Component("one", Fixed(names, found), floor=floor)], [1.0])
    for k in (50, 100, 250, 1000):
        assert alone.search(["any"], k)[0].ids == tuple(names[:k])


def test_fusion_equals_a_plain_loop_over_documents():
    random = np.random.default_rng(3)
    names = [f"d{number}" for number in range(30)]

    def some():
        chosen = random.choice(30, 12, replace=False)
        scores = np.sort(random.integers(1, 9, 12))[::-1]
        return {names[c]: float(score) for c, score in zip(chosen, scores, strict=True)}

    for _ in range(50):
        lexical, dense = some(), some()
        values = dict.fromkeys(names, 0.0)
        for found, low, weight in ((lexical, 0.0, 0.3), (dense, min(dense.values()), 0.7)):
            for name, score in found.items():
                values[name] += weight * (score - low) / (max(found.values()) - low)
        expected = sorted({*lexical, *dense}, key=lambda name: (-round(values[name], 9), names.index(name)))
        ranking = ConvexRetriever(*both(names, lexical, dense), weight=0.7).search(["any"], 30)[0]
        assert [round(score, 9) for score in ranking.scores] == [round(values[name], 9) for name in ranking.ids]
        assert {*ranking.ids} == {*expected}


@pytest.mark.parametrize("retriever_class", [ConvexRetriever, RrfRetriever])
def test_empty_and_stop_word_queries(ids, texts, letters, retriever_class):
    hybrid = retriever_class(Bm25Retriever(ids, texts), DenseRetriever(ids, texts, letters))
    empty, stop_words = hybrid.search(["", "the of and"], 5)
    assert empty.ids == ()
    assert stop_words.ids == hybrid.dense.search(["the of and"], 5)[0].ids  # words without terms still have a vector


@pytest.mark.parametrize("retriever_class", [ConvexRetriever, RrfRetriever])
def test_a_filter_that_looks_a_little_deeper_gets_the_ranking_that_is_found_without_it(retriever_class):
    ids = [f"d{at}" for at in range(150)]
    lexical = {name: 10 - at / 20 for at, name in enumerate(ids)}
    dense = {name: 1 - at / 200 for at, name in enumerate(ids[::-1])}
    retriever = retriever_class(*both(ids, lexical, dense))
    found = retriever.search(["anything"], 10)
    assert retriever.with_depth(10).search(["anything"], 10) == found
    assert len(retriever.with_depth(150).search(["anything"], 150)[0].ids) == 150


def test_retrievers_over_different_documents_are_refused():
    with pytest.raises(ConfigurationError, match="the same documents"):
        ConvexRetriever(Fixed("ab", {}), Fixed("ba", {}))
