"""The ranking metric: its formulas, and DSPy's contract."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.metrics.measures import evaluate_rankings
from inpars_plus.metrics.ranking_metric import RankingMetric, grade_agreement, ndcg, pair_agreement
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.signatures.judge_relevance import HIGHEST_GRADE, RelevanceGrade


def _pred(order: list[int], scores: list[float | None] | None = None) -> Any:
    return SimpleNamespace(order=order, scores=scores, report=SimpleNamespace(unreadable=2))


def _gold(*grades: int) -> dspy.Example:
    return dspy.Example(query="q", grades=list(grades))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=14).flatmap(
        lambda g: st.tuples(st.just(g), st.permutations(range(len(g))))
    )
)
def test_ndcg_is_that_of_ir_measures(given_: tuple[list[int], list[int]]) -> None:
    grades, order = given_
    judgments = [Judgment(query_id="q", document_id=f"d{at}", grade=grade) for at, grade in enumerate(grades)]
    ranking = Ranking(tuple(f"d{at}" for at in order), tuple(float(-at) for at in range(len(order))))
    theirs = evaluate_rankings(judgments, {"q": ranking})["nDCG@10"]["q"]
    assert ndcg(order, grades) == pytest.approx(theirs, abs=1e-9)


def test_grades_agree_by_their_distance() -> None:
    assert grade_agreement([3, 0, 1], [3, 0, 1]) == 1
    assert grade_agreement([2, None, 3], [3, 0, 0]) == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert grade_agreement([], []) == 0


def test_pairs_agree_by_their_order_and_ties_count_half() -> None:
    assert pair_agreement([3, 1, 1], [2, 1, 0]) == pytest.approx(2.5 / 3)
    assert pair_agreement([1, 2], [3, 0]) == 0
    assert pair_agreement([1, 2], [1, 1]) == 0


def test_it_is_a_float_a_bool_or_a_prediction_as_dspy_asks() -> None:
    metric = RankingMetric("ndcg", threshold=0.7)
    second = 1 / math.log2(3)
    assert metric(_gold(0, 3), _pred([0, 1])) == pytest.approx(second)
    assert metric(_gold(0, 3), _pred([0, 1]), trace=[]) is False
    assert metric(_gold(0, 3), _pred([1, 0]), trace=[]) is True
    told = metric(_gold(0, 3), _pred([0, 1]), pred_name="rank")
    assert isinstance(told, dspy.Prediction)
    assert told.score == pytest.approx(second)
    assert told.feedback == (
        "The passage that answers 'q' best came out at rank 2 of 2. Score 0.63. 2 replies could not be read."
    )


def test_a_failed_prediction_scores_0_of_every_kind() -> None:
    for metric in (RankingMetric("ndcg"), RankingMetric("grades"), RankingMetric("pairs")):
        assert metric(_gold(0, 3), None) == 0
        assert metric(_gold(0, 3), None, trace=[]) is False
    assert "no usable reply" in RankingMetric()(_gold(0, 3), None, pred_name="x").feedback  # type: ignore[union-attr]


def test_without_scores_pairs_are_judged_by_the_order() -> None:
    metric = RankingMetric("pairs")
    assert metric(_gold(0, 3, 0), _pred([1, 0, 2])) == 1
    assert metric(_gold(0, 3), _pred([0, 1], [None, 1.0])) == 1
    assert RankingMetric("grades")(_gold(3), _pred([0], [2.0])) == pytest.approx(2 / 3)


def test_passages_that_a_budget_left_out_have_no_grade_and_stand_below_in_their_order() -> None:
    assert RankingMetric("grades")(_gold(3, 0, 3, 0), _pred([0, 1, 2, 3], [3.0, 0.0])) == 0.5
    pairs = RankingMetric("pairs")
    assert pairs(_gold(2, 3, 1, 0), _pred([1, 0, 2, 3], [0.0, 1.0])) == 1
    assert pairs(_gold(2, 3, 0, 1), _pred([1, 0, 2, 3], [0.0, 1.0])) == pytest.approx(5 / 6)
    assert pairs(_gold(3, 2, 1), _pred([0, 1, 2], [1.0, None])) == 1


def test_a_program_without_grades_cannot_be_measured_by_them() -> None:
    with pytest.raises(ConfigurationError, match=r"without grades cannot be measured by its grades"):
        RankingMetric("grades")(_gold(0, 3), _pred([1, 0]))


def test_the_measures_and_the_judges_have_the_same_grades() -> None:
    assert grade_agreement([0], [HIGHEST_GRADE]) == 0
    with pytest.raises(ValidationError):
        RelevanceGrade(grade=HIGHEST_GRADE + 1)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": 1.1}, {"kind": "mrr"}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RankingMetric(**wrong)
