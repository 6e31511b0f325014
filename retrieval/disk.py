"""Corpora that do not fit into memory: an index built from a stream of documents, searched from disk.

::

    build_disk_index("big", documents)
    DiskIndex("big").search(["why does the pump leak"], 10)

    <index>/index.json        what it holds, written last
    <index>/postings/         BM25, exact
    <index>/vectors/          one vector a document, found through lists and compared exactly
    <index>/ids.utf8, ids.i64 the ids, one after the other, and where each ends

Documents come in chunks. Each is encoded and counted once and kept in a file of its own until the index is whole, so a
build that was killed goes on with the first chunk that is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.batching import batched
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.files import digest, read_json, write_bytes, write_json
from inpars_plus.foundation.progress import bar
from inpars_plus.foundation.runs import Run
from inpars_plus.retrieval.cache import load_arrays, save_arrays
from inpars_plus.retrieval.disk_postings import DiskPostings, chunk_postings, write_postings
from inpars_plus.retrieval.disk_vectors import DiskVectors, write_vectors
from inpars_plus.retrieval.embeddings import TextEncoder
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.fusion import DEPTH, merged, scaled, with_values
from inpars_plus.retrieval.indexed import Hits
from inpars_plus.retrieval.protocol import Ranking, check_k, check_queries
from inpars_plus.retrieval.query_vectors import query_vectors
from inpars_plus.retrieval.tokens import Tokenizer

__all__ = ["DiskIndex", "build_disk_index"]

_CHUNK = 8_192
_FORMAT = "inpars-plus disk index"
_VERSION = 1
_FILE = "index.json"


def build_disk_index(
    directory: str | Path,
    documents: Iterable[Document],
    *,
    encoder: TextEncoder | None = None,
    chunk: int = _CHUNK,
    seed: int = 0,
) -> DiskIndex:
    """Index a stream of documents.

    Args:
        directory: made when missing; an index in it is replaced once the new one is whole.
        documents: read once, never all in memory; ids are unique.
        encoder: of documents and queries; the embedded one by default.
        chunk: documents at a time, and those that are done again at most after a kill.
        seed: of the centres of the lists of vectors.

    Raises:
        ConfigurationError: a chunk would hold nothing.
        CorpusError: there is no document, or two have the same id.
        RunError: another process uses the directory, the disk is full, or it cannot be written.
    """
    if chunk < 1:
        raise ConfigurationError(f"a chunk of {chunk} documents is none", place="chunk", remedy="Give 1 or more")
    folder, encoder = Path(directory), encoder or load_encoder()
    with Run(folder):
        chunks, ids = _chunks(folder / "chunks", documents, encoder, chunk)
        for name, write in (("postings", write_postings), ("vectors", write_vectors)):
            half = folder / f"{name}.new"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            write(half, chunks, _load, **({"seed": seed} if name == "vectors" else {}))
        (folder / _FILE).unlink(missing_ok=True)
        for name in ("postings", "vectors"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / f"{name}.new").rename(folder / name)
        packed = [one.encode("utf-8", "surrogatepass") for one in ids]
        write_bytes(folder / "ids.utf8", b"".join(packed))
        write_bytes(folder / "ids.i64", np.cumsum([len(one) for one in packed], dtype=np.int64).tobytes())
        write_json(
            folder / _FILE,
            {"format": _FORMAT, "format_version": _VERSION, "documents": len(ids), "encoder": encoder.digest},
        )
        shutil.rmtree(folder / "chunks")
    return DiskIndex(folder, encoder=encoder)


def _chunks(
    folder: Path, documents: Iterable[Document], encoder: TextEncoder, size: int
) -> tuple[list[Path], list[str]]:
    """Encode and count what is not there yet; the files in order, and all ids."""
    tokenizer, paths, ids, seen = Tokenizer(), list[Path](), list[str](), set[str]()
    settings = digest(encoder.digest, Tokenizer.versions())
    with bar("Indexing documents", None) as progress:
        for some in batched(documents, size):
            for document in some:
                if document.id in seen:
                    raise CorpusError("two documents have this id", place=f"document '{document.id}'")
                seen.add(document.id)
                ids.append(document.id)
            texts = [document.full_text for document in some]
            path = folder / f"{digest(settings, *texts)[:32]}.safetensors"
            if load_arrays(path) is None:
                save_arrays(path, {"vectors": _encoded(texts, encoder), **chunk_postings(texts, tokenizer)})
            paths.append(path)
            progress.update(len(some))
    if not ids:
        raise CorpusError("there is no document to index")
    return paths, ids


def _encoded(texts: Sequence[str], encoder: TextEncoder) -> Any:
    """Vectors as float16, zeros for an empty text; texts of like length are encoded together."""
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    vectors = encoder.encode([texts[at] for at in order])
    found = np.zeros(vectors.shape, dtype=np.float16)
    found[order] = vectors
    found[[at for at, text in enumerate(texts) if not text.strip()]] = 0
    return found


def _load(path: Path) -> Any:
    arrays = load_arrays(path)
    if arrays is None:
        raise CorpusError(
            "a chunk of the index is gone", place=str(path), remedy="Build it again; the other chunks are kept"
        )
    return arrays


class DiskIndex:
    """Searches an index on disk; a :class:`~inpars_plus.retrieval.protocol.Retriever`.

    Args:
        directory: that :func:`build_disk_index` wrote.
        dense_weight: of the vectors in the sum, from 0 (BM25 alone) to 1.
        encoder: of queries, if not the embedded one; it must be the one that encoded the documents.

    Raises:
        ConfigurationError: there is no index, or it was built with another encoder or by another version.
    """

    def __init__(self, directory: str | Path, *, dense_weight: float = 0.5, encoder: TextEncoder | None = None) -> None:
        folder, encoder = Path(directory), encoder or load_encoder()
        if not (folder / _FILE).is_file():
            raise ConfigurationError(
                "there is no whole index here", place=str(folder), remedy="Build it with build_disk_index"
            )
        if not 0 <= dense_weight <= 1:
            raise ConfigurationError(f"the dense weight is {dense_weight}, but must lie between 0 and 1")
        told = read_json(folder / _FILE, kind="index")
        known = isinstance(told, dict) and (told.get("format"), told.get("format_version")) == (_FORMAT, _VERSION)
        if not known or not {"documents", "encoder"} <= told.keys():
            raise ConfigurationError("the index is not one of this version", place=str(folder), remedy="Build it again")
        if told["encoder"] != encoder.digest:
            raise ConfigurationError(
                "the index was built with another encoder, by an earlier version, or on a machine of another precision",
                place=str(folder),
                remedy="Give that encoder, or build the index again",
            )
        self.dense_weight = dense_weight
        self._size = int(told["documents"])
        self._postings = DiskPostings(folder / "postings", self._size)
        self._vectors = DiskVectors(folder / "vectors", self._size)
        self._encoder = encoder
        self._query_vectors = query_vectors(encoder)
        self._ids = np.memmap(folder / "ids.utf8", dtype=np.uint8, mode="r")
        self._ends = np.memmap(folder / "ids.i64", dtype=np.int64, mode="r")

    def __len__(self) -> int:
        return self._size

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """As :meth:`inpars_plus.retrieval.protocol.Retriever.search`; ties are in the order of the corpus.

        As in :class:`~inpars_plus.retrieval.fusion.FusedRetriever` the first 100 of both are combined, whatever k is;
        BM25 alone or vectors alone find as many as are asked for.
        """
        check_queries(queries)
        check_k(k)
        asked = [query for query in queries if query.strip()]
        rankings = iter(self._found(asked, min(k, self._size)) if asked else [])
        return [next(rankings) if query.strip() else Ranking((), ()) for query in queries]

    def _found(self, queries: Sequence[str], width: int) -> list[Ranking]:
        parts = list[Hits]()
        # One kind of score alone needs no depth of its own to be scaled by, so a larger k only makes its list longer.
        depth = max(DEPTH, width) if self.dense_weight in (0, 1) else DEPTH
        if self.dense_weight < 1:
            hits = self._postings.search_positions(queries, depth)
            parts.append(with_values(hits, (1 - self.dense_weight) * scaled(hits, floor=0.0)))
        if self.dense_weight > 0:
            hits = self._vectors.search_positions(self._query_vectors.of(queries), depth)
            parts.append(with_values(hits, self.dense_weight * scaled(hits)))
        positions, scores = merged(parts, width)
        return [
            Ranking(tuple(self._id(one) for one in row[row >= 0].tolist()), tuple(worth[row >= 0].tolist()))
            for row, worth in zip(positions, scores, strict=True)
        ]

    def _id(self, position: int) -> str:
        start = int(self._ends[position - 1]) if position else 0
        return self._ids[start : int(self._ends[position])].tobytes().decode("utf-8", "surrogatepass")
