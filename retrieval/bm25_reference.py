"""BM25 over ``rank-bm25``: slow and plain, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inpars_plus.retrieval.bm25 import K1, B
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever
from inpars_plus.retrieval.tokens import Tokenizer

__all__ = ["RankBm25Retriever"]


class RankBm25Retriever(IndexedRetriever):
    """``rank_bm25.BM25Okapi`` with the terms, k1 and b of :class:`~inpars_plus.retrieval.bm25.Bm25Retriever`.

    Its formula differs from Lucene's: the idf is ``ln(N - df + .5) - ln(df + .5)``, a quarter of the mean idf where
    that is negative, and the term weight is (k1 + 1) times as large. In a tiny corpus scores can so be 0 or negative;
    what is found is decided by shared terms, not by the sign. Nothing is cached.

    Args:
        ids: the documents' ids.
        texts: one text an id, title included.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        from rank_bm25 import BM25Okapi

        super().__init__(ids)
        self._tokenizer = Tokenizer()
        terms = self._tokenizer.terms(texts)
        # The package divides by the number of terms, which may be none.
        self._index = BM25Okapi(terms, k1=K1, b=B) if any(terms) else None

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        hits = Hits.empty(len(queries), width)
        if self._index is None:
            return hits
        for row, terms in enumerate(self._tokenizer.terms(queries)):
            wanted = set(terms)
            found = np.array(
                [
                    position
                    for position, frequencies in enumerate(self._index.doc_freqs)
                    if not wanted.isdisjoint(frequencies)
                ],
                dtype=np.int64,
            )
            if not len(found):
                continue
            scores = self._index.get_scores(terms)[found]
            order = np.argsort(-scores, kind="stable")[:width]
            hits.positions[row, : len(order)] = found[order]
            hits.scores[row, : len(order)] = scores[order]
        return hits
