"""Which way of searching suits a corpus, told without labels: systems ranked on queries whose documents are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inpars_plus.corpora import Judgment
from inpars_plus.foundation.errors import InputError
from inpars_plus.foundation.progress import say
from inpars_plus.metrics.measures import evaluate_rankings
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.protocol import Ranking

__all__ = ["Choice", "System", "choose_system", "score_system"]

_DEPTH = 10
_SAMPLES = 2_000
_EQUAL = 1e-9


@dataclass(frozen=True)
class System:
    """A system on the queries.

    Attributes:
        name: of the system.
        values: nDCG@10 of each query.
        preference: breaks ties; more is better.
        understated: it has more than these queries let it show, so that its values are too low.
    """

    name: str
    values: tuple[float, ...]
    preference: float = 0.0
    understated: bool = False

    @property
    def mean(self) -> float:
        """Of all queries."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        name: of the system with the highest mean, or of an understated one that is not shown to be worse.
        sureness: share of resamples of the queries in which it has the highest mean. Systems that tie in a resample
            share it: of two that are alike, each has a half.
        rows: system → mean, its interval, its difference from the chosen one, and ``best``, the share of resamples in
            which it is the best, counted likewise; best first.
    """

    name: str
    sureness: float
    rows: Mapping[str, Mapping[str, Any]]


def score_system(
    name: str,
    rankings: Sequence[Ranking],
    queries: Sequence[TrainingQuery],
    *,
    preference: float = 0.0,
    understated: bool = False,
) -> System:
    """nDCG@10 of a system; what answers a query is known from where it came.

    Args:
        name: of the system.
        rankings: one a query, in order.
        queries: with their documents.
        preference: see :class:`System`.
        understated: see there.
    """
    judgments = [Judgment(query_id=query.id, document_id=one) for query in queries for one in query.document_ids]
    found = {query.id: ranking for query, ranking in zip(queries, rankings, strict=True)}
    values = evaluate_rankings(judgments, found, (f"nDCG@{_DEPTH}",))[f"nDCG@{_DEPTH}"]
    return System(name, tuple(values[query.id] for query in queries), preference, understated)


def choose_system(systems: Sequence[System], *, seed: int) -> Choice:
    """The system with the highest mean, and how sure that is; it is said where nothing separates the systems.

    An understated system is chosen before one with a higher mean unless it is shown to be worse: unless the interval of
    the difference lies below 0.

    Args:
        systems: at least one, on the same queries.
        seed: of the resampling.

    Raises:
        InputError: there is no system or no query.
    """
    if not systems or not systems[0].values:
        raise InputError("there is nothing to choose between", remedy="Give systems, and a corpus with more documents")
    ordered = sorted(systems, key=lambda one: (-round(one.mean, 9), -one.preference, one.name))
    best = ordered[0]
    values = np.array([one.values for one in ordered])
    alike = bool(np.ptp(values, axis=0).max() <= _EQUAL)
    chosen = best if alike else next((one for one in ordered if _stands(one, best, seed)), best)
    if len(ordered) > 1 and alike:
        say(
            f"All {len(ordered)} systems have the same nDCG@{_DEPTH} on every query, {best.mean:.3f} on the mean: "
            f"nothing separates them, and '{best.name}' is taken as the simplest"
        )
    generator = np.random.default_rng(seed)
    wins = np.zeros(len(ordered))
    for _ in range(_SAMPLES):
        drawn = generator.integers(0, values.shape[1], size=values.shape[1])
        means = values[:, drawn].mean(axis=1)
        first = means >= means.max() - _EQUAL
        wins += first / first.sum()
    rows: dict[str, dict[str, Any]] = {}
    for one, won in zip(ordered, wins, strict=True):
        own = paired_bootstrap([0.0] * len(one.values), one.values, seed=seed, samples=_SAMPLES)
        behind = paired_bootstrap(chosen.values, one.values, seed=seed, samples=_SAMPLES)
        rows[one.name] = {
            "ndcg@10": own.score,
            "low": own.low,
            "high": own.high,
            "less_chosen": behind.as_dict(),
            "best": float(won / _SAMPLES),
        }
    return Choice(chosen.name, rows[chosen.name]["best"], rows)


def _stands(one: System, best: System, seed: int) -> bool:
    """Whether an understated system is not shown to be worse than the best."""
    return one.understated and (
        one is best or paired_bootstrap(best.values, one.values, seed=seed, samples=_SAMPLES).high >= 0
    )
