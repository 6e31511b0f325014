"""Ranking quality on human judgments, by ir-measures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import ir_measures

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.protocol import Ranking

__all__ = ["evaluate_rankings"]

_HIT = re.compile(r"^hit@")


def evaluate_rankings(
    judgments: Sequence[Judgment], rankings: Mapping[str, Ranking], measures: Sequence[str] = ("nDCG@10",)
) -> dict[str, dict[str, float]]:
    """Score rankings against human judgments.

    Args:
        judgments: of any number of queries.
        rankings: query id → ranking. A judged query without a ranking counts 0.
        measures: names of ir-measures, such as ``nDCG@10``, ``RR@10``, ``R@100``, or ``hit@10``: whether a relevant
            document is among the first 10, which ir-measures call ``Success@10``. Several may name one measure.

    Returns:
        Measure, as it was named → query id → value, for every judged query.

    Raises:
        ConfigurationError: a name is not that of a measure.
    """
    try:
        parsed = [ir_measures.parse_measure(_HIT.sub("Success@", name)) for name in measures]
    except (NameError, SyntaxError, ValueError) as error:
        raise ConfigurationError(
            f"one of the measures {', '.join(measures)} is not known ({error})", remedy="Write it like nDCG@10 or R@100"
        ) from error
    judged = [ir_measures.Qrel(one.query_id, one.document_id, one.grade) for one in judgments]
    run = [
        # Rank order is what counts; equal scores would let ir-measures break ties in its own way.
        ir_measures.ScoredDoc(query_id, document_id, float(len(ranking) - position))
        for query_id, ranking in rankings.items()
        for position, document_id in enumerate(ranking.ids)
    ]
    values: dict[str, dict[str, float]] = {
        name: dict.fromkeys({one.query_id for one in judgments}, 0.0) for name in measures
    }
    # MRR@10 is RR@10, for example: what has two names is computed once, and is the value of both.
    names: dict[Any, list[str]] = {}
    for measure, name in zip(parsed, measures, strict=True):
        names.setdefault(measure, []).append(name)
    for value in ir_measures.iter_calc(list(names), judged, run):
        for name in names[value.measure]:
            values[name][value.query_id] = float(value.value)
    return values
