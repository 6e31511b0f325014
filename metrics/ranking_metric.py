"""Metrics for programs that rank passages, in DSPy's contract."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.signatures.judge_relevance import HIGHEST_GRADE

__all__ = ["RankingMetric", "grade_agreement", "ndcg", "pair_agreement"]


def ndcg(order: Sequence[int], grades: Sequence[int], k: int = 10) -> float:
    """Normalised discounted cumulative gain of an order (Järvelin and Kekäläinen 2002), with trec_eval's linear gain.

    ``sum of grade / log2(rank + 1)`` over the first k, by that of the best order.

    Args:
        order: positions of passages, best first.
        grades: relevance of each position, 0 or more.
        k: how many count.

    Returns:
        0 to 1; 0 where no passage is relevant.
    """
    found = _dcg([grades[position] for position in order[:k]])
    best = _dcg(sorted(grades, reverse=True)[:k])
    return found / best if best else 0.0


def _dcg(grades: Sequence[int]) -> float:
    return math.fsum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def grade_agreement(found: Sequence[float | None], grades: Sequence[int]) -> float:
    """How near grades are to the given ones: the mean of ``1 - |found - given| / 3``; no grade counts 0."""
    if not grades:
        return 0.0
    pairs = zip(found, grades, strict=True)
    near = [0.0 if one is None else 1.0 - min(abs(one - given) / HIGHEST_GRADE, 1.0) for one, given in pairs]
    return math.fsum(near) / len(near)


def pair_agreement(scores: Sequence[float], grades: Sequence[int]) -> float:
    """Of the pairs with different grades, the share whose better one has the higher score; equal scores count half.

    Returns:
        0 to 1; 0 where all grades are equal.
    """
    different = [(one, other) for one, other in combinations(range(len(grades)), 2) if grades[one] != grades[other]]
    if not different:
        return 0.0
    right = 0.0
    for one, other in different:
        better, worse = (one, other) if grades[one] > grades[other] else (other, one)
        right += 1.0 if scores[better] > scores[worse] else 0.5 if scores[better] == scores[worse] else 0.0
    return right / len(different)


class RankingMetric:
    """Scores what a re-ranking program gives: ``metric(gold, pred, trace, pred_name, pred_trace)``.

    ``gold`` has ``grades`` (one a passage), ``pred`` has ``order`` and ``scores`` as
    :class:`~inpars_plus.programs.reranking.Reranker` gives them. The result is a float from 0 to 1; with a trace, as
    while bootstrapping, whether it reaches the threshold; with the name of a predictor, a ``dspy.Prediction`` with
    ``score`` and ``feedback``.

    Where not all passages were ranked, because of a budget, ``scores`` are those of the first ones. The others have no
    grade, and in pairs they stand below those that were ranked, in the order given.

    Args:
        kind: ``ndcg`` of the order; ``grades`` or ``pairs`` for the agreement of the scores, see
            :func:`grade_agreement` and :func:`pair_agreement`.
        threshold: from which score on an example counts as a success, above 0 and up to 1.
    """

    def __init__(self, kind: Literal["ndcg", "grades", "pairs"] = "ndcg", *, threshold: float = 0.99) -> None:
        if kind not in ("ndcg", "grades", "pairs"):
            raise ConfigurationError(f"there is no ranking metric '{kind}'", remedy="Choose ndcg, grades or pairs")
        if not 0 < threshold <= 1:
            raise ConfigurationError(f"the threshold of a metric is above 0 and up to 1, not {threshold}")
        self.kind = kind
        self.threshold = threshold

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        """Score one prediction; ``None`` for one that failed scores 0."""
        score = self.score(gold, pred)
        if pred_name is not None:
            return dspy.Prediction(score=score, feedback=self._feedback(gold, pred, score))
        return score >= self.threshold if trace is not None else score

    def score(self, gold: Any, pred: Any) -> float:
        """The number alone.

        Raises:
            ConfigurationError: grades are to be compared, and the program gives none.
        """
        if pred is None:
            return 0.0
        grades = list(gold.grades)
        if self.kind == "ndcg":
            return ndcg(pred.order, grades)
        if self.kind == "grades":
            if pred.scores is None:
                raise ConfigurationError(
                    "a ranking without grades cannot be measured by its grades",
                    place="ranking metric 'grades'",
                    remedy="Measure a program that compares or orders by pairs or ndcg, and allow at least 1 call",
                )
            unranked = len(grades) - len(pred.scores)
            return grade_agreement([*pred.scores, *[None] * unranked], grades)
        if pred.scores is None:
            places = {position: -rank for rank, position in enumerate(pred.order)}
            return pair_agreement([places[position] for position in range(len(grades))], grades)
        lowest = min((one for one in pred.scores if one is not None), default=0.0) - 1
        ranked = [lowest if one is None else one for one in pred.scores]
        return pair_agreement([*ranked, *(lowest - at for at in range(1, len(grades) - len(ranked) + 1))], grades)

    def _feedback(self, gold: Any, pred: Any, score: float) -> str:
        if pred is None:
            return "There was no usable reply."
        best = max(range(len(gold.grades)), key=lambda position: gold.grades[position])
        rank = list(pred.order).index(best) + 1
        told = f"The passage that answers '{gold.query}' best came out at rank {rank} of {len(gold.grades)}."
        unreadable = pred.report.unreadable
        return f"{told} Score {score:.2f}.{f' {unreadable} replies could not be read.' if unreadable else ''}"
