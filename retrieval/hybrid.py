"""BM25 and dense retrieval in one ranking: by convex combination of scores, or by reciprocal ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever

__all__ = ["DEPTH", "RRF_K", "ConvexRetriever", "RrfRetriever"]

DEPTH = 100
"""How many documents of each retriever are combined, whatever k is, so that a larger k only makes a ranking longer."""

RRF_K = 60


class _HybridRetriever(IndexedRetriever):
    """Two retrievers over the same documents; at most twice ``DEPTH`` documents are found."""

    def __init__(self, lexical: IndexedRetriever, dense: IndexedRetriever) -> None:
        if lexical.ids != dense.ids:
            raise ConfigurationError("a hybrid retriever needs two retrievers over the same documents in one order")
        super().__init__(lexical.ids)
        self.lexical = lexical
        self.dense = dense

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        lexical = self.lexical.search_positions(queries, DEPTH)
        dense = self.dense.search_positions(queries, DEPTH)
        return _merge(
            (lexical.positions, dense.positions),
            (self._lexical_values(lexical), self._dense_values(dense)),
            width,
        )

    def _lexical_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        raise NotImplementedError

    def _dense_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        raise NotImplementedError


class ConvexRetriever(_HybridRetriever):
    """``weight * dense + (1 - weight) * BM25`` (Bruch et al. 2023, "An Analysis of Fusion Functions").

    Each retriever's scores are scaled to [0, 1] between the lowest and the highest of its top 100; a document that one
    of them did not find gets 0 from it. When fewer than 100 share a term with the query, the lowest is 0, the score of
    those that share none. Where all scores of a top 100 are equal, they are scaled to 1.

    Args:
        lexical: usually BM25; its scores are above 0.
        dense: a retriever over the same documents.
        weight: of the dense scores, 0 to 1.
    """

    def __init__(self, lexical: IndexedRetriever, dense: IndexedRetriever, *, weight: float = 0.5) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigurationError(f"the weight of the dense scores is between 0 and 1, not {weight}")
        super().__init__(lexical, dense)
        self.weight = weight

    def _lexical_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        return (1.0 - self.weight) * _scaled(hits, lowest=0.0)

    def _dense_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        return self.weight * _scaled(hits)


class RrfRetriever(_HybridRetriever):
    """Sum of ``1 / (60 + rank)`` over the top 100 of both (Cormack et al. 2009, "Reciprocal Rank Fusion")."""

    def _lexical_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        return _reciprocal_ranks(hits)

    def _dense_values(self, hits: Hits) -> npt.NDArray[np.float64]:
        return _reciprocal_ranks(hits)


def _reciprocal_ranks(hits: Hits) -> npt.NDArray[np.float64]:
    ranks = np.arange(1, hits.positions.shape[1] + 1)
    return np.where(hits.positions >= 0, 1.0 / (RRF_K + ranks), 0.0)


def _scaled(hits: Hits, *, lowest: float | None = None) -> npt.NDArray[np.float64]:
    """Scores scaled to [0, 1] row by row.

    Args:
        hits: scores never increase along a row.
        lowest: the score that documents not found have, where the retriever defines one.
    """
    found = hits.positions >= 0
    low = np.where(found, hits.scores, np.inf).min(axis=1, keepdims=True)
    if lowest is not None:
        low = np.where(found.all(axis=1, keepdims=True), low, lowest)
    high = hits.scores[:, :1]
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, (hits.scores - low) / span, 1.0)
    return np.where(found, scaled, 0.0)


def _merge(positions: Sequence[npt.NDArray[np.int64]], values: Sequence[npt.NDArray[np.float64]], width: int) -> Hits:
    """Add up the values of each document of a row, best first, equal ones in the order of the corpus."""
    where = np.concatenate(positions, axis=1)
    worth = np.concatenate(values, axis=1)
    by_position = np.argsort(where, axis=1, kind="stable")
    where = np.take_along_axis(where, by_position, 1)
    worth = np.take_along_axis(worth, by_position, 1)
    # A document stands in a row at most twice, now side by side: the first takes the second's value.
    twice = (where[:, 1:] == where[:, :-1]) & (where[:, 1:] >= 0)
    worth[:, :-1] += np.where(twice, worth[:, 1:], 0.0)
    where[:, 1:][twice] = -1
    worth = np.where(where >= 0, worth, -np.inf)
    best = np.argsort(-worth, axis=1, kind="stable")[:, :width]
    merged = Hits.empty(len(where), width)
    merged.positions[:, : best.shape[1]] = np.take_along_axis(where, best, 1)
    merged.scores[:, : best.shape[1]] = np.where(
        merged.positions[:, : best.shape[1]] >= 0, np.take_along_axis(worth, best, 1), 0.0
    )
    return merged
