from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpars_plus.corpora import Corpus, Document, Section, open_corpus
from inpars_plus.corpora.readers import Record
from inpars_plus.foundation.errors import CorpusError


def _corpus(*documents: Document, **settings: int) -> Corpus:
    return Corpus([Section("c", lambda: (Record(document, "memory") for document in documents), "memory")], **settings)


def _write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_corpus_streams_the_same_documents_each_time(tmp_path):
    corpus = open_corpus(_write(tmp_path / "c.jsonl", {"_id": "1", "text": "a"}, {"_id": "2", "text": ""}))
    assert [document.id for document in corpus] == ["1", "2"]
    assert list(corpus.documents()) == list(corpus.documents())
    assert len(corpus) == 2


def test_an_empty_document_is_kept(tmp_path):
    corpus = open_corpus(_write(tmp_path / "c.jsonl", {"_id": "1", "text": ""}, {"_id": "2", "text": None}))
    assert [document.is_empty for document in corpus] == [True, True]


def test_one_corpus_that_goes_beside_several_has_ids_with_its_name(tmp_path):
    path = _write(tmp_path / "c.jsonl", {"_id": "1", "text": "Cells divide in two. Proteins fold into shapes."})
    corpus = open_corpus(path, named=True, max_characters=30)
    assert [document.id for document in corpus] == ["c/1#1", "c/1#2"]
    assert {document.metadata["parent_id"] for document in corpus} == {"c/1"}
    assert corpus.original_id("c/1") == "1"


def test_types_are_counted_most_frequent_first():
    documents = [Document(id=str(number), doc_type="ab"[number % 3 == 0]) for number in range(7)]
    assert list(_corpus(*documents).types().items()) == [("a", 4), ("b", 3)]


def test_an_id_that_is_there_twice_is_named_with_both_places(tmp_path):
    path = _write(tmp_path / "c.jsonl", {"_id": "1", "text": "a"}, {"_id": "2", "text": "b"}, {"_id": "1", "text": "c"})
    with pytest.raises(CorpusError) as caught:
        open_corpus(path)
    assert caught.value.place == f"{path}, line 3"
    assert str(caught.value).startswith(f"{path}, line 3: the id '1' is already used at {path}, line 1. Give every")


def test_a_chunk_whose_id_a_document_has_already_is_found():
    long = Document(id="d", text="Cells divide in two. Proteins fold into shapes.")
    with pytest.raises(CorpusError, match="'d#2' is already used"):
        _corpus(long, Document(id="d#2"), max_characters=30)


def test_an_empty_corpus_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(CorpusError, match=r"the corpus is empty\. Check the path"):
        open_corpus(_write(tmp_path / "c.jsonl"))
    with pytest.raises(CorpusError, match=r"the corpus is empty\. Check the path"):
        open_corpus(str(tmp_path / "c.jsonl"), max_characters=100)


def test_one_empty_corpus_among_several_is_named(tmp_path):
    full = _write(tmp_path / "full.jsonl", {"_id": "1", "text": "a"})
    empty = _write(tmp_path / "empty.jsonl")
    with pytest.raises(CorpusError) as caught:
        open_corpus([full, empty])
    assert caught.value.place == empty


@pytest.mark.parametrize("identifier", ["a\tb", "a\nb", "a\u2028b"])
def test_an_id_that_would_break_a_file_of_judgments_is_refused(identifier: str):
    with pytest.raises(CorpusError, match="a tab or a line break"):
        _corpus(Document(id=identifier))


def test_half_of_a_character_is_refused_with_its_place(tmp_path):
    path = _write(tmp_path / "c.jsonl", {"_id": "1", "text": "a"}, {"_id": "2", "text": "smile \ud83d"})
    with pytest.raises(CorpusError, match="half of a character") as caught:
        open_corpus(path)
    assert caught.value.place == f"{path}, line 2"


def test_a_corpus_that_shrinks_while_it_is_used_is_noticed(tmp_path):
    path = tmp_path / "c.jsonl"
    corpus = open_corpus(_write(path, {"_id": "1", "text": "a"}, {"_id": "2", "text": "b"}))
    _write(path, {"_id": "1", "text": "a"})
    with pytest.raises(CorpusError, match="it had 2 documents and now has 1"):
        list(corpus)


def test_the_digest_is_of_the_content_and_not_of_the_file(tmp_path):
    first = open_corpus(_write(tmp_path / "a.jsonl", {"_id": "1", "text": "a", "doc_type": "t"}))
    (tmp_path / "b.jsonl").write_text('{"text":   "a", "doc_type": "t", "_id": "1"}\n\n')
    assert open_corpus(str(tmp_path / "b.jsonl")).digest() == first.digest()
    other = open_corpus(_write(tmp_path / "c.jsonl", {"_id": "1", "text": "b", "doc_type": "t"}))
    assert other.digest() != first.digest()


@pytest.mark.parametrize(
    "change", [{"title": "x"}, {"text": "x"}, {"doc_type": "x"}, {"language": "de"}, {"metadata": {"x": 1}}]
)
def test_every_field_counts_in_the_digest(change: dict[str, object]):
    document = Document(id="1", title="t", text="a")
    assert _corpus(document).digest() != _corpus(document.model_copy(update=change)).digest()


def test_chunks_count_as_documents():
    corpus = _corpus(Document(id="d", text="Cells divide in two. Proteins fold into shapes."), max_characters=30)
    assert [document.id for document in corpus] == ["d#1", "d#2"]
    assert len(corpus) == 2


def test_ids_of_several_corpora_are_prefixed_and_their_chunks_name_prefixed_parents(tmp_path):
    text = "Cells divide in two. Proteins fold into shapes."
    a = _write(tmp_path / "a.jsonl", {"_id": "x/1", "text": text})
    b = _write(tmp_path / "b.jsonl", {"_id": "1", "text": "Short.", "metadata": {"parent_id": "c0"}})
    corpus = open_corpus([a, f"bee={b}"], max_characters=30)
    assert corpus.names == ("a", "bee")
    assert [document.id for document in corpus] == ["a/x/1#1", "a/x/1#2", "bee/1"]
    assert [document.metadata["parent_id"] for document in corpus] == ["a/x/1", "a/x/1", "c0"]
    assert corpus.original_id("a/x/1") == "x/1"
    assert corpus.original_id("bee/1") == "1"


@pytest.mark.parametrize("identifier", ["1", "c/1", "a/"])
def test_an_id_of_no_corpus_has_no_original(tmp_path, identifier: str):
    a = _write(tmp_path / "a.jsonl", {"_id": "1", "text": "a"})
    b = _write(tmp_path / "b.jsonl", {"_id": "1", "text": "a"})
    with pytest.raises(CorpusError, match="none of the corpora a, b"):
        open_corpus([a, b]).original_id(identifier)


@given(st.lists(st.text(st.characters(categories=["L", "N", "Zs", "P"]), min_size=1, max_size=5), min_size=1))
def test_repeated_ids_are_found_and_others_are_not(identifiers: list[str]):
    documents = [Document(id=identifier) for identifier in identifiers]
    if len(set(identifiers)) == len(identifiers):
        assert len(_corpus(*documents)) == len(identifiers)
    else:
        with pytest.raises(CorpusError, match="already used"):
            _corpus(*documents)


def test_the_reference_says_how_to_read_the_corpus_again(tmp_path):
    path = _write(tmp_path / "a.jsonl", {"_id": "1", "text": "a"})
    corpus = open_corpus(f"{path}:note", max_characters=100)
    assert json.loads(json.dumps(corpus.reference())) == {
        "corpora": [{"name": "a", "kind": "jsonl", "location": path, "doc_type": "note"}],
        "max_characters": 100,
        "documents": 1,
        "digest": corpus.digest(),
    }


@pytest.mark.slow
def test_a_hundred_thousand_documents_are_read_in_bounded_memory(tmp_path):
    path = tmp_path / "large.jsonl"
    with path.open("w") as file:
        for number in range(100_000):
            file.write(json.dumps({"_id": f"document-{number}", "text": f"Sentence {number}. " * 20}) + "\n")
    # In a process of its own, whose peak is that of reading alone. The small corpus comes first to count the imports.
    code = (
        "import sys; from inpars_plus.corpora import open_corpus; from inpars_plus.foundation import peak_memory_mb; "
        "open_corpus(sys.argv[1]); before = peak_memory_mb(); corpus = open_corpus(sys.argv[2]); "
        "print(sum(1 for _ in corpus), peak_memory_mb() - before)"
    )
    small = _write(tmp_path / "small.jsonl", {"_id": "1", "text": "a"}, {"_id": "2", "text": "a"})
    command = [sys.executable, "-c", code, small, str(path)]
    count, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert path.stat().st_size > 35e6
    assert int(count) == 100_000
    assert float(grown) < 15
