"""An index on disk beside the same search in memory."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.retrieval.bm25 import Bm25Retriever
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.disk import DiskIndex, build_disk_index
from inpars_plus.retrieval.protocol import Retriever

WORDS = "pump valve turbine boiler crane kiln lathe seal leak smoke night shift plant oil rust heat".split()


class WordVectors:
    """Texts with like words have like vectors; counts what it encodes."""

    digest = "word vectors"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        self.encoded += len(texts)
        return np.stack([self._vector(text) for text in texts])

    @staticmethod
    def _vector(text: str) -> npt.NDArray[np.float32]:
        total = np.full(32, 1e-3)
        for word in text.lower().split():
            seed = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)
            total += np.random.default_rng(seed).standard_normal(32)
        return (total / np.linalg.norm(total)).astype(np.float32)


def documents(count: int) -> list[Document]:
    draw = random.Random(1)
    found = [
        Document(id=f"dóc-{number}", text=" ".join(draw.choices(WORDS, k=draw.randint(4, 12))))
        for number in range(count)
    ]
    found[3] = Document(id="blank", text=" ")
    return found


QUERIES = ["leak at night", "the turbine and its seal", "rust heat oil", "", "of the", "nothing known here"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk") / "index"
    build_disk_index(folder, iter(documents(700)), encoder=WordVectors(), chunk=128)
    return folder


def test_bm25_is_the_same_as_in_memory(built: Path) -> None:
    known = documents(700)
    memory = Bm25Retriever([one.id for one in known], [one.full_text for one in known])
    disk = DiskIndex(built, dense_weight=0.0, encoder=WordVectors())
    assert isinstance(disk, Retriever)
    assert len(disk) == 700
    ours, theirs = disk.search(QUERIES, 50), memory.search(QUERIES, 50)
    assert [len(one) for one in ours] == [len(one) for one in theirs]
    assert max(map(len, ours)) == 50
    assert [one.ids for one in ours] == [one.ids for one in theirs]


def test_the_first_are_the_same_whatever_k_is(built: Path) -> None:
    index = DiskIndex(built, encoder=WordVectors())
    few, many = index.search(QUERIES[:3], 10), index.search(QUERIES[:3], 600)
    assert [one.ids for one in few] == [one.ids[:10] for one in many]


def test_an_open_index_goes_on_while_another_is_built(tmp_path: Path) -> None:
    old = build_disk_index(tmp_path / "index", documents(60), encoder=WordVectors())
    before = old.search(["leak at night"], 10)
    others = [Document(id=f"other-{number}", text="a pump") for number in range(5)]
    build_disk_index(tmp_path / "index", others, encoder=WordVectors())
    assert old.search(["leak at night"], 10) == before


def test_vectors_are_compared_exactly(built: Path) -> None:
    known, encoder = documents(700), WordVectors()
    memory = DenseRetriever([one.id for one in known], [one.full_text for one in known], encoder)
    found = DiskIndex(built, dense_weight=1.0, encoder=encoder).search(QUERIES[:3], 10)
    wanted = memory.search(QUERIES[:3], 10)
    shared = [len({*one.ids} & {*other.ids}) for one, other in zip(found, wanted, strict=True)]
    assert min(shared) >= 9
    assert all(one.ids[0] == other.ids[0] for one, other in zip(found, wanted, strict=True))


def test_a_blank_document_and_a_blank_query_find_nothing(built: Path) -> None:
    found = DiskIndex(built, encoder=WordVectors()).search(["leak", " "], 1_000)
    assert len(found[1]) == 0
    assert len(found[0]) >= 100
    assert "blank" not in found[0].ids


def test_a_killed_build_encodes_only_what_is_missing(tmp_path: Path) -> None:
    def stream() -> Iterator[Document]:
        for number, document in enumerate(documents(300)):
            if number == 200:
                raise KeyboardInterrupt
            yield document

    first, second = WordVectors(), WordVectors()
    with pytest.raises(KeyboardInterrupt):
        build_disk_index(tmp_path / "index", stream(), encoder=first, chunk=64)
    with pytest.raises(ConfigurationError, match="there is no whole index here"):
        DiskIndex(tmp_path / "index", encoder=first)
    index = build_disk_index(tmp_path / "index", documents(300), encoder=second, chunk=64)
    assert (first.encoded, second.encoded) == (192, 108)
    assert len(index) == 300
    assert not (tmp_path / "index" / "chunks").exists()


def test_a_new_build_replaces_the_index(tmp_path: Path) -> None:
    build_disk_index(tmp_path / "index", documents(40), encoder=WordVectors())
    index = build_disk_index(tmp_path / "index", documents(60)[40:], encoder=WordVectors())
    assert len(index) == 20
    assert set(index.search(["leak"], 100)[0].ids) <= {f"dóc-{number}" for number in range(40, 60)}


def test_what_is_wrong_is_told(built: Path, tmp_path: Path) -> None:
    class Other(WordVectors):
        digest = "another"

    with pytest.raises(ConfigurationError, match="built with another encoder"):
        DiskIndex(built, encoder=Other())
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        DiskIndex(built, encoder=WordVectors(), dense_weight=2)
    with pytest.raises(ConfigurationError, match=r"Pass \[query\]"):
        DiskIndex(built, encoder=WordVectors()).search("leak", 3)
    with pytest.raises(ConfigurationError, match="at least 1 document"):
        DiskIndex(built, encoder=WordVectors()).search(["leak"], 0)
    with pytest.raises(CorpusError, match="two documents have this id"):
        build_disk_index(tmp_path / "index", [Document(id="1", text="a b")] * 2, encoder=WordVectors())
    with pytest.raises(ConfigurationError, match="a chunk of 0 documents"):
        build_disk_index(tmp_path / "index", documents(5), encoder=WordVectors(), chunk=0)
    with pytest.raises(CorpusError, match="no document to index"):
        build_disk_index(tmp_path / "index", [], encoder=WordVectors())


@pytest.mark.parametrize("gone", ["format", "format_version", "encoder", "documents"])
def test_an_index_without_one_of_its_keys_is_refused(tmp_path: Path, gone: str) -> None:
    build_disk_index(tmp_path, documents(5), encoder=WordVectors())
    told = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({key: value for key, value in told.items() if key != gone}))
    with pytest.raises(ConfigurationError, match=r"not one of this version\. Build it again"):
        DiskIndex(tmp_path, encoder=WordVectors())
