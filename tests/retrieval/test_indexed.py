from __future__ import annotations

import copy

import numpy as np
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval import Bm25Retriever
from inpars_plus.retrieval.indexed import best_positions


@pytest.mark.parametrize("k", [1, 2, 5, 19, 20, 100])
def test_the_best_positions_are_those_of_a_full_sort_by_score_and_position(k):
    random = np.random.default_rng(k)
    for _ in range(200):
        scores = random.integers(0, 5, 20).astype(float)  # many ties, many zeros
        expected = [p for p in sorted(range(20), key=lambda p: (-scores[p], p)) if scores[p] > 0][:k]
        assert best_positions(scores, k).tolist() == expected


def test_nothing_scored_is_nothing_found():
    assert best_positions(np.zeros(5), 3).tolist() == []
    assert best_positions(np.zeros(5), 9).tolist() == []


def test_one_string_instead_of_a_list_of_queries_is_refused(ids, texts):
    with pytest.raises(ConfigurationError, match="a list of queries, not one string"):
        Bm25Retriever(ids, texts).search("sand", 3)


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(ids, texts, k):
    with pytest.raises(ConfigurationError, match="at least 1 document"):
        Bm25Retriever(ids, texts).search(["sand"], k)


def test_no_queries_get_no_rankings(ids, texts):
    assert Bm25Retriever(ids, texts).search([], 3) == []


def test_a_deep_copy_is_the_retriever_itself(ids, texts):
    retriever = Bm25Retriever(ids, texts)
    assert copy.deepcopy({"metric": [retriever]})["metric"][0] is retriever


def test_positions_are_those_of_the_corpus(ids, texts):
    retriever = Bm25Retriever(ids, texts)
    assert retriever.position("bees") == 1
    assert retriever.position("wasps") is None
    assert len(retriever) == len(ids)
