"""Any number of retrievers over the same documents in one ranking, by a weighted sum of scaled scores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever
from inpars_plus.retrieval.smoothing import SMOOTHED, smoothed

if TYPE_CHECKING:
    from inpars_plus.retrieval.dense import DenseRetriever

__all__ = ["DEPTH", "Component", "FusedRetriever", "merged", "scaled", "with_values"]

DEPTH = 100
"""How many documents of each retriever are combined, whatever k is, so that a larger k only makes a ranking longer.

So a sum finds no more than this number times its retrievers. One retriever alone finds as many as are asked for.
"""


@dataclass(frozen=True)
class Component:
    """One retriever of several.

    Attributes:
        name: what it is called in files and tables.
        retriever: it; all components have the same documents in one order.
        floor: the score that documents have which it does not find, where it defines one, as BM25 does with 0.
        feedback: whether its queries can be moved towards the first document found, and its documents' vectors tell
            which are alike; the retriever is a :class:`~inpars_plus.retrieval.dense.DenseRetriever` then.
    """

    name: str
    retriever: IndexedRetriever
    floor: float | None = None
    feedback: bool = False


class FusedRetriever(IndexedRetriever):
    """``sum of weight * scaled score`` (Bruch et al. 2023, "An Analysis of Fusion Functions", for two).

    Each component's scores are scaled to [0, 1] between the lowest and the highest of its top 100; a document that it
    did not find gets 0 from it. When fewer than 100 are found and the component has a floor, that is the lowest. Where
    all scores of a top 100 are equal, they are scaled to 1. Whatever k is, only what stands in one of these tops is
    found; a single component is searched as deep as k says, and scaled by what it finds then.

    With ``feedback``, the first document of that sum moves the queries of those components that take it, and the sum is
    made again. That finds what is like the first document, and so helps questions with several answers.

    With ``smoothing``, the first 100 documents of the sum are ranked anew, each by its own score and those of its
    nearest neighbors among them, see :func:`~inpars_plus.retrieval.smoothing.smoothed`. Neighbors are near by the first
    component that takes feedback and has a weight; without one, nothing is smoothed.

    Args:
        components: at least one.
        weights: one a component, not negative, not all 0; divided by their sum.
        feedback: share of the first document's vector that is added to a query's; 0 for none.
        smoothing: weight of a neighbor with the same vector, beside 1 for the document itself; 0 for none.

    Raises:
        ConfigurationError: the components differ in their documents, or the weights are not what they should be.
    """

    def __init__(
        self,
        components: Sequence[Component],
        weights: Sequence[float],
        *,
        feedback: float = 0.0,
        smoothing: float = 0.0,
    ) -> None:
        if not components or any(one.retriever.ids != components[0].retriever.ids for one in components[1:]):
            raise ConfigurationError("a hybrid retriever needs retrievers over the same documents in one order")
        if len(weights) != len(components) or min(weights) < 0 or not sum(weights) > 0:
            raise ConfigurationError(
                f"{len(components)} retrievers need as many weights, none below 0 and not all 0, "
                f"not {', '.join(map(str, weights))}"
            )
        super().__init__(components[0].retriever.ids)
        self.components = tuple(components)
        self.weights = tuple(weight / sum(weights) for weight in weights)
        self.feedback = feedback
        self.smoothing = smoothing
        self.depth = DEPTH

    def with_depth(self, depth: int) -> Self:
        """The same retriever with so many documents of each component, 100 at least: for a filter that few pass."""
        deeper = copy.copy(self)
        deeper.depth = max(depth, DEPTH)
        return deeper

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        # One kind of score alone needs no depth of its own to be scaled by, so a larger k only makes its list longer.
        depth = max(self.depth, width) if len(self.components) == 1 else self.depth
        found: list[Hits] = [one.retriever.search_positions(queries, depth) for one in self.components]
        if self.feedback:
            first = self._sum(found, 1).positions[:, 0].tolist()
            found = [
                cast("DenseRetriever", one.retriever).search_near(queries, first, self.feedback, depth)
                if one.feedback
                else hits
                for one, hits in zip(self.components, found, strict=True)
            ]
        weighed = zip(self.components, self.weights, strict=True)
        dense = next((one.retriever for one, weight in weighed if one.feedback and weight), None)
        if not self.smoothing or dense is None:
            return self._sum(found, width)
        hits = self._sum(found, min(len(self), max(width, SMOOTHED)))
        positions, scores = smoothed(hits, cast("DenseRetriever", dense).vectors, self.smoothing)
        return Hits(positions[:, :width], scores[:, :width])

    def _sum(self, found: Sequence[Hits], width: int) -> Hits:
        parts = [
            with_values(hits, weight * scaled(hits, floor=component.floor))
            for component, weight, hits in zip(self.components, self.weights, found, strict=True)
        ]
        return merged(parts, width)


def with_values(hits: Hits, values: npt.NDArray[np.float64]) -> Hits:
    """The same documents with other values, in whatever order."""
    return Hits(hits.positions, values)


def scaled(hits: Hits, *, floor: float | None = None) -> npt.NDArray[np.float64]:
    """Scores scaled to [0, 1] row by row.

    Args:
        hits: scores never increase along a row.
        floor: the score that documents not found have, where the retriever defines one.
    """
    found = hits.positions >= 0
    low = np.where(found, hits.scores, np.inf).min(axis=1, keepdims=True)
    if floor is not None:
        low = np.where(found.all(axis=1, keepdims=True), low, floor)
    high = hits.scores[:, :1]
    span = np.where(high > low, high - low, 1.0)
    within = np.where(high > low, (hits.scores - low) / span, 1.0)
    return np.where(found, within, 0.0)


def merged(parts: Sequence[Hits], width: int) -> Hits:
    """Add up the values of each document of a row over all parts; best first, equal ones in the order of the corpus."""
    where, worth = reduce(_added, ((part.positions, part.scores) for part in parts))
    best = np.argsort(-np.where(where >= 0, worth, -np.inf), axis=1, kind="stable")[:, :width]
    found = Hits.empty(len(where), width)
    found.positions[:, : best.shape[1]] = np.take_along_axis(where, best, 1)
    kept = found.positions[:, : best.shape[1]] >= 0
    found.scores[:, : best.shape[1]] = np.where(kept, np.take_along_axis(worth, best, 1), 0.0)
    return found


_Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def _added(one: _Part, other: _Part) -> _Part:
    """Two parts as one, sorted by position; a document of both has the sum of their values."""
    where = np.concatenate([one[0], other[0]], axis=1)
    worth = np.concatenate([one[1], other[1]], axis=1)
    by_position = np.argsort(where, axis=1, kind="stable")
    where = np.take_along_axis(where, by_position, 1)
    worth = np.take_along_axis(worth, by_position, 1)
    # A document stands in a row at most twice, now side by side: the first takes the second's value.
    twice = (where[:, 1:] == where[:, :-1]) & (where[:, 1:] >= 0)
    worth[:, :-1] += np.where(twice, worth[:, 1:], 0.0)
    where[:, 1:][twice] = -1
    return where, worth
