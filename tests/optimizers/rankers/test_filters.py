"""What each filter keeps, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms import CompletionScore
from inpars_plus.optimizers.rankers.filters import keep_likeliest, keep_round_trip, keep_scored
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval import Bm25Retriever

QUERIES = [
    TrainingQuery("1", "worn seal", ("pump",)),
    TrainingQuery("2", "cold nights", ("pump",)),
    TrainingQuery("3", "jam in the cold", ("valve",)),
]
DOCUMENTS = [Document(id="pump", text="a worn seal leaks"), Document(id="valve", text="valves jam in cold nights")]


def test_the_round_trip_keeps_what_finds_its_document() -> None:
    retriever = Bm25Retriever([one.id for one in DOCUMENTS], [one.text for one in DOCUMENTS])
    found = keep_round_trip(QUERIES, retriever, k=1, name="bm25")
    assert [query.id for query in found.queries] == ["1", "3"]
    assert found.record == {
        "filter": "round trip",
        "settings": {"k": 1, "retriever": "bm25"},
        "came": 3,
        "stayed": 2,
        "dropped": ["cold nights"],
    }


def test_the_likeliest_are_those_with_the_best_mean_not_sum() -> None:
    class Scorer:
        def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
            assert pairs[0] == ("Document: 1\nQuery:", " worn seal")
            each = [[-1.0] * 4, [-2.0], [-0.5] * 9]
            return [CompletionScore(tuple(values)) for values in each]

    prompts = [f"Document: {query.id}\nQuery:" for query in QUERIES]
    found = keep_likeliest(QUERIES, prompts, Scorer(), keep=2)
    assert [query.id for query in found.queries] == ["1", "3"]


def test_a_re_ranker_s_best_are_kept_and_ties_go_to_the_first() -> None:
    documents = [DOCUMENTS[0], DOCUMENTS[0], DOCUMENTS[1]]
    asked: list[tuple[str, str]] = []

    def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [0.5, 0.5, 0.4]

    found = keep_scored(QUERIES, documents, score, keep=1, name="mine")
    assert [query.id for query in found.queries] == ["1"]
    assert asked[2] == ("jam in the cold", "valves jam in cold nights")


def test_keeping_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot keep 0"):
        keep_scored(QUERIES, [DOCUMENTS[0]] * 3, lambda pairs: [0.0] * 3, keep=0, name="x")
