"""Queries of people, by the ids of the collection: with chunks, several corpora, and documents that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Judgment, Query, open_corpus, write_beir, write_documents
from inpars_plus.experiments.human_queries import by_document, read_human_queries
from inpars_plus.foundation.errors import InputError


@pytest.fixture
def human(tmp_path: Path) -> Path:
    queries = [Query(id=name, text=f"what is {name}") for name in ("b", "a", "gone")]
    judged = {"b": ("long", "short"), "a": ("long",), "gone": ("elsewhere",)}
    judgments = [Judgment(query_id=query, document_id=one) for query, ids in judged.items() for one in ids]
    judgments.append(Judgment(query_id="a", document_id="short", grade=0))
    write_beir(tmp_path / "human", queries=queries, judgments=judgments)
    return tmp_path / "human"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    documents = [Document(id="long", text="One sentence here. Another one there."), Document(id="short", text="Short.")]
    write_documents(tmp_path / "docs" / "corpus.jsonl", documents)
    return tmp_path / "docs"


def test_chunks_answer_for_their_document_and_unknown_documents_do_not_count(human: Path, collection: Path) -> None:
    corpus = open_corpus(str(collection), max_characters=20)
    found = read_human_queries(human, corpus)
    assert [(one.id, one.document_ids) for one in found] == [
        ("a", ("long#1", "long#2")),
        ("b", ("long#1", "long#2", "short")),
    ]
    both = ["what is a", "what is b"]
    assert by_document(found) == {"long#1": both, "long#2": both, "short": ["what is b"]}


def test_ids_are_those_of_the_collection_where_several_corpora_are_read_together(
    human: Path, collection: Path, tmp_path: Path
) -> None:
    write_documents(tmp_path / "other" / "corpus.jsonl", [Document(id="far", text="Something else.")])
    found = read_human_queries(human, open_corpus([str(collection), str(tmp_path / "other")]))
    assert [(one.id, one.document_ids) for one in found] == [("a", ("docs/long",)), ("b", ("docs/long", "docs/short"))]


def test_queries_of_another_collection_and_blank_ones_are_refused(human: Path, collection: Path) -> None:
    (human / "queries.jsonl").write_text('{"_id": "a", "text": "?"}\n')
    with pytest.raises(InputError, match="the query 'a' is blank"):
        read_human_queries(human, open_corpus(str(collection)))
    write_beir(human, queries=[Query(id="a", text="why")], judgments=[Judgment(query_id="a", document_id="x")])
    with pytest.raises(InputError, match="no judgment is of a document of the corpus"):
        read_human_queries(human, open_corpus(str(collection)))


def test_a_reply_to_a_comment_is_no_answer_to_what_the_comment_answers(human: Path, tmp_path: Path) -> None:
    reply = Document(id="reply", text="Thanks a lot.", metadata={"parent_id": "short"})
    write_documents(tmp_path / "comments" / "corpus.jsonl", [Document(id="short", text="Short."), reply])
    found = read_human_queries(human, open_corpus(str(tmp_path / "comments")))
    assert [(one.id, one.document_ids) for one in found] == [("b", ("short",))]
