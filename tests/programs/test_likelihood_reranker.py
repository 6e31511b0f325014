"""Passages by how likely the query is behind them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, InputError
from inpars_plus.lms import CompletionScore
from inpars_plus.programs import LikelihoodReranker, RerankReport


class Lengths:
    """Finds a query the likelier the longer the passage; remembers what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._error = error

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        if self._error is not None:
            raise self._error
        self.asked += pairs
        return [CompletionScore((-1000.0 + len(prompt),)) for prompt, _ in pairs]


def test_passages_are_sorted_by_the_mean_log_probability_of_the_query() -> None:
    scorer = Lengths()
    found = LikelihoodReranker(scorer)(query="why  leak", passages=["a\nb", "cccccc", "ddd", "eeeeeeee"], calls=3)
    assert found.order == [1, 0, 2, 3]
    assert found.report == RerankReport(queries=1, calls=3, beyond_budget=1)
    assert scorer.asked[0] == ("Document: a b\nQuery:", " why leak")
    assert len(found.scores) == 3


def test_long_passages_are_cut_and_counted() -> None:
    scorer = Lengths()
    found = LikelihoodReranker(scorer, max_characters=20)(query="q " * 99, passages=["word " * 99, "short"])
    assert found.report.cut == 1
    assert max(len(prompt) + len(query) for prompt, query in scorer.asked) < 60


def test_what_the_model_cannot_read_at_once_keeps_the_order() -> None:
    found = LikelihoodReranker(Lengths(InputError("too long")))(query="q", passages=["a", "bb"])
    assert (found.order, found.scores, found.report.unreadable) == ([0, 1], None, 1)


def test_a_dead_model_passes_through_and_wrong_settings_are_refused() -> None:
    with pytest.raises(DeadModelError, match="gone"):
        LikelihoodReranker(Lengths(DeadModelError("gone")))(query="q", passages=["a"])
    with pytest.raises(ConfigurationError, match="max_characters"):
        LikelihoodReranker(Lengths(), max_characters=0)
    with pytest.raises(ConfigurationError, match="-1 calls"):
        LikelihoodReranker(Lengths())(query="q", passages=["a"], calls=-1)
