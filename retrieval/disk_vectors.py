"""Vectors on disk: a coarse FAISS index says which are near, and these are compared exactly.

The index is ``IVF`` with 8-bit scalars (Jégou et al. 2011 for the lists), mapped into memory, so that a search reads
the lists that it probes. What it finds is scored again from the vectors themselves, kept as float16, so scores are the
cosines that the search in memory has; only a document in a list that is not probed can be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import replacing
from inpars_plus.retrieval.indexed import Hits
from inpars_plus.retrieval.threads import wait_without_spinning

__all__ = ["DiskVectors", "write_vectors"]

_VECTORS, _INDEX = "vectors.f16", "lists.faiss"
_BATCH = 65_536
_LEARNED_FROM = 64
"""Vectors a list that the centres are learned from."""
_PROBED = 32
"""One in so many lists is probed."""
_FEWEST_PROBED = 8
_SPARE = 4
"""Times as many are found as are scored exactly and kept."""


def write_vectors(directory: Path, chunks: Sequence[Path], load: Any, *, seed: int = 0) -> None:
    """Put the vectors of chunks together and index them; one chunk is in memory at a time, and the 8-bit index.

    Args:
        directory: exists; gets the files.
        chunks: files of the chunks, in the order of the corpus.
        load: reads one: ``vectors`` ``[texts, dimensions]`` float16, a row of zeros for an empty text.
        seed: of the vectors that the centres are learned from.
    """
    faiss = _faiss()
    count, size, rows = 0, 0, []
    with replacing(directory / _VECTORS) as temporary, temporary.open("wb") as file:
        for path in chunks:
            vectors = load(path)["vectors"]
            full = np.flatnonzero(vectors.any(axis=1))
            rows.append(full + count)
            count, size = count + len(vectors), vectors.shape[1]
            file.write(np.ascontiguousarray(vectors, dtype=np.float16).data)
    kept = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    if not len(kept):
        return
    stored = np.memmap(directory / _VECTORS, dtype=np.float16, mode="r", shape=(count, size))
    lists = int(min(4 * np.sqrt(len(kept)), max(1, len(kept) // _LEARNED_FROM)))
    quantizer = faiss.IndexFlatIP(size)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, size, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.seed = seed
    drawn = np.random.default_rng(seed).choice(kept, min(len(kept), _LEARNED_FROM * lists), replace=False)
    index.train(stored[np.sort(drawn)].astype(np.float32))
    for start in range(0, len(kept), _BATCH):
        some = kept[start : start + _BATCH]
        index.add_with_ids(stored[some].astype(np.float32), some)
    with replacing(directory / _INDEX) as temporary:
        try:
            faiss.write_index(index, str(temporary))
        except RuntimeError as problem:
            raise RunError(
                "the lists of vectors could not be written",
                place=str(directory / _INDEX),
                remedy="Free some space on that disk and build the index again; what is finished is kept",
            ) from problem


class DiskVectors:
    """Searches what :func:`write_vectors` wrote.

    Args:
        directory: with the files.
        documents: how many there are.
    """

    def __init__(self, directory: Path, documents: int) -> None:
        self._index = None
        if (directory / _INDEX).is_file():
            faiss = _faiss()
            self._index = faiss.read_index(str(directory / _INDEX), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
            self._index.nprobe = min(self._index.nlist, max(_FEWEST_PROBED, self._index.nlist // _PROBED))
            self._vectors = np.memmap(
                directory / _VECTORS, dtype=np.float16, mode="r", shape=(documents, self._index.d)
            )

    def search_positions(self, queries: npt.NDArray[np.float32], width: int) -> Hits:
        """The best ``width`` documents of each query's vector, by position."""
        hits = Hits.empty(len(queries), width)
        if self._index is None:
            return hits
        _, near = self._index.search(queries, _SPARE * width)
        for row, positions in enumerate(near):
            found = np.sort(positions[positions >= 0])
            scores = self._vectors[found].astype(np.float32) @ queries[row]
            best = np.argsort(-scores, kind="stable")[:width]
            hits.positions[row, : len(best)] = found[best]
            hits.scores[row, : len(best)] = scores[best]
        return hits


def _faiss() -> Any:
    wait_without_spinning()
    import faiss

    return faiss
