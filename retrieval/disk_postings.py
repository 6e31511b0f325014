"""BM25 on disk: postings of chunks of a corpus are put together term by term, and a search reads those of its terms.

The same weights as :class:`~inpars_plus.retrieval.bm25.Bm25Retriever`: nothing is approximated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.files import read_json, replacing, write_bytes, write_json
from inpars_plus.retrieval.bm25 import K1, B
from inpars_plus.retrieval.cache import Arrays
from inpars_plus.retrieval.indexed import Hits, best_positions
from inpars_plus.retrieval.tokens import Tokenizer

__all__ = ["DiskPostings", "chunk_postings", "write_postings"]

_DOCUMENTS, _WEIGHTS, _ENDS, _TERMS = "documents.i32", "weights.f32", "ends.i64", "terms.json"


def chunk_postings(texts: Sequence[str], tokenizer: Tokenizer) -> dict[str, npt.NDArray[Any]]:
    """How often each term is in each text of a chunk, as arrays that can be kept until the whole corpus is known.

    Args:
        texts: of the chunk.
        tokenizer: cuts them into terms.

    Returns:
        ``terms`` (number in the chunk's own vocabulary), ``rows`` and ``counts``, one a posting, by term and row;
        ``lengths``, one a text; ``vocabulary``, JSON.
    """
    tokens = tokenizer.indexed_terms(texts)
    lengths = np.array([len(row) for row in tokens.ids], dtype=np.int32)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
    terms = np.fromiter((term for row in tokens.ids for term in row), dtype=np.int64, count=len(rows))
    keys, counts = np.unique(terms * len(texts) + rows, return_counts=True)
    vocabulary = sorted(tokens.vocab, key=tokens.vocab.__getitem__)
    return {
        "terms": (keys // max(1, len(texts))).astype(np.int32),
        "rows": (keys % max(1, len(texts))).astype(np.int32),
        "counts": counts.astype(np.int32),
        "lengths": lengths,
        "vocabulary": np.frombuffer(json.dumps(vocabulary).encode(), dtype=np.uint8),
    }


def write_postings(directory: Path, chunks: Sequence[Path], load: Any) -> None:
    """Put the postings of chunks together; twice each chunk is read, and one is in memory at a time.

    Args:
        directory: exists; gets the files.
        chunks: files of the chunks, in the order of the corpus.
        load: reads one: :func:`chunk_postings`'s arrays.
    """
    numbers: dict[str, int] = {}
    frequencies = np.zeros(0, dtype=np.int64)
    total = documents = 0
    for path in chunks:
        arrays = load(path)
        own = _numbered(arrays, numbers)
        frequencies = np.concatenate([frequencies, np.zeros(len(numbers) - len(frequencies), dtype=np.int64)])
        frequencies += np.bincount(own[arrays["terms"]], minlength=len(numbers))
        total += int(arrays["lengths"].sum())
        documents += len(arrays["lengths"])
    mean = total / documents if documents and total else 1.0
    idf = np.log(1 + (documents - frequencies + 0.5) / (frequencies + 0.5))
    ends = np.cumsum(frequencies)
    count = int(ends[-1]) if len(ends) else 0
    files = (directory / _DOCUMENTS, np.int32), (directory / _WEIGHTS, np.float32)
    for path, kind in files:
        _reserve(path, max(1, count) * np.dtype(kind).itemsize)
    where, weights = (np.memmap(path, dtype=kind, mode="r+") for path, kind in files)
    free, first = ends - frequencies, 0
    for path in chunks:
        arrays = load(path)
        own = _numbered(arrays, numbers)
        # A chunk's postings stand by term, so those of one term go side by side into what is free of its slice.
        sizes = np.bincount(arrays["terms"], minlength=len(own))
        starts = np.cumsum(sizes) - sizes
        terms = own[arrays["terms"]]
        places = free[terms] + np.arange(len(terms)) - starts[arrays["terms"]]
        counts = arrays["counts"].astype(np.float64)
        lengths = arrays["lengths"][arrays["rows"]]
        where[places] = arrays["rows"] + first
        weights[places] = idf[terms] * counts / (counts + K1 * (1 - B + B * lengths / mean))
        free[own] += sizes
        first += len(arrays["lengths"])
    where.flush()
    weights.flush()
    write_bytes(directory / _ENDS, ends.astype(np.int64).tobytes())
    write_json(directory / _TERMS, list(numbers))


def _reserve(path: Path, size: int) -> None:
    """Take the room of a file: a full disk that shows while a mapped file is filled would kill the process."""
    with replacing(path) as temporary, temporary.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def _numbered(arrays: Arrays, numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """The number in the whole vocabulary of each term of a chunk's own; new ones are entered."""
    own: Iterable[str] = json.loads(arrays["vocabulary"].tobytes())
    return np.array([numbers.setdefault(term, len(numbers)) for term in own], dtype=np.int64)


class DiskPostings:
    """Searches what :func:`write_postings` wrote. The vocabulary is in memory, the postings stay on disk.

    Args:
        directory: with the files.
        documents: how many there are.
    """

    def __init__(self, directory: Path, documents: int) -> None:
        self._size = documents
        self._tokenizer = Tokenizer()
        self._documents = np.memmap(directory / _DOCUMENTS, dtype=np.int32, mode="r")
        self._weights = np.memmap(directory / _WEIGHTS, dtype=np.float32, mode="r")
        self._ends = np.fromfile(directory / _ENDS, dtype=np.int64)
        terms = read_json(directory / _TERMS, kind="vocabulary")
        self._numbers = {term: number for number, term in enumerate(terms)}

    def search_positions(self, queries: Sequence[str], width: int) -> Hits:
        """The best ``width`` documents of each query, by position."""
        hits = Hits.empty(len(queries), width)
        for row, terms in enumerate(self._tokenizer.terms(queries)):
            slices = [self._slice(self._numbers[term]) for term in terms if term in self._numbers]
            if not slices:
                continue
            scores = np.bincount(
                np.concatenate([self._documents[one] for one in slices]),
                weights=np.concatenate([self._weights[one] for one in slices]),
                minlength=self._size,
            )
            best = best_positions(scores, width)
            hits.positions[row, : len(best)] = best
            hits.scores[row, : len(best)] = scores[best]
        return hits

    def _slice(self, number: int) -> slice:
        return slice(int(self._ends[number - 1]) if number else 0, int(self._ends[number]))
