"""BM25 and dense retrieval in one ranking: by convex combination of scores, or by reciprocal ranks."""

from __future__ import annotations

from abc import abstractmethod
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
        return _merge((lexical.positions, dense.positions), self._values(lexical, dense), width)

    @abstractmethod
    def _values(self, lexical: Hits, dense: Hits) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """What each of the two adds to the documents that it found."""


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

    def _values(self, lexical: Hits, dense: Hits) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return (1.0 - self.weight) * _scaled(lexical, lowest=0.0), self.weight * _scaled(dense)


class RrfRetriever(_HybridRetriever):
    """Sum of ``1 / (60 + rank)`` over the top 100 of both (Cormack et al. 2009, "Reciprocal Rank Fusion").

    When fewer than 100 documents share a term with the query, the others have ranks too: they all score 0 in BM25, and
    so follow in the order of the corpus. That adds to what the dense retriever found, and finds nothing by itself; a
    query of which no document has a term is left to the dense retriever alone.
    """

    def _values(self, lexical: Hits, dense: Hits) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return _reciprocal_ranks(lexical), _reciprocal_ranks(dense) + _beyond_the_terms(lexical, dense)


def _reciprocal_ranks(hits: Hits) -> npt.NDArray[np.float64]:
    ranks = np.arange(1, hits.positions.shape[1] + 1)
    return np.where(hits.positions >= 0, 1.0 / (RRF_K + ranks), 0.0)


def _beyond_the_terms(lexical: Hits, dense: Hits) -> npt.NDArray[np.float64]:
    """What BM25 adds to dense finds that share no term, where it ranks them within its top at all."""
    values = np.zeros(dense.positions.shape)
    depth = lexical.positions.shape[1]
    counts = (lexical.positions >= 0).sum(axis=1)
    for row in np.flatnonzero((counts > 0) & (counts < depth)):
        sharing = np.sort(lexical.positions[row, : counts[row]])
        found = dense.positions[row]
        # Before a document stand those that share a term, and those that share none and come earlier in the corpus.
        ranks = counts[row] + 1 + found - np.searchsorted(sharing, found)
        counted = (found >= 0) & ~np.isin(found, sharing) & (ranks <= depth)
        values[row, counted] = 1.0 / (RRF_K + ranks[counted])
    return values


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
