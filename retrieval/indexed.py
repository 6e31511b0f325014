"""What the retrievers that index documents themselves share: positions instead of ids, and one order for ties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from inpars_plus.retrieval.protocol import Ranking, check_k, check_queries

__all__ = ["Hits", "IndexedRetriever", "best_positions"]


class Hits(NamedTuple):
    """The documents found for a batch of queries, as arrays: what fusion and metrics compute with.

    Attributes:
        positions: ``[queries, width]`` int64, positions of documents in the corpus, best first; -1 fills up a row that
            found fewer.
        scores: ``[queries, width]`` float64, never increasing along a row; 0 where the position is -1.
    """

    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, queries: int, width: int) -> Hits:
        """Nothing found yet for any query."""
        return cls(np.full((queries, width), -1, dtype=np.int64), np.zeros((queries, width)))


class IndexedRetriever(ABC):
    """A retriever over documents that are known by their position in the corpus.

    Documents with equal scores are ranked in the order of the corpus, so that the same index gives the same ranking
    always. An instance never changes after it is built: any number of threads may search it, and a deep copy of it
    (DSPy makes one a trial of everything that holds it) is the instance itself.

    Args:
        ids: the documents' ids, in the order of the corpus, without repeats.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self._positions = {document_id: position for position, document_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def position(self, document_id: str) -> int | None:
        """Where a document stands in the corpus, from 0, or ``None`` if it is not in it."""
        return self._positions.get(document_id)

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Search all queries at once; see :class:`~inpars_plus.retrieval.protocol.Retriever`.

        Raises:
            ConfigurationError: ``k`` is below 1, or the queries are no list of texts.
        """
        positions, scores = self.search_positions(queries, k)
        found = (positions >= 0).sum(axis=1).tolist()
        ids = self.ids
        return [
            Ranking(tuple(ids[position] for position in row[:count]), tuple(row_scores[:count]))
            for row, row_scores, count in zip(positions.tolist(), scores.tolist(), found, strict=True)
        ]

    def search_positions(self, queries: Sequence[str], k: int) -> Hits:
        """Search all queries at once, for callers that compute with the result.

        Args:
            queries: query texts; one of nothing but white space finds nothing.
            k: how many documents to find at most; more than the corpus has is the same as all of them.

        Raises:
            ConfigurationError: ``k`` is below 1, or the queries are no list of texts.
        """
        check_queries(queries)
        check_k(k)
        width = min(k, len(self.ids))
        asked = [row for row, query in enumerate(queries) if query.strip()]
        hits = Hits.empty(len(queries), width)
        if asked:
            found = self._search([queries[row] for row in asked], width)
            hits.positions[asked], hits.scores[asked] = found
        return hits

    @abstractmethod
    def _search(self, queries: Sequence[str], width: int) -> Hits:
        """Find ``width`` documents a query (1 to the size of the corpus); at least one query, none of them empty."""


def best_positions(scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """The positions of the ``k`` highest scores above 0, best first, equal scores by position.

    Args:
        scores: ``[documents]``; 0 means that a document was not found.
        k: how many at most.
    """
    candidates = np.flatnonzero(scores > 0)
    found = scores[candidates]
    if k < len(found):
        # Every score that equals the last one taken is a candidate: which of them is taken decides the position.
        kept = found >= np.partition(found, len(found) - k)[len(found) - k]
        candidates, found = candidates[kept], found[kept]
    return candidates[np.argsort(-found, kind="stable")[:k]]
