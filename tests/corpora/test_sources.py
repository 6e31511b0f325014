from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from inpars_plus.corpora import CorpusSource, open_corpus
from inpars_plus.foundation.errors import ConfigurationError, CorpusError

ROW = '{"_id": "1", "text": "a"}\n'


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "notes.v2.jsonl"
    path.write_text(ROW)
    return path


def test_a_plain_path_is_named_after_its_file(table: Path):
    source = CorpusSource.parse(str(table))
    assert source == CorpusSource("notes", "jsonl", str(table), None)


def test_name_path_and_type_are_told_apart(table: Path):
    assert CorpusSource.parse(f"n.1={table}:faq-answer") == CorpusSource("n.1", "jsonl", str(table), "faq-answer")
    assert CorpusSource.parse(f"{table}:faq").doc_type == "faq"


def test_a_path_that_exists_is_taken_as_it_is(tmp_path: Path):
    path = tmp_path / "a=b:c.csv"
    path.write_text("id,text\n1,a\n")
    source = CorpusSource.parse(str(path))
    assert (source.location, source.doc_type) == (str(path), None)
    assert CorpusSource.parse(f"{path}:t").doc_type == "t"


def test_a_relative_path_works_wherever_one_stands(table: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(table.parent)
    assert CorpusSource.parse("notes.v2.jsonl").kind == "jsonl"
    assert CorpusSource.parse(".").name == table.parent.name
    assert CorpusSource.parse("notes.v2.jsonl").reference["location"] == str(table)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.JSONL.gz", "jsonl"),
        ("a.csv", "csv"),
        ("a.tsv.gz", "csv"),
        ("a.md", "folder"),
        ("a.html", "folder"),
    ],
)
def test_the_ending_says_how_a_file_is_read(tmp_path: Path, name: str, kind: str):
    (tmp_path / name).touch()
    assert CorpusSource.parse(str(tmp_path / name)).kind == kind


def test_a_directory_with_a_corpus_file_is_in_beir_layout_and_another_is_a_folder(tmp_path: Path):
    assert CorpusSource.parse(str(tmp_path)).kind == "folder"
    (tmp_path / "corpus.jsonl").write_text(ROW)
    assert CorpusSource.parse(str(tmp_path)).kind == "beir"


def test_the_corpora_that_are_no_files_have_names_of_their_own():
    assert CorpusSource.parse("python-docs") == CorpusSource("python-docs", "python-docs", "python-docs", None)
    assert CorpusSource.parse("p=python-docs:docs") == CorpusSource("p", "python-docs", "python-docs", "docs")
    source = CorpusSource.parse("ir_datasets:beir/scifact/train:abstract")
    assert source == CorpusSource("beir-scifact-train", "ir_datasets", "beir/scifact/train", "abstract")


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("nowhere", CorpusError, "nowhere: there is no such file or folder"),
        ("n=nowhere:t", CorpusError, "nowhere: there is no such file or folder"),
        ("", ConfigurationError, "the path of the corpus is missing"),
        ("name=", ConfigurationError, "the path of the corpus is missing"),
        ("name=:type", ConfigurationError, "the path of the corpus is missing"),
        ("my corpus=python-docs", ConfigurationError, "'my corpus' cannot be the name"),
        ("python-docs:a/b", ConfigurationError, "'a/b' cannot be a document type"),
        ("ir_datasets:", ConfigurationError, "the id of the dataset is missing"),
    ],
)
def test_a_wrong_specification_is_refused_in_one_sentence(spec: str, error: type[Exception], words: str):
    with pytest.raises(error) as caught:
        CorpusSource.parse(spec)
    assert words in str(caught.value)


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path):
    (tmp_path / "a.pdf").touch()
    with pytest.raises(CorpusError, match=r"ends in '\.pdf' is of no known kind"):
        CorpusSource.parse(str(tmp_path / "a.pdf"))


def test_the_document_type_is_the_given_one_or_the_documents_own_or_the_name(tmp_path: Path):
    path = tmp_path / "mixed.jsonl"
    rows = [{"_id": "1", "text": "a"}, {"_id": "2", "text": "b", "doc_type": "memo"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [document.doc_type for document in open_corpus(str(path))] == ["mixed", "memo"]
    assert [document.doc_type for document in open_corpus(f"{path}:note")] == ["note", "note"]


def test_two_corpora_of_one_name_are_refused(table: Path):
    with pytest.raises(ConfigurationError, match="two corpora are called 'notes'"):
        open_corpus([str(table), str(table)])
    assert len(open_corpus([str(table), f"other={table}"])) == 2


def test_a_language_is_given_for_documents_that_state_none(table: Path):
    assert [document.language for document in open_corpus(str(table), language="de-AT")] == ["de"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fields": {"body": "text"}}, "a document has no field 'body'"),
        ({"language": "klingon"}, "'klingon' is not a language code"),
        ({"encoding": "utf-9"}, "no text encoding called 'utf-9'"),
        ({"encoding": "base64"}, "no text encoding called 'base64'"),
        ({"max_characters": 0}, "0 characters"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_read(table: Path, settings: dict[str, object], words: str):
    table.write_text("this would be an error of its own\n")
    with pytest.raises(ConfigurationError) as caught:
        open_corpus(str(table), **settings)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_mapped_fields_that_nothing_uses_are_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ConfigurationError, match="no corpus is a CSV or JSON Lines file"):
        open_corpus(str(tmp_path), fields={"text": "body"})


def test_no_corpus_at_all_is_refused():
    with pytest.raises(ConfigurationError, match="no corpus is given"):
        open_corpus([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(table: Path):
    table.chmod(0)
    with pytest.raises(CorpusError, match="Permission denied"):
        open_corpus(str(table))
