"""Proposing document types where none are known; how many is part of what is found.

Documents of one type share a form and differ in topic, so neither is trusted alone. Form by itself falls apart by
accidents, such as code with comments and code without; meaning falls apart by topics. What counts as two types is
apart in both: between them lies a valley in the distribution of form and another in that of meaning.

1. k-means sorts the documents, by form and meaning together, into more cells than there will be types.
2. For two cells, the direction that best separates them is found on half of their documents (Fisher's linear
   discriminant, 1936, with shrinkage), in form and in meaning, and the other half is projected on it. The density at
   the bottom of the valley between the two, divided by the lower of the peaks beside it, is 1 where there is no valley
   and 0 where nothing lies between. Merging components as long as there is hardly a valley follows Hennig (2010,
   doi:10.1007/s11634-010-0058-3).
3. The two cells whose shallower valley is the shallowest are merged, and so on, until every two that are left have
   valleys deeper than ``DEPTH`` in both. Groups of less than a hundredth of the documents are merged as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import InputError

__all__ = ["DEPTH", "LEAST_DOCUMENTS", "ProposedTypes", "Valley", "propose_types"]

DEPTH = 0.5
"""Two groups are of two types where the density between them falls below this share of the lower peak."""

LEAST_DOCUMENTS = 100
"""Fewer tell too little of a distribution."""

_CELLS = 20
_DOCUMENTS_A_CELL = 25
_SORTED_BY = 10  # axes of meaning that cells are made by
_LEAST_SHARE = 0.01
_LEAST_MEMBERS = 10
_LEAST_HALF = 5
# Of the covariance within groups, towards a sphere; vectors have more dimensions than small groups have documents.
_SHRINKAGE_OF_FORM = 0.05
_SHRINKAGE_OF_MEANING = 1.0
_MOST_SPREADS = 4.0
_LEAST_SPREAD = 1e-3
_GRID = 51
_BINS = 512

_Numbers = npt.NDArray[np.float64]
_Labels = npt.NDArray[np.int64]
_Members = npt.NDArray[np.bool_]


class Valley(NamedTuple):
    """How far two groups are apart: density between them over the lower peak, 1 for no valley, 0 for a gap."""

    form: float
    meaning: float

    @property
    def shallower(self) -> float:
        """That of the two by which they are less apart."""
        return max(self)


@dataclass(frozen=True)
class ProposedTypes:
    """What was found.

    Attributes:
        labels: ``[documents]``, the number of each document's type, from 0 in the order of size.
        count: how many types.
        valleys: between each two types, by their numbers.
        centrality: ``[documents]``, how near a document is to the middle of its type; larger is nearer.
    """

    labels: _Labels
    count: int
    valleys: dict[tuple[int, int], Valley]
    centrality: _Numbers


def propose_types(form: _Numbers, vectors: Callable[[], npt.NDArray[Any]], *, seed: int) -> ProposedTypes:
    """Sort documents into types.

    Args:
        form: ``[documents, features]`` from :func:`inpars_plus.programs.form.form_features`.
        vectors: gives ``[documents, dimensions]``, of the same documents, none of which is empty; called once there are
            enough of them.
        seed: of cells and halves.

    Raises:
        InputError: there are fewer documents than :data:`LEAST_DOCUMENTS`.
    """
    from sklearn.cluster import KMeans

    count = len(form)
    if count < LEAST_DOCUMENTS:
        raise InputError(
            f"types are proposed for at least {LEAST_DOCUMENTS} documents that are not empty, and there are {count}",
            remedy="Give more documents, or name their type yourself, as in --corpus PATH:TYPE",
        )
    shape = _scaled(form)
    meaning = np.asarray(vectors(), dtype=np.float64)
    leading = _principal(meaning)
    # As much weight for meaning as for form, however many columns either has.
    weight = np.sqrt(shape.shape[1] / leading.shape[1]) / max(float(leading.std()), _LEAST_SPREAD)
    points = np.hstack([shape, leading * weight])
    cells = min(_CELLS, count // _DOCUMENTS_A_CELL, len(np.unique(points, axis=0)))
    labels = np.asarray(KMeans(cells, n_init=4, random_state=seed).fit_predict(points), dtype=np.int64)
    halves = np.random.default_rng(seed).random(count) < 0.5
    valleys = _merge(labels, lambda one, other: _between(shape, meaning, labels, halves, one, other))
    return _described(labels, valleys, points)


def _merge(labels: _Labels, valley: Callable[[int, int], Valley]) -> dict[tuple[int, int], Valley]:
    """Merge groups in place until all are apart; returns the valleys between those that are left."""
    least = max(_LEAST_MEMBERS, round(_LEAST_SHARE * len(labels)))
    known: dict[tuple[int, int], Valley] = {}
    while True:
        sizes = {int(one): int((labels == one).sum()) for one in np.unique(labels)}
        pairs = list(combinations(sorted(sizes), 2))
        for pair in pairs:
            if pair not in known:
                known[pair] = valley(*pair)
        small = {one for one, size in sizes.items() if size < least}
        open_pairs = [pair for pair in pairs if not small or small.intersection(pair)]
        if not open_pairs:
            return {}
        first, second = max(open_pairs, key=lambda pair: known[pair].shallower)
        if known[first, second].shallower < DEPTH and not small:
            return known
        labels[labels == second] = first
        known = {pair: found for pair, found in known.items() if not {first, second}.intersection(pair)}


def _between(form: _Numbers, meaning: _Numbers, labels: _Labels, halves: _Members, one: int, other: int) -> Valley:
    both = (labels == one) | (labels == other)
    second, half = labels[both] == other, halves[both]
    return Valley(
        _valley(form[both], second, half, _SHRINKAGE_OF_FORM),
        # All dimensions: the axes in which the whole corpus varies most are those of its largest type.
        _valley(meaning[both], second, half, _SHRINKAGE_OF_MEANING),
    )


def _valley(points: _Numbers, second: _Members, half: _Members, shrinkage: float) -> float:
    parts = [(second & half).sum(), (second & ~half).sum(), (~second & half).sum(), (~second & ~half).sum()]
    if min(parts) < _LEAST_HALF:
        if min(second.sum(), (~second).sum()) < _LEAST_HALF:
            return 1.0
        return _depth(points @ _direction(points, second, shrinkage), second)
    return (
        _depth(points[~half] @ _direction(points[half], second[half], shrinkage), second[~half])
        + _depth(points[half] @ _direction(points[~half], second[~half], shrinkage), second[half])
    ) / 2.0


def _depth(line: _Numbers, second: _Members) -> float:
    left, right = np.median(line[~second]), np.median(line[second])
    if left > right:
        line, left, right = -line, -left, -right
    share = second.mean()
    within = float(np.sqrt(line[~second].var() * (1.0 - share) + line[second].var() * share))
    # The rule of thumb of Silverman (1986) for the spread within the groups.
    width = max(1.06 * within * len(line) ** -0.2, 1e-9)
    counts, edges = np.histogram(line, np.linspace(line.min() - 4 * width, line.max() + 4 * width, _BINS + 1))
    middles = (edges[1:] + edges[:-1]) / 2.0
    grid = np.linspace(left, right, _GRID)
    density = np.exp(-0.5 * ((middles - grid[:, None]) / width) ** 2) @ counts
    peaks = np.minimum(np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1])
    return float((density / np.maximum(peaks, 1e-12)).min())


def _direction(points: _Numbers, second: _Members, shrinkage: float) -> _Numbers:
    """Both groups count alike, or a small one would be seen along the axes of the large one."""
    within = (np.cov(points[~second].T) + np.cov(points[second].T)) / 2.0
    within += np.eye(len(within)) * max(float(np.trace(within)) / len(within), 1e-9) * shrinkage
    return np.asarray(np.linalg.solve(within, points[second].mean(axis=0) - points[~second].mean(axis=0)))


def _principal(vectors: _Numbers) -> _Numbers:
    """The vectors along the axes in which they vary most."""
    centered = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    return np.asarray(centered @ axes[:, ::-1][:, :_SORTED_BY])


def _scaled(form: _Numbers) -> _Numbers:
    """Each feature less its median, in units of its spread between the 10th and the 90th percentile, at most 4."""
    low, high = np.quantile(form, [0.1, 0.9], axis=0)
    spread, deviation = (high - low) / 2.56, form.std(axis=0)  # the same for a normal distribution
    # A feature that few documents have at all has no spread by percentiles.
    spread = np.maximum(np.where(spread < 0.2 * deviation, deviation, spread), _LEAST_SPREAD)
    return np.asarray(np.clip((form - np.median(form, axis=0)) / spread, -_MOST_SPREADS, _MOST_SPREADS))


def _described(labels: _Labels, valleys: dict[tuple[int, int], Valley], points: _Numbers) -> ProposedTypes:
    """Types numbered by size."""
    names, sizes = np.unique(labels, return_counts=True)
    numbers = {int(names[at]): number for number, at in enumerate(np.argsort(-sizes, kind="stable"))}
    renamed = np.array([numbers[int(one)] for one in labels], dtype=np.int64)
    centers = np.stack([points[renamed == number].mean(axis=0) for number in range(len(numbers))])
    return ProposedTypes(
        labels=renamed,
        count=len(numbers),
        valleys={
            (min(numbers[one], numbers[other]), max(numbers[one], numbers[other])): found
            for (one, other), found in sorted(valleys.items())
        },
        centrality=-np.linalg.norm(points - centers[renamed], axis=1),
    )
