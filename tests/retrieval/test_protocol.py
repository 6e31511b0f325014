from __future__ import annotations

import pytest

from inpars_plus.retrieval import Ranking, Retriever


def test_a_ranking_knows_the_rank_of_an_id_from_one():
    ranking = Ranking(("b", "a"), (2.0, 1.0))
    assert (ranking.rank("b"), ranking.rank("a"), ranking.rank("c"), len(ranking)) == (1, 2, None, 2)
    assert ranking.without(["b", "c"]) == Ranking(("a",), ranking.scores[1:])


def test_a_ranking_refuses_a_different_number_of_scores():
    with pytest.raises(ValueError, match="not 1 for 2"):
        Ranking(("b", "a"), (2.0,))


def test_anything_with_a_search_method_is_a_retriever():
    class Engine:
        def search(self, queries, k):
            return [Ranking((), ()) for _ in queries]

    assert isinstance(Engine(), Retriever)
    assert not isinstance(object(), Retriever)
