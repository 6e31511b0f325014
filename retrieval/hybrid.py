"""BM25 and dense retrieval in one ranking: by convex combination of scores, or by reciprocal ranks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.fusion import DEPTH, Component, FusedRetriever, merged, with_values
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever

__all__ = ["RRF_K", "ConvexRetriever", "RrfRetriever"]

RRF_K = 60


class ConvexRetriever(FusedRetriever):
    """``weight * dense + (1 - weight) * BM25``, scaled as in :class:`~inpars_plus.retrieval.fusion.FusedRetriever`.

    When fewer than 100 documents share a term with the query, the lowest score of BM25 is 0, that of those that share
    none.

    Args:
        lexical: usually BM25; its scores are above 0.
        dense: a retriever over the same documents.
        weight: of the dense scores, 0 to 1.
    """

    def __init__(self, lexical: IndexedRetriever, dense: IndexedRetriever, *, weight: float = 0.5) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigurationError(f"the weight of the dense scores is between 0 and 1, not {weight}")
        super().__init__([Component("bm25", lexical, floor=0.0), Component("dense", dense)], [1.0 - weight, weight])
        self.lexical = lexical
        self.dense = dense
        self.weight = weight


class RrfRetriever(IndexedRetriever):
    """Sum of ``1 / (60 + rank)`` over the top 100 of both (Cormack et al. 2009, "Reciprocal Rank Fusion").

    When fewer than 100 documents share a term with the query, the others have ranks too: they all score 0 in BM25, and
    so follow in the order of the corpus. That adds to what the dense retriever found, and finds nothing by itself; a
    query of which no document has a term is left to the dense retriever alone.
    """

    def __init__(self, lexical: IndexedRetriever, dense: IndexedRetriever) -> None:
        if lexical.ids != dense.ids:
            raise ConfigurationError("a hybrid retriever needs two retrievers over the same documents in one order")
        super().__init__(lexical.ids)
        self.lexical = lexical
        self.dense = dense
        self.depth = DEPTH

    def with_depth(self, depth: int) -> Self:
        """The same retriever with so many documents of each, 100 at least: for a filter that few pass."""
        deeper = copy.copy(self)
        deeper.depth = max(depth, DEPTH)
        return deeper

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        lexical = self.lexical.search_positions(queries, self.depth)
        dense = self.dense.search_positions(queries, self.depth)
        values = _reciprocal_ranks(dense) + _beyond_the_terms(lexical, dense)
        return merged([with_values(lexical, _reciprocal_ranks(lexical)), with_values(dense, values)], width)


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
