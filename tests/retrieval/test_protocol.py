from __future__ import annotations

import numpy as np
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval import Bm25Retriever, Ranking, Retriever
from inpars_plus.retrieval.external import checked_retriever
from inpars_plus.retrieval.filtered import MetadataFilter


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


class _Engine:
    def search(self, queries, k):
        return [Ranking((), ()) for _ in queries]


SEARCHES = {
    "bm25": lambda: Bm25Retriever(["1"], ["sand"]),
    "a person's own": lambda: checked_retriever(_Engine()),
    "filter": lambda: MetadataFilter(_Engine(), []),
}


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        ("sand", r"^search takes a list of queries, not one string\. Pass \[query\]$"),
        (None, r"^search takes a list of queries, not None\. Pass a list$"),
        ({"sand"}, r"not a set\. Pass a list$"),
        (iter(["sand"]), r"not a list_iterator\. Pass a list$"),
        (["sand", None], r"^queries\[1\]: a query is a text, not None\. Pass what a person would type$"),
        ([7], r"^queries\[0\]: a query is a text, not an int"),
    ],
    ids=["one string", "none", "set", "stream", "none in it", "number in it"],
)
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_every_search_refuses_what_is_no_list_of_texts(search, queries, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        search().search(queries, 3)


@pytest.mark.parametrize(
    ("k", "sentence"), [(0, "at least 1 document, not 0"), ("3", "not a str"), (None, "not None"), (True, "not a bool")]
)
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_every_search_refuses_a_k_that_is_no_number_of_documents(search, k, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        search().search(["sand"], k)
    assert len(search().search(np.array(["sand", "sea"]), np.int64(3))) == 2
