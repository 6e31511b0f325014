from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from inpars_plus.corpora import open_corpus
from inpars_plus.foundation.errors import CorpusError, MissingPartError


class _Titled(NamedTuple):
    doc_id: str
    title: str
    text: str


class _Parts(NamedTuple):
    doc_id: str
    heading: str
    body: str

    def default_text(self) -> str:
        return f"{self.heading} {self.body}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Any:
    """The catalogue of the real package, to which tests add small datasets of their own."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    ir_datasets = pytest.importorskip("ir_datasets", reason="the extra ir-datasets is not installed")
    monkeypatch.setattr(ir_datasets.registry, "_registered", dict(ir_datasets.registry._registered))

    def add(name: str, documents: Any, language: str | None = "en") -> None:
        class Docs(ir_datasets.formats.BaseDocs):
            def docs_iter(self) -> Iterator[Any]:
                return iter(documents() if callable(documents) else documents)

            def docs_lang(self) -> str | None:
                return language

        ir_datasets.registry.register(name, ir_datasets.datasets.base.Dataset(Docs()))

    return add


def test_documents_of_a_dataset_are_read(registry):
    registry("tiny-corpus", [_Titled("1", "T", "a"), _Titled("2", "", "b")], "de")
    documents = list(open_corpus("ir_datasets:tiny-corpus"))
    assert [(document.id, document.title, document.text) for document in documents] == [("1", "T", "a"), ("2", "", "b")]
    assert {(document.doc_type, document.language) for document in documents} == {("tiny-corpus", "de")}


def test_a_dataset_without_a_text_field_gives_the_text_it_calls_its_own(registry):
    registry("tiny-parts", [_Parts("1", "H", "b")], None)
    (document,) = open_corpus("x=ir_datasets:tiny-parts:abstract", language="fr")
    assert (document.text, document.doc_type, document.language) == ("H b", "abstract", "fr")


def test_an_unknown_dataset_is_named(registry):
    with pytest.raises(CorpusError, match="ir_datasets:nowhere/at-all: ir_datasets has no dataset of that name"):
        open_corpus("ir_datasets:nowhere/at-all")


def test_a_dataset_that_cannot_be_fetched_is_named(registry):
    def unreachable() -> Iterator[Any]:
        yield _Titled("1", "T", "a")
        raise ConnectionError("no route to host")

    registry("tiny-broken", unreachable)
    with pytest.raises(CorpusError, match=r"could not be fetched \(no route to host\)"):
        open_corpus("ir_datasets:tiny-broken")


def test_without_the_package_the_one_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingPartError, match=r"pip install 'inpars-plus\[ir-datasets\]'"):
        open_corpus("ir_datasets:beir/scifact")
