from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpars_plus.corpora import (
    Document,
    Judgment,
    Query,
    open_corpus,
    read_judgments,
    read_queries,
    write_beir,
    write_documents,
    write_judgments,
    write_queries,
)
from inpars_plus.foundation.errors import CorpusError, RunError

QUERY = Query(id="q", text="how do cells divide", metadata={"program": "p"})
JUDGMENT = Judgment(query_id="q", document_id="d", grade=1)

_ids = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
_texts = st.text(max_size=60)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts, lambda inner: st.lists(inner) | st.dictionaries(_texts, inner)
)
_documents = st.builds(
    Document,
    id=_ids,
    title=_texts,
    text=_texts,
    doc_type=st.sampled_from(["a", "b-c"]),
    language=st.sampled_from(["en", "de", "ar"]),
    metadata=st.dictionaries(_texts, _json, max_size=3),
)


@settings(max_examples=20)
@given(st.lists(_documents, min_size=1, max_size=8, unique_by=lambda document: document.id))
def test_documents_are_read_as_they_were_written(tmp_path_factory, documents: list[Document]):
    path = tmp_path_factory.mktemp("beir") / "corpus.jsonl"
    assert write_documents(path, documents) == len(documents)
    assert list(open_corpus(str(path.parent))) == documents


@given(st.lists(st.builds(Query, id=_ids, text=_texts), max_size=8, unique_by=lambda query: query.id))
def test_queries_are_read_as_they_were_written(tmp_path_factory, queries: list[Query]):
    path = tmp_path_factory.mktemp("queries") / "queries.jsonl"
    write_queries(path, queries)
    assert read_queries(path) == queries


_pairs = st.dictionaries(st.tuples(_ids, _ids), st.integers(-2, 4), max_size=8)


@given(_pairs)
def test_judgments_are_read_as_they_were_written(tmp_path_factory, pairs: dict[tuple[str, str], int]):
    path = tmp_path_factory.mktemp("qrels") / "test.tsv"
    judgments = [
        Judgment(query_id=query, document_id=document, grade=grade) for (query, document), grade in pairs.items()
    ]
    assert write_judgments(path, judgments) == len(judgments)
    assert read_judgments(path) == judgments


def test_a_beir_directory_has_the_layout_that_other_tools_train_on(tmp_path: Path):
    write_beir(
        tmp_path / "out",
        documents=[Document(id="d", title="T", text="Cells divide.", doc_type="note")],
        queries=[QUERY],
        judgments=[JUDGMENT],
        corpus_reference={"digest": "0a"},
    )
    out = tmp_path / "out"
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["corpus-reference.json", "corpus.jsonl", "qrels/train.tsv", "queries.jsonl"]
    assert (out / "qrels/train.tsv").read_text() == "query-id\tcorpus-id\tscore\nq\td\t1\n"
    row = json.loads((out / "corpus.jsonl").read_text())
    assert (row["_id"], row["title"], row["text"], row["metadata"]) == ("d", "T", "Cells divide.", {})
    query = json.loads((out / "queries.jsonl").read_text())
    assert query == {"_id": "q", "text": "how do cells divide", "metadata": {"program": "p"}}


def test_a_directory_with_queries_alone_asks_for_its_corpus(tmp_path: Path):
    write_beir(tmp_path, queries=[QUERY], judgments=[JUDGMENT], split="dev")
    assert (tmp_path / "qrels/dev.tsv").exists()
    with pytest.raises(CorpusError, match=r"no corpus\.jsonl\. Give the corpus that the queries were written for"):
        open_corpus(str(tmp_path))


def test_a_judgment_of_no_query_and_a_query_id_twice_are_not_written(tmp_path: Path):
    with pytest.raises(CorpusError, match="judgment of the query 'q'"):
        write_beir(tmp_path / "out", queries=[], judgments=[JUDGMENT])
    with pytest.raises(CorpusError, match="two queries have the same id"):
        write_beir(tmp_path / "out", queries=[QUERY, QUERY], judgments=[])
    assert not (tmp_path / "out").exists()


def test_a_failure_half_way_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "corpus.jsonl"
    write_documents(path, [Document(id="old")])

    def broken():
        yield Document(id="new")
        raise CorpusError("the rest cannot be read")

    with pytest.raises(CorpusError, match="the rest"):
        write_documents(path, broken())
    assert json.loads(path.read_text())["_id"] == "old"
    assert [other.name for other in tmp_path.iterdir()] == ["corpus.jsonl"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import inpars_plus.corpora.judgments as module

    def full(*_: object, encoding: str, **__: object) -> IO[str]:
        return open("/dev/full", "w", encoding=encoding)

    monkeypatch.setattr(module, "open", full, raising=False)
    with pytest.raises(RunError, match=r"No space left.*Free some space"):
        write_queries(tmp_path / "queries.jsonl", [QUERY])
    assert list(tmp_path.iterdir()) == []


def test_half_of_a_character_from_a_model_is_written_and_read_again(tmp_path: Path):
    query = Query(id="q", text="smile \ud83d")
    write_queries(tmp_path / "queries.jsonl", [query])
    assert read_queries(tmp_path / "queries.jsonl") == [query]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"_id": "1"}', "the field 'text' is missing or not text"),
        ('{"_id": "", "text": "a"}', "the field '_id' is missing or not text"),
        ('{"_id": "0", "text": "a"}', "the query id '0' is there twice"),
        ('{"_id": "1", "text": "a", "metadata": 3}', "the field 'metadata' should be an object"),
        ('{"_id": "1", "text": ', "the line is not valid JSON"),
        ("[]", "the line is not a JSON object"),
    ],
)
def test_a_wrong_query_is_named_with_its_line(tmp_path: Path, line: str, words: str):
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": 0, "text": "a"}\n' + line + "\n")
    with pytest.raises(CorpusError, match=r".") as caught:
        read_queries(path)
    assert words in caught.value.message
    assert caught.value.place == f"{path}, line 2"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q d 1", "has not the three columns"),
        ("q\td", "has not the three columns"),
        ("q\td\trelevant", "the grade is no whole number: 'relevant'"),
        ("p\td\t2", "query 'p' and document 'd' are judged 1 and 2"),
    ],
)
def test_a_wrong_judgment_is_named_with_its_line(tmp_path: Path, line: str, words: str):
    path = tmp_path / "test.tsv"
    path.write_text(f"query-id\tcorpus-id\tscore\np\td\t1\np\td\t1\n{line}\n")
    with pytest.raises(CorpusError) as caught:
        read_judgments(path)
    assert words in caught.value.message
    assert caught.value.place == f"{path}, line 4"


def test_judgments_without_a_header_lose_no_line(tmp_path: Path):
    (tmp_path / "test.tsv").write_text("q\td\t1\r\n")
    assert read_judgments(tmp_path / "test.tsv") == [JUDGMENT]


def test_a_missing_split_names_those_that_are_there(tmp_path: Path):
    write_judgments(tmp_path / "test.tsv", [JUDGMENT])
    with pytest.raises(CorpusError, match=r"no such file of judgments\. There are test\.tsv"):
        read_judgments(tmp_path / "train.tsv")


def test_an_id_with_a_tab_is_not_written_to_judgments(tmp_path: Path):
    with pytest.raises(CorpusError, match="a tab or a line break"):
        write_judgments(tmp_path / "test.tsv", [Judgment(query_id="a\tb", document_id="d")])


@pytest.mark.collections
@pytest.mark.parametrize(
    ("name", "documents", "split", "judged"),
    [
        ("scifact", 5183, "test", 339),
        ("cosqa", 6267, "test", 500),
        ("stackfaq", 719, "test", 7184),
        ("cranfield", 1400, "test", 1837),
        ("adi", 82, "test", 170),
        ("xquad-r/de", None, "test", 1190),
    ],
)
def test_the_collections_are_read_whole(collections: Path, name: str, documents: int | None, split: str, judged: int):
    corpus = open_corpus(str(collections / name))
    assert documents is None or len(corpus) == documents
    ids = {document.id for document in corpus}
    judgments = read_judgments(collections / name / "qrels" / f"{split}.tsv")
    queries = {query.id for query in read_queries(collections / name / "queries.jsonl")}
    assert len(judgments) == judged
    assert {judgment.document_id for judgment in judgments} <= ids
    assert {judgment.query_id for judgment in judgments} <= queries
    assert {document.language for document in corpus} == {name.partition("/")[2] or "en"}


def test_half_of_a_character_in_the_id_of_a_query_is_refused_with_its_line(tmp_path: Path):
    (tmp_path / "queries.jsonl").write_text('{"_id": "q\\ud83d", "text": "why"}\n')
    with pytest.raises(CorpusError, match="holds half of a character") as caught:
        read_queries(tmp_path / "queries.jsonl")
    assert caught.value.place == f"{tmp_path / 'queries.jsonl'}, line 1"
