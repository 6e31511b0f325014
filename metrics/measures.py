"""Ranking quality on human judgments, by ir-measures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from subprocess import SubprocessError
from typing import Any

import ir_measures

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.protocol import Ranking

__all__ = ["check_measure", "evaluate_rankings"]

_HIT = re.compile(r"^hit@")
_REMEDY = "Write it like nDCG@10 or R@100"
# A relevant document behind another, alone, and not found.
_PROBE = [ir_measures.Qrel(query, document, 1) for query, document in (("a", "x"), ("b", "x"), ("c", "x"))]
_PROBE_RUN = [
    ir_measures.ScoredDoc(query, document, score)
    for query, document, score in (("a", "y", 2.0), ("a", "x", 1.0), ("b", "x", 1.0), ("c", "y", 1.0))
]


def check_measure(name: str) -> None:
    """Compute a measure on three made-up queries: what some are called, ir-measures cannot compute.

    Args:
        name: as for :func:`evaluate_rankings`.

    Raises:
        ConfigurationError: there is no measure of this name, or it cannot be computed.
    """
    _computed({_parsed(name): [name]}, _PROBE, _PROBE_RUN)


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
        ConfigurationError: a name is not that of a measure, or the measure cannot be computed.
    """
    parsed = [_parsed(name) for name in measures]
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
    for value in _computed(names, judged, run):
        for name in names[value.measure]:
            values[name][value.query_id] = float(value.value)
    return values


def _parsed(name: str) -> Any:
    try:
        measure = ir_measures.parse_measure(_HIT.sub("Success@", name))
    except (NameError, SyntaxError, ValueError) as error:
        raise ConfigurationError(f"the measure {name} is not known ({error})", remedy=_REMEDY) from error
    cutoff = measure.params.get("cutoff", 1)
    if not isinstance(cutoff, int) or cutoff < 1:  # trec_eval ends the process over a cutoff of 0
        raise ConfigurationError(
            f"the measure {name} looks at the first {cutoff} documents, not at 1 or more", remedy=_REMEDY
        )
    return measure


def _computed(measures: Mapping[Any, Sequence[str]], judged: Iterable[Any], run: Iterable[Any]) -> list[Any]:
    try:
        return list(ir_measures.iter_calc(list(measures), judged, run))
    except (AssertionError, ArithmeticError, LookupError, OSError, SubprocessError, ValueError) as error:
        named = ", ".join(name for names in measures.values() for name in names)
        raise ConfigurationError(f"ir-measures cannot compute {named} here ({error})", remedy=_REMEDY) from error
