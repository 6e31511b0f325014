"""Dense retrieval: the cosine between a query's vector and each document's, searched exactly with FAISS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.batching import Batcher
from inpars_plus.retrieval.embeddings import TextEncoder, embed
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever
from inpars_plus.retrieval.query_vectors import query_vectors
from inpars_plus.retrieval.threads import wait_without_spinning

__all__ = ["DenseRetriever"]

_DECIMALS = 5
"""Scores are rounded to these, because the last bits depend on the size of the batch: ties must not."""

_SPARE = 16
"""Documents searched beyond k, so that ties at its end are decided by the order of the corpus."""


class _Search(NamedTuple):
    queries: tuple[str, ...]
    width: int
    near: tuple[int, ...] = ()
    share: float = 0.0


class DenseRetriever(IndexedRetriever):
    """Exact search by cosine.

    Empty documents are never found, and every other document is, if ``k`` is large enough. Searches of many threads
    are answered together by one thread, so that queries are encoded in batches; the vectors of the last 20,000
    queries are remembered, for all retrievers with the same encoder.

    Args:
        ids: the documents' ids.
        texts: one text an id, title included.
        encoder: what encodes documents, and queries too if no other does.
        query_encoder: what encodes queries, where it was tuned for that.
        cache_directory: where vectors of documents are kept; ``None`` keeps them in memory only.
    """

    def __init__(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        encoder: TextEncoder,
        *,
        query_encoder: TextEncoder | None = None,
        cache_directory: Path | None = None,
    ) -> None:
        super().__init__(ids)
        # Rows of the index are the documents that are not empty, in the order of the corpus.
        rows = [row for row, text in enumerate(texts) if text.strip()]
        self._fill(rows, [texts[row] for row in rows], encoder, query_encoder or encoder, cache_directory)

    def _fill(
        self,
        owners: Sequence[int],
        texts: Sequence[str],
        encoder: TextEncoder,
        query_encoder: TextEncoder,
        cache_directory: Path | None,
    ) -> None:
        """Index texts, each of the document at a position of the corpus."""
        wait_without_spinning()
        import faiss

        self._encoder = query_encoder
        self._query_vectors = query_vectors(query_encoder)
        self._rows = np.array(owners, dtype=np.int64)
        self._index = None
        if len(self._rows):
            vectors = embed(texts, encoder, cache_directory=cache_directory)
            self._index = faiss.IndexFlatIP(vectors.shape[1])
            self._index.add(vectors)
        # One thread for all searches: torch and FAISS would start a pool of threads for each thread that calls them.
        self._batcher: Batcher[_Search, Hits] = Batcher(self._answer, max_size=256, max_wait_seconds=0.001)

    def search_near(self, queries: Sequence[str], near: Sequence[int], share: float, width: int) -> Hits:
        """Search with each query moved towards a document (Rocchio 1971, over vectors as in Li et al. 2021).

        Args:
            queries: none is blank.
            near: for each the position of a document, such as the first that another search found; -1 for none, and
                an empty document moves nothing.
            share: of the document's vector, added to the query's; the sum is scaled to length 1.
            width: how many documents to find at most.
        """
        return self._batcher(_Search(tuple(queries), min(width, len(self)), tuple(near), share))

    def vectors(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors of documents; of one that has several, the first.

        Args:
            positions: of the documents.

        Returns:
            ``[documents, dimensions]``, rows of length 1; 0 for an empty document.
        """
        if self._index is None:
            return np.zeros((len(positions), 1), dtype=np.float32)
        rows = np.minimum(np.searchsorted(self._rows, positions), len(self._rows) - 1)
        found = np.asarray(self._index.reconstruct_batch(rows), dtype=np.float32)
        found[self._rows[rows] != positions] = 0.0
        return found

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        return self._batcher(_Search(tuple(queries), width))

    def _moved(self, search: _Search, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The vectors of a search's queries, each moved towards its document."""
        if self._index is None or not search.near:
            return vectors
        moved = vectors + np.float32(search.share) * self.vectors(np.array(search.near, dtype=np.int64))
        return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)

    def _answer(self, searches: Sequence[_Search]) -> list[Hits]:
        vectors = self._query_vectors.of([query for search in searches for query in search.queries])
        parts, start = [], 0
        for search in searches:
            parts.append(self._moved(search, vectors[start : start + len(search.queries)]))
            start += len(search.queries)
        widest = max(search.width for search in searches)
        positions, scores = self._nearest(np.concatenate(parts), widest)
        answers, start = [], 0
        for search in searches:
            rows = slice(start, start + len(search.queries))
            answers.append(Hits(positions[rows, : search.width], scores[rows, : search.width]))
            start = rows.stop
        return answers

    def _nearest(self, vectors: npt.NDArray[np.float32], width: int) -> Hits:
        hits = Hits.empty(len(vectors), width)
        if self._index is None:
            return hits
        rows, scores = self._rounded(vectors, min(width + _SPARE, len(self._rows)))
        # Two stable sorts: by position, then by score, so that equal scores stay in the order of the corpus.
        order = np.argsort(rows, axis=1)
        order = np.take_along_axis(order, np.argsort(-np.take_along_axis(scores, order, 1), axis=1, kind="stable"), 1)
        taken = order[:, :width]
        hits.positions[:, : taken.shape[1]] = np.take_along_axis(rows, taken, 1)
        hits.scores[:, : taken.shape[1]] = np.take_along_axis(scores, taken, 1)
        return hits

    def _rounded(self, vectors: npt.NDArray[np.float32], depth: int) -> Hits:
        """The nearest ``depth`` rows of the index, as the positions that they belong to."""
        assert self._index is not None
        found, rows = self._index.search(vectors, depth)
        return Hits(self._rows[rows], found.astype(np.float64).round(_DECIMALS))
