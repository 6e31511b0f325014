"""Dense retrieval by the nearest sentence: a document is as near as its nearest passage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.sentences import sentences_of
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.embeddings import TextEncoder
from inpars_plus.retrieval.indexed import Hits

__all__ = ["PassageRetriever", "passages_of"]

_PER_DOCUMENT = 6
"""Passages looked at for each document wanted, at first; more where they are of too few documents."""


def passages_of(document: Document) -> list[str]:
    """Its title, then its sentences or lines; one that is too short to stand alone goes with the one before.

    Returns:
        None for an empty document.
    """
    title = document.title.strip()
    return [*([title] if title else []), *sentences_of(document.text)]


class PassageRetriever(DenseRetriever):
    """Exact search by the highest cosine of a document's passages (MaxP; Dai and Callan 2019).

    One vector a sentence takes about ten times the memory of one vector a document.

    Args:
        ids: the documents' ids.
        passages: of each document; none for an empty one, which is never found.
        encoder: what encodes passages, and queries too if no other does.
        query_encoder: what encodes queries, where it was tuned for that.
        cache_directory: where vectors are kept; ``None`` keeps them in memory only.
    """

    def __init__(
        self,
        ids: Sequence[str],
        passages: Sequence[Sequence[str]],
        encoder: TextEncoder,
        *,
        query_encoder: TextEncoder | None = None,
        cache_directory: Path | None = None,
    ) -> None:
        super(DenseRetriever, self).__init__(ids)
        owners = [row for row, texts in enumerate(passages) for _ in texts]
        flat = [text for texts in passages for text in texts]
        self._documents = len(set(owners))
        self._fill(owners, flat, encoder, query_encoder or encoder, cache_directory)

    def _nearest(self, vectors: npt.NDArray[np.float32], width: int) -> Hits:
        hits = Hits.empty(len(vectors), width)
        wanted = min(width, self._documents)
        depth = min(len(self._rows), width * _PER_DOCUMENT)
        waiting = np.arange(len(vectors))
        while len(waiting) and wanted:
            positions, scores = self._rounded(vectors[waiting], depth)
            short = []
            for at, row in enumerate(waiting):
                # The first of a document in this order has its best score; equal scores stand in the corpus's order.
                order = np.lexsort((positions[at], -scores[at]))
                _, first = np.unique(positions[at][order], return_index=True)
                taken = order[np.sort(first)][:wanted]
                # Deeper passages may tie with the last score, and belong to an earlier document.
                if depth < len(self._rows) and (len(taken) < wanted or scores[at][taken[-1]] <= scores[at].min()):
                    short.append(row)
                    continue
                hits.positions[row, :wanted] = positions[at][taken]
                hits.scores[row, :wanted] = scores[at][taken]
            waiting = np.array(short, dtype=np.int64)
            depth = min(len(self._rows), depth * 4)
        return hits
