"""Searching many documents: 10,000 queries over 100,000 in memory, and an index of 1,000,000 on disk.

    python -m inpars_plus.experiments.benchmarks.search

Texts are drawn word by word with the frequencies of Python's documentation, vectors at random around 1,000 centres, so
that nothing has to be encoded: what is measured is indexing and searching. The index on disk is built and searched in
processes of their own, so that the memory of each is known.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora import Document, open_corpus
from inpars_plus.experiments.benchmarks.common import Benchmark, Row, json_of_child, main_of, median_ratio, timed
from inpars_plus.foundation.summaries import own_memory_mb, peak_memory_mb
from inpars_plus.metrics.words import words
from inpars_plus.retrieval.bm25 import Bm25Retriever
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.disk import DiskIndex, build_disk_index

__all__ = ["DrawnVectors", "measure"]

_SIZE = 384
_CENTRES = 1_000
_SPREAD = 0.8
_OTHERS = 10**9
_BATCH = 8_192
_DEPTH = 10


class DrawnVectors:
    """Stands for an encoder: a text's vector is drawn from the number that it begins with, near one of the centres.

    A query that begins with a document's number is near that document.
    """

    digest = "drawn vectors"

    def __init__(self) -> None:
        self._centres = np.random.default_rng(0).standard_normal((_CENTRES, _SIZE)).astype(np.float32)

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Vectors of length 1."""
        numbers = [int(text.split(" ", 1)[0]) for text in texts]
        vectors = self._centres[[number % _CENTRES for number in numbers]] + _SPREAD * self._noise(numbers)
        if short:
            vectors += _SPREAD * self._noise([number + _OTHERS for number in numbers])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    @staticmethod
    def _noise(numbers: Sequence[int]) -> npt.NDArray[np.float32]:
        return np.stack([np.random.default_rng(number).standard_normal(_SIZE, dtype=np.float32) for number in numbers])


def measure(quick: bool = False) -> Benchmark:
    """In memory first, then on disk."""
    in_memory = _in_memory(2_000, 100) if quick else _in_memory(100_000, 10_000)
    count = 5_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        built = _child("build", Path(scratch), count)
        on_disk = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file()) / 2**20
        searched = _child("search", Path(scratch), count)
    figures = {"in_memory": in_memory, "on_disk": {"documents": count, "mib": on_disk, **built, **searched}}
    return Benchmark(
        name="search",
        compared=f"{in_memory['queries']:,} queries over {in_memory['documents']:,} documents in memory; "
        f"{count:,} documents from a stream into an index on disk, asked {searched['queries']} queries one by one.",
        rows=[
            Row(what="BM25, a query alone / in batches", value=in_memory["bm25_one_by_one_over_batched"]),
            Row(what="dense, a query alone / in batches", value=in_memory["dense_one_by_one_over_batched"]),
            *(
                Row(what=f"memory to search the index on disk, {what} / its size", value=mib / on_disk, unit="of")
                for what, key in (("files not counted", "own_mib"), ("mapped ones too", "search_mib"))
                if (mib := searched[key]) is not None
            ),
            Row(
                what="on disk, the nearest document found that an exact search finds",
                value=searched["found"],
                unit="of",
            ),
        ],
        figures=figures,
    )


def _in_memory(count: int, queries: int) -> dict[str, Any]:
    documents = list(_documents(count))
    ids, texts = [one.id for one in documents], [one.text for one in documents]
    asked = _queries(count, queries)
    figures: dict[str, Any] = {"documents": count, "queries": queries}
    for name, make in (("bm25", Bm25Retriever), ("dense", _dense)):
        with timed() as building:
            retriever = make(ids, texts)
        retriever.search(asked[:1], _DEPTH)
        alone, batched = [], []
        for start in range(3):
            some = asked[start :: max(1, queries // 100)]
            with timed() as one_by_one:
                for query in some:
                    retriever.search([query], _DEPTH)
            alone.append(one_by_one.seconds / len(some))
            with timed() as together:
                retriever.search(asked, _DEPTH)
            batched.append(together.seconds / queries)
        figures |= {
            f"{name}_index_seconds": building.seconds,
            f"{name}_queries_per_second": 1 / statistics.median(batched),
            f"{name}_one_by_one_over_batched": median_ratio(alone, batched),
        }
    return figures


def _dense(ids: Sequence[str], texts: Sequence[str]) -> DenseRetriever:
    return DenseRetriever(ids, texts, DrawnVectors())


def _documents(count: int) -> Iterator[Document]:
    """A stream: nothing but the vocabulary is in memory."""
    draw = random.Random(0)
    frequencies = Counter(
        word for document in open_corpus(["python-docs"]).documents() for word in words(document.full_text)
    )
    vocabulary, bounds = list(frequencies), list(accumulate(frequencies.values()))
    for number in range(count):
        drawn = draw.choices(vocabulary, cum_weights=bounds, k=draw.randint(20, 120))
        yield Document(id=str(number), text=f"{number} {' '.join(drawn)}")


def _queries(count: int, queries: int) -> list[str]:
    """Each begins with the number of a document that it is near, and goes on with words of Python's documentation."""
    draw = random.Random(1)
    pool = [word for document in open_corpus(["python-docs"]).documents() for word in words(document.full_text)]
    return [f"{draw.randrange(count)} {' '.join(draw.sample(pool, 8))}" for _ in range(queries)]


def _build(folder: Path, count: int) -> dict[str, Any]:
    with timed() as watch:
        build_disk_index(folder, _documents(count), encoder=DrawnVectors())
    return {"build_seconds": watch.seconds, "build_mib": peak_memory_mb()}


def _search(folder: Path, count: int) -> dict[str, Any]:
    asked, seconds = _queries(count, 100), dict[str, list[float]]()
    first: list[str] = []
    for name, weight in (("bm25", 0.0), ("dense", 1.0), ("hybrid", 0.5)):
        index = DiskIndex(folder, dense_weight=weight, encoder=DrawnVectors())
        seconds[name] = []
        for query in asked:
            started = time.perf_counter()
            (ranking,) = index.search([query], _DEPTH)
            seconds[name].append(time.perf_counter() - started)
            first += [ranking.ids[0]] if name == "dense" else []
    memory, own = peak_memory_mb(), own_memory_mb()
    nearest = _nearest(asked, count)
    return {
        "queries": len(asked),
        "milliseconds_a_query": {name: 1e3 * statistics.median(each) for name, each in seconds.items()},
        "found": sum(one == other for one, other in zip(first, nearest, strict=True)) / len(asked),
        "search_mib": memory,
        "own_mib": own,
    }


def _nearest(asked: Sequence[str], count: int) -> list[str]:
    """The document nearest to each query, by comparing it with all of them."""
    encoder = DrawnVectors()
    queries = encoder.encode(asked, short=True)
    best, nearest = np.full(len(asked), -np.inf), np.zeros(len(asked), dtype=np.int64)
    for start in range(0, count, _BATCH):
        vectors = encoder.encode([str(number) for number in range(start, min(start + _BATCH, count))])
        scores = queries @ vectors.T
        better = scores.max(axis=1) > best
        nearest[better] = start + scores.argmax(axis=1)[better]
        best = np.maximum(best, scores.max(axis=1))
    return [str(one) for one in nearest]


def _child(what: str, folder: Path, count: int) -> dict[str, Any]:
    return json_of_child(
        "inpars_plus.experiments.benchmarks.search", ["--child", what, "--folder", str(folder), "--count", str(count)]
    )


def _as_child(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", choices=["build", "search"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int)
    given = parser.parse_args(arguments)
    print(json.dumps((_build if given.child == "build" else _search)(given.folder, given.count)))
    return 0


if __name__ == "__main__":
    raise SystemExit(_as_child(sys.argv[1:]) if "--child" in sys.argv else main_of(measure, __doc__))
