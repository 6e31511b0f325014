"""Passages by how likely the query is behind them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, InputError
from inpars_plus.lms import CompletionScore, load_scorer
from inpars_plus.programs import LikelihoodReranker, RerankReport


class Lengths:
    """Finds a query the likelier the longer the passage; remembers what it was asked."""

    def __init__(self, error: Exception | None = None, *, context: int = 10_000) -> None:
        self.asked: list[tuple[str, str]] = []
        self._error = error
        self._context = context

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        if self._error is not None:
            raise self._error
        if any(len(prompt) > self._context for prompt, _ in pairs):
            raise InputError("a prompt is longer than the context")
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


def test_a_passage_that_is_too_long_keeps_its_rank_and_the_others_are_sorted() -> None:
    scorer = Lengths(context=40)
    found = LikelihoodReranker(scorer)(query="q", passages=["a", "long " * 9, "bb", "ccc", "long " * 8])
    assert found.order == [3, 1, 2, 0, 4]
    assert [score is None for score in found.scores] == [False, True, False, False, True]
    assert found.report == RerankReport(queries=1, calls=5, unreadable=2)
    assert len(scorer.asked) == 3


def test_where_everything_is_too_long_the_order_stays() -> None:
    found = LikelihoodReranker(Lengths(InputError("too long")))(query="q", passages=["a", "bb"])
    assert (found.order, found.scores, found.report.unreadable) == ([0, 1], [None, None], 2)


@pytest.mark.parametrize("query", ["", " \n", " " * 3_000 + "q"])
def test_a_blank_query_is_not_asked_about(query: str) -> None:
    scorer = Lengths()
    found = LikelihoodReranker(scorer)(query=query, passages=["a", "bb"], calls=1)
    assert (found.order, found.scores, found.report) == ([0, 1], None, RerankReport(queries=1))
    assert scorer.asked == []


@pytest.mark.model
def test_the_embedded_model_sorts_what_fits_into_its_context() -> None:
    passages = ["A crane lifts loads.", "seal " * 9_000, "Water drips from a pump whose seal is worn."]
    found = LikelihoodReranker(load_scorer(), max_characters=90_000)(query="why does the pump leak", passages=passages)
    assert found.order == [2, 1, 0]
    assert (found.scores[1], found.report.unreadable) == (None, 1)


def test_a_dead_model_passes_through_and_wrong_settings_are_refused() -> None:
    with pytest.raises(DeadModelError, match="gone"):
        LikelihoodReranker(Lengths(DeadModelError("gone")))(query="q", passages=["a"])
    with pytest.raises(ConfigurationError, match="max_characters"):
        LikelihoodReranker(Lengths(), max_characters=0)
    with pytest.raises(ConfigurationError, match="-1 calls"):
        LikelihoodReranker(Lengths())(query="q", passages=["a"], calls=-1)
