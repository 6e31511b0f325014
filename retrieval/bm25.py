"""BM25 over ``bm25s``: term weights are computed once a corpus, so that a search only adds them up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.files import digest
from inpars_plus.retrieval.cache import Arrays, keep_arrays, load_arrays
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever, best_positions
from inpars_plus.retrieval.tokens import TOKENS, Tokenizer, with_parts

__all__ = ["K1", "B", "Bm25Retriever"]

K1 = 0.9
B = 0.4

_PARTS = 1
"""Of how words are cut into parts; a new one leaves files of the old alone."""
_LAYOUT = 1
"""Of the cached arrays; a new one leaves files of the old alone."""


class Bm25Retriever(IndexedRetriever):
    """BM25 as Lucene scores it, k1 = 0.9, b = 0.4 (Kamphuis et al. 2020, "Which BM25 do you mean?").

    The score of a document is the sum over the query's terms, repeats included, of
    ``ln(1 + (N - df + .5) / (df + .5)) * tf / (tf + k1 * (1 - b + b * length / mean length))``.
    A document without any of the query's terms is not found; a query of stop words or unknown words finds nothing.

    Args:
        ids: the documents' ids.
        texts: one text an id, title included.
        parts: whether the parts of compound words are terms too, see :func:`~inpars_plus.retrieval.tokens.with_parts`.
        cache_directory: where the index is kept; ``None`` keeps it in memory only.

    Attributes:
        file: that keeps the index, if one does.
    """

    def __init__(
        self, ids: Sequence[str], texts: Sequence[str], *, parts: bool = False, cache_directory: Path | None = None
    ) -> None:
        super().__init__(ids)
        self._tokenizer, self._parts = Tokenizer(), parts
        self.file: Path | None = None
        arrays = self._open(texts, cache_directory)
        self._weights = arrays["weights"]
        self._documents = arrays["documents"]
        # One slice a term: its documents and their weights stand together.
        ends = arrays["ends"].tolist()
        vocabulary = json.loads(arrays["vocabulary"].tobytes())
        self._columns = {
            term: slice(start, end) for term, start, end in zip(vocabulary, [0, *ends], ends, strict=False)
        }

    def _search(self, queries: Sequence[str], width: int) -> Hits:
        hits = Hits.empty(len(queries), width)
        asked = [*map(with_parts, queries)] if self._parts else queries
        for row, terms in enumerate(self._tokenizer.terms(asked)):
            columns = [self._columns[term] for term in terms if term in self._columns]
            if not columns:
                continue
            scores = np.bincount(
                np.concatenate([self._documents[column] for column in columns]),
                weights=np.concatenate([self._weights[column] for column in columns]),
                minlength=len(self),
            )
            best = best_positions(scores, width)
            hits.positions[row, : len(best)] = best
            hits.scores[row, : len(best)] = scores[best]
        return hits

    def _open(self, texts: Sequence[str], cache_directory: Path | None) -> Arrays:
        def weigh() -> dict[str, npt.NDArray[Any]]:
            return _weigh(self._tokenizer, [*map(with_parts, texts)] if self._parts else texts)

        if cache_directory is None:
            return weigh()
        cut = {"parts": _PARTS} if self._parts else {}
        settings = {"layout": _LAYOUT, "k1": K1, "b": B, **TOKENS, **cut, **self._tokenizer.versions()}
        path = self.file = cache_directory / "bm25" / f"{digest(settings, *texts)}.safetensors"
        arrays = load_arrays(path)
        if arrays is None:
            arrays = weigh()
            keep_arrays(path, arrays)
        return arrays


def _weigh(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The weight of each term in each document that has it, term by term."""
    import bm25s

    tokens = tokenizer.indexed_terms(texts)
    if not any(tokens.ids):  # no document has a term: there is no mean length to divide by
        return {
            "weights": np.zeros(0, np.float32),
            "documents": np.zeros(0, np.int32),
            "ends": np.zeros(0, np.int64),
            "vocabulary": _packed([]),
        }
    index = bm25s.BM25(method="lucene", k1=K1, b=B)
    index.index(tokens, create_empty_token=False, show_progress=False)
    return {
        "weights": index.scores["data"],
        "documents": index.scores["indices"],
        "ends": index.scores["indptr"][1:],
        "vocabulary": _packed(sorted(index.vocab_dict, key=index.vocab_dict.__getitem__)),
    }


def _packed(vocabulary: list[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(vocabulary).encode(), dtype=np.uint8)
