"""A retriever and a scorer that say what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.lms.scoring import CompletionScore
from inpars_plus.metrics.query_metric import QueryMetric
from inpars_plus.retrieval.protocol import Ranking


class ToldRetriever:
    """Finds the document ``d`` at the rank told for a query, and counts its calls."""

    def __init__(self, ranks: Mapping[str, int]) -> None:
        self.ranks = ranks
        self.calls: list[list[str]] = []

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        self.calls.append(list(queries))
        return [self._ranking(self.ranks.get(query), k) for query in queries]

    @staticmethod
    def _ranking(rank: int | None, k: int) -> Ranking:
        ids = [f"other{position}" for position in range(k)]
        if rank is not None and rank <= k:
            ids[rank - 1] = "d"
        return Ranking(tuple(ids), tuple(float(-position) for position in range(k)))


class ToldScorer:
    """Gives each query four tokens of the log-probability told for it."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = values
        self.calls = 0

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        self.calls += 1
        return [CompletionScore((self.values.get(completion.strip(), -6.0),) * 4) for _, completion in pairs]


@pytest.fixture
def document() -> Document:
    return Document(id="d", text="The moon pulls the ocean towards itself, so every harbour sees two high tides a day.")


@pytest.fixture
def metric_of() -> Callable[..., QueryMetric]:
    """Makes a metric from the ranks and the log-probabilities of queries."""

    def make(ranks: Mapping[str, int], naturalness: Mapping[str, float] | None = None) -> QueryMetric:
        return QueryMetric(ToldRetriever(ranks), ToldScorer(naturalness or {}))

    return make


@pytest.fixture
def told_retriever() -> type[ToldRetriever]:
    return ToldRetriever


@pytest.fixture
def told_scorer() -> type[ToldScorer]:
    return ToldScorer
