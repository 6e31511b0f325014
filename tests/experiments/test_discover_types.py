"""Discovering types: a mixed corpus goes in, the same documents with proposed types come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, open_corpus, split_documents, write_documents
from inpars_plus.experiments.cli import main
from inpars_plus.experiments.discover_types import DiscoverSettings, discover_types, tell
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.type_names import headline, type_terms, unique_names
from inpars_plus.foundation import InputError
from inpars_plus.retrieval.hashing import HashingEncoder


class _Counting(HashingEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode(self, texts: Any, *, short: bool = False) -> Any:
        self.encoded += len(texts)
        return super().encode(texts)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))


def _settings(corpus: Any, out: Path, **values: Any) -> DiscoverSettings:
    return make_settings(DiscoverSettings, "discover-types", corpus=corpus, out=out, **values)


@pytest.fixture
def mixed(typed: Any, tmp_path: Path) -> list[str]:
    """Two corpora; the types of the second stand in its documents."""
    write_documents(tmp_path / "a.jsonl", [one.model_copy(update={"doc_type": "x"}) for one in typed.some(150, "code")])
    write_documents(tmp_path / "b.jsonl", [*typed.some(150, "talk", "report"), Document(id="empty", doc_type="talk")])
    return [f"a={tmp_path / 'a.jsonl'}:x", f"b={tmp_path / 'b.jsonl'}"]


@pytest.mark.slow
def test_types_are_proposed_named_and_written_for_the_next_job(mixed: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = _settings(mixed, out)
    summary = discover_types(settings, encoder=HashingEncoder())
    results = json.loads((out / "summary.json").read_text())["results"]
    assert results == json.loads(json.dumps(summary.results))
    assert len(results["types"]) == 3
    assert results["stated"]["adjusted_rand_index"] > 0.95
    assert sorted(results["stated"]["types"]) == ["report", "talk", "x"]

    lines = [json.loads(line) for line in (out / "types.jsonl").read_text().splitlines()]
    assert len(lines) == results["documents"] == 451
    proposed = {line["document_id"]: line["doc_type"] for line in lines}
    assert set(proposed.values()) == set(results["types"])
    for name, one in results["types"].items():
        assert one["documents"] == sum(doc_type == name for doc_type in proposed.values())
        assert name == "-".join(one["terms"])
        assert 1 <= len(one["typical"]) <= 3

    again = open_corpus([f"{name}={out / 'corpus' / f'{name}.jsonl'}" for name in ("a", "b")])
    assert {one.id: one.doc_type for one in again.documents()} == proposed
    told = tell(settings, summary)
    assert "3 document types in 451 documents" in told
    assert f"--corpus a={out / 'corpus' / 'a.jsonl'} --corpus b={out / 'corpus' / 'b.jsonl'} --by-type" in told


@pytest.mark.slow
def test_written_documents_are_the_same_but_for_their_type_and_fall_into_the_same_splits(
    typed: Any, tmp_path: Path
) -> None:
    long = [
        Document(id=f"long/{at}", title="T", text=f"{one.text} " * 9, language="de", metadata={"author": "N"})
        for at, one in enumerate(typed.some(120, "report"))
    ]
    for name in ("a", "b"):
        write_documents(tmp_path / f"{name}.jsonl", long)
    corpora = [f"{name}={tmp_path / f'{name}.jsonl'}" for name in ("a", "b")]
    discover_types(_settings(corpora, tmp_path / "out", max_characters=900), encoder=HashingEncoder())
    before = open_corpus(corpora, max_characters=900)
    after = open_corpus([f"{name}={tmp_path / 'out' / 'corpus' / f'{name}.jsonl'}" for name in ("a", "b")])
    hidden = {"doc_type": "hidden"}
    assert [one.model_copy(update=hidden) for one in after] == [one.model_copy(update=hidden) for one in before]
    splits = [split_documents(corpus, corpus) for corpus in (before, after)]
    assert [[one.id for one in part] for part in splits[0]] == [[one.id for one in part] for part in splits[1]]


def test_documents_beyond_the_sample_are_sorted_to_the_type_that_they_are_like(
    mixed: list[str], tmp_path: Path
) -> None:
    summary = discover_types(_settings(mixed, tmp_path / "out", sample=200), encoder=HashingEncoder())
    assert summary.results["documents"] == 451
    assert summary.results["stated"]["adjusted_rand_index"] > 0.9


@pytest.mark.slow
def test_a_finished_run_does_nothing_again_and_another_seed_encodes_nothing(mixed: list[str], tmp_path: Path) -> None:
    encoder = _Counting()
    first = discover_types(_settings(mixed, tmp_path / "out"), encoder=encoder)
    encoded = encoder.encoded
    assert encoded >= 440
    assert discover_types(_settings(mixed, tmp_path / "out"), encoder=encoder).results == first.results
    discover_types(_settings(mixed, tmp_path / "other", seed=1), encoder=encoder)
    assert encoder.encoded == encoded


@pytest.mark.slow
def test_a_second_run_with_fewer_corpora_tells_of_those_alone(mixed: list[str], tmp_path: Path) -> None:
    discover_types(_settings(mixed, tmp_path / "out"), encoder=HashingEncoder())
    settings = _settings(mixed[1:], tmp_path / "out")
    told = tell(settings, discover_types(settings, encoder=HashingEncoder()))
    assert "--corpus b=" in told
    assert "--corpus a=" not in told


def test_documents_of_one_type_are_one_type(typed: Any, tmp_path: Path) -> None:
    write_documents(tmp_path / "c.jsonl", typed.some(300, "report"))
    summary = discover_types(_settings(str(tmp_path / "c.jsonl"), tmp_path / "out"), encoder=HashingEncoder())
    assert len(summary.results["types"]) == 1
    assert summary.results["valleys"] == []


def test_too_few_documents_end_in_one_sentence(typed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_documents(tmp_path / "c.jsonl", [*typed.some(20, "code"), Document(id="empty")])
    with pytest.raises(InputError, match="at least 100 documents that are not empty, and there are 20"):
        discover_types(_settings(str(tmp_path / "c.jsonl"), tmp_path / "out"), encoder=HashingEncoder())
    assert main(["discover-types", "--corpus", str(tmp_path / "c.jsonl"), "--out", str(tmp_path / "o")]) == 2
    assert "Give more documents" in capsys.readouterr().err


def test_names_are_made_of_words_that_others_lack_and_no_two_are_alike() -> None:
    documents = [Document(id=str(at), text=text) for at, text in enumerate(["a pump and seal", "a pump and mint tea"])]
    assert type_terms(documents, [0, 1], 2) == [["seal", "pump"], ["mint", "tea", "pump"]]
    assert unique_names([["seal"], ["seal"], []]) == ["seal", "seal-2", "type"]
    assert headline(Document(id="1", text="\n  First line\nsecond")) == "First line"
    assert len(headline(Document(id="1", title="long " * 40))) <= 80
