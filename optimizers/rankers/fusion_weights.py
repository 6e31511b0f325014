"""Learning how much each retriever of a fusion counts, from queries whose documents are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import InputError
from inpars_plus.metrics.significance import Difference, paired_bootstrap
from inpars_plus.optimizers.rankers.choosing import score_system
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.fusion import DEPTH, Component, FusedRetriever, scaled

__all__ = ["FusionWeights", "JudgedQueries", "judged_share", "learn_weights", "search_difference"]

_STEPS = (0.4, 0.2, 0.1, 0.05)
_CUT = 10
_LINES_ARE_WORTH = 200
"""Judged queries. What held-out lines say of two sets of weights is off by about a hundredth of nDCG@10, however many
there are; the mean of so many judged queries is about as far off, and that of ten five times as far."""


@dataclass(frozen=True)
class FusionWeights:
    """What was learned.

    Attributes:
        weights: one a component, in order; their sum is 1.
        ndcg: mean nDCG@10 of the training queries with them; with judged queries, the mean of both kinds by their
            shares.
        alone: the same of each component alone.
    """

    weights: tuple[float, ...]
    ndcg: float
    alone: tuple[float, ...]


@dataclass(frozen=True)
class JudgedQueries:
    """Queries that people wrote, for documents as they are.

    Attributes:
        components: as for :func:`learn_weights`, over these documents.
        queries: at least one, with the documents that answer them.
    """

    components: Sequence[Component]
    queries: Sequence[TrainingQuery]


@dataclass(frozen=True)
class _Candidates:
    """Documents that any component found, as arrays.

    Attributes:
        values: ``[queries, documents, components]``.
        relevant: ``[queries, documents]``.
        found: ``[queries, documents]``; the rest fills up rows.
        counts: how many documents answer each query.
    """

    values: npt.NDArray[np.float32]
    relevant: npt.NDArray[np.bool_]
    found: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]


_Group = tuple[float, _Candidates]
"""Some queries, and their share in the mean."""


def judged_share(count: int) -> float:
    """How much judged queries count in a mean with held-out lines, from 0 to 1, the more the more there are.

    Few of them are noise and lines are nobody's queries, so ten decide between what lines can hardly tell apart, and
    hundreds decide alone.

    Args:
        count: of judged queries.
    """
    return count / (count + _LINES_ARE_WORTH)


def learn_weights(
    components: Sequence[Component],
    queries: Sequence[TrainingQuery],
    *,
    mixtures: Sequence[Sequence[float]] | None = None,
    judged: JudgedQueries | None = None,
) -> FusionWeights:
    """Weights with the best mean nDCG@10, by coordinate ascent (Metzler and Croft 2007).

    It begins in each corner and in the middle. The objective is a step function of few parameters, so it is searched
    and not differentiated. Ties are broken towards equal weights.

    Args:
        components: as for :class:`~inpars_plus.retrieval.fusion.FusedRetriever`.
        queries: with the documents that answer them.
        mixtures: weights are sought between these alone, each one weight a component; by default, of each component
            alone. ``[(1, 0, 0), (0, 0.7, 0.3)]`` keeps the last two in proportion.
        judged: people's queries, which count by :func:`judged_share`.

    Raises:
        InputError: there are no queries.
    """
    if not queries:
        raise InputError("weights cannot be learned without queries")
    share = 0.0 if judged is None else judged_share(len(judged.queries))
    groups = [(1.0 - share, _candidates(components, queries))]
    if judged is not None:
        groups.append((share, _candidates(judged.components, judged.queries)))
    alone = tuple(_mean(groups, corner) for corner in np.eye(len(components)).tolist())
    mixed = np.asarray(mixtures if mixtures is not None else np.eye(len(components)), dtype=float)
    mixed /= mixed.sum(axis=1, keepdims=True)
    groups = [(part, replace(one, values=one.values @ mixed.T.astype(np.float32))) for part, one in groups]
    corners = [tuple(row) for row in np.eye(len(mixed)).tolist()]
    equal = tuple([1.0 / len(mixed)] * len(mixed))
    best = max((_ascend(groups, start) for start in [equal, *corners]), key=lambda one: (one[1], -_spread(one[0])))
    return FusionWeights(tuple((np.asarray(best[0]) @ mixed).round(6).tolist()), best[1], alone)


def search_difference(
    components: Sequence[Component],
    weights: Sequence[float],
    queries: Sequence[TrainingQuery],
    *,
    without: Mapping[str, float],
    having: Mapping[str, float],
    seed: int,
) -> Difference:
    """What feedback or smoothing changes in nDCG@10, paired by query.

    Training queries have one answer, so they understate what either is worth for questions with several; a caller that
    leaves it out only where this is below 0 takes that into account.

    Args:
        components: as for :class:`~inpars_plus.retrieval.fusion.FusedRetriever`.
        weights: of the components.
        queries: with the documents that answer them.
        without: settings of that retriever, such as ``{"feedback": 0.2}``.
        having: those that are compared with them.
        seed: of the bootstrap.
    """
    texts = [query.text for query in queries]
    before, after = (
        score_system("", FusedRetriever(components, weights, **one).search(texts, _CUT), queries).values
        for one in (without, having)
    )
    return paired_bootstrap(before, after, seed=seed)


def _ascend(groups: Sequence[_Group], start: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    weights, value = start, _mean(groups, start)
    for step in _STEPS:
        better = True
        while better:
            better = False
            for at in range(len(weights)):
                for move in (step, -step):
                    tried = _moved(weights, at, move)
                    if tried is None:
                        continue
                    found = _mean(groups, tried)
                    if found > value + 1e-9:
                        weights, value, better = tried, found, True
    return weights, value


def _moved(weights: tuple[float, ...], at: int, move: float) -> tuple[float, ...] | None:
    changed = list(weights)
    changed[at] = max(0.0, changed[at] + move)
    total = sum(changed)
    if total <= 0 or changed[at] == weights[at]:
        return None
    return tuple(round(one / total, 6) for one in changed)


def _spread(weights: Sequence[float]) -> float:
    return sum((one - 1.0 / len(weights)) ** 2 for one in weights)


def _candidates(components: Sequence[Component], queries: Sequence[TrainingQuery]) -> _Candidates:
    texts = [query.text for query in queries]
    rows: list[dict[int, list[float]]] = [{} for _ in queries]
    for at, component in enumerate(components):
        hits = component.retriever.search_positions(texts, DEPTH)
        values = scaled(hits, floor=component.floor)
        for row, positions, worth in zip(rows, hits.positions.tolist(), values.tolist(), strict=True):
            for position, value in zip(positions, worth, strict=True):
                if position >= 0:
                    row.setdefault(position, [0.0] * len(components))[at] = value
    width = max(1, max(map(len, rows)))
    values_ = np.zeros((len(rows), width, len(components)), dtype=np.float32)
    relevant = np.zeros((len(rows), width), dtype=bool)
    found = np.zeros((len(rows), width), dtype=bool)
    for at, (query, row) in enumerate(zip(queries, rows, strict=True)):
        answers = {components[0].retriever.position(one) for one in query.document_ids}
        for column, position in enumerate(sorted(row)):  # in the order of the corpus, which decides ties
            values_[at, column] = row[position]
            relevant[at, column] = position in answers
            found[at, column] = True
    counts = np.array([len(query.document_ids) for query in queries])
    return _Candidates(values_, relevant, found, counts)


def _mean(groups: Sequence[_Group], weights: Sequence[float]) -> float:
    return sum(share * _ndcg(candidates, weights) for share, candidates in groups)


def _ndcg(candidates: _Candidates, weights: Sequence[float]) -> float:
    scores = np.where(candidates.found, candidates.values @ np.asarray(weights, dtype=np.float32), -1.0)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :_CUT]
    discounts = 1.0 / np.log2(np.arange(2, _CUT + 2))
    gains = np.take_along_axis(candidates.relevant, order, 1) @ discounts[: order.shape[1]]
    ideal = np.cumsum(discounts)[np.minimum(candidates.counts, _CUT) - 1]
    return float((gains / ideal).mean())
