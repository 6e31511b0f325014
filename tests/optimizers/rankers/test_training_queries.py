"""What rankers learn from: generated queries paired by id, and lines taken out of documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Judgment, Query, write_beir
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.optimizers.rankers.training_queries import (
    TrainingQuery,
    held_out_queries,
    read_training_queries,
    write_training_queries,
)


def titled(count: int) -> list[Document]:
    return [
        Document(id=f"d{at}", title=f"The title of number {at}", text=f"A text on {at} with enough words to keep.")
        for at in range(count)
    ]


def test_the_title_is_asked_for_and_is_gone_from_its_document_alone() -> None:
    documents = titled(60)
    found = held_out_queries(documents, documents[:40], count=35, seed=0)
    assert found is not None
    assert len(found.queries) == 35
    asked = {query.document_ids[0] for query in found.queries}
    assert asked <= {document.id for document in documents[:40]}
    for before, after in zip(documents, found.documents, strict=True):
        assert after.id == before.id
        assert after.text == before.text
        assert after.title == ("" if before.id in asked else before.title)
    assert {query.text for query in found.queries} == {one.title for one in documents if one.id in asked}


def test_a_title_of_several_documents_leaves_all_of_them_and_each_of_them_answers() -> None:
    documents = [one.model_copy(update={"title": f"How to do {at // 3} well"}) for at, one in enumerate(titled(120))]
    found = held_out_queries(documents, documents, count=40, seed=1)
    assert found is not None
    assert len({query.text for query in found.queries}) == len(found.queries)
    for query in found.queries:
        assert len(query.document_ids) == 3
        assert not any(one.title == query.text for one in found.documents)


def test_a_title_that_a_document_to_be_avoided_has_too_is_not_taken() -> None:
    documents = [one.model_copy(update={"title": f"How to do {at // 2} well"}) for at, one in enumerate(titled(120))]
    avoid = {documents[at].id for at in (0, 3)}
    eligible = [one for one in documents if one.id not in avoid]
    found = held_out_queries(documents, eligible, count=100, seed=0, avoid=avoid)
    assert found is not None
    assert {query.text for query in found.queries} == {f"How to do {at} well" for at in range(2, 60)}


@pytest.mark.parametrize(("number", "asked"), [(50, True), (51, False)])
def test_a_title_that_very_many_documents_to_be_set_aside_have_is_not_taken(number: int, asked: bool) -> None:
    documents = titled(60 + number)
    common = [one.model_copy(update={"title": documents[0].title}) for one in documents[60:]]
    found = held_out_queries(
        [*documents[:60], *common], documents[:60], count=100, seed=0, set_aside={one.id for one in common}
    )
    assert found is not None
    assert len(found.queries) == 59 + asked
    assert (documents[0].title in {query.text for query in found.queries}) == asked
    assert sum(not one.title for one in found.documents) == 59 + asked * (1 + number)


def test_a_title_that_a_document_to_be_set_aside_has_too_is_taken_and_that_answer_does_not_count() -> None:
    documents = [one.model_copy(update={"title": f"How to do {at // 2} well"}) for at, one in enumerate(titled(120))]
    found = held_out_queries(
        documents, documents[::2], count=100, seed=0, set_aside={one.id for one in documents[1::2]}
    )
    assert found is not None
    assert len(found.queries) == 60
    for query in found.queries:
        (answer,), (aside,) = query.document_ids, query.set_aside
        assert int(aside[1:]) == int(answer[1:]) + 1
    assert not any(one.title for one in found.documents)


def test_without_titles_the_first_line_that_reads_as_text_is_taken() -> None:
    code = 'def beep(self, n):\n    """\n    Makes a short sound {at} times.\n    """\n    return ring(self.bell, n)'
    documents = [Document(id=f"d{at}", text=code.replace("{at}", str(at))) for at in range(40)]
    found = held_out_queries(documents, documents, count=40, seed=0)
    assert found is not None
    assert {query.text for query in found.queries} == {f"Makes a short sound {at} times." for at in range(40)}
    assert all("short sound" not in one.text and "ring(self.bell" in one.text for one in found.documents)


def test_a_line_that_other_documents_have_too_is_passed_over_for_the_next_one() -> None:
    documents = [
        Document(
            id=f"d{at}", text=f"Dear support team, I hope this finds you well. Unit {at} is out of oil since Monday."
        )
        for at in range(60)
    ]
    documents[0] = documents[0].model_copy(update={"text": documents[0].text.replace("Dear support", "DEAR SUPPORT")})
    found = held_out_queries(documents, documents, count=60, seed=0)
    assert found is not None
    assert {query.text for query in found.queries} == {f"Unit {at} is out of oil since Monday." for at in range(60)}
    assert all(one.text.casefold().startswith("dear support team") for one in found.documents)
    # Of documents with nothing but what others have too, none is asked for.
    assert held_out_queries([*documents, *_copies(documents)], documents, count=60, seed=0) is None


def _copies(documents: list[Document]) -> list[Document]:
    return [one.model_copy(update={"id": f"copy of {one.id}"}) for one in documents]


@pytest.mark.parametrize(
    "documents",
    [
        [Document(id=f"d{at}", text=f"One sentence about {at} alone.") for at in range(200)],
        titled(20),
        [Document(id=f"d{at}") for at in range(60)],
    ],
)
def test_documents_with_nothing_to_spare_and_too_few_of_them_have_none(documents: list[Document]) -> None:
    assert held_out_queries(documents, documents, count=100, seed=0) is None


@pytest.mark.parametrize("count", [1, 20, 29])
def test_who_asks_for_fewer_lines_than_are_usually_needed_gets_them(count: int) -> None:
    documents = titled(60)
    found = held_out_queries(documents, documents, count=count, seed=0)
    assert found is not None
    assert len(found.queries) == count
    assert held_out_queries(documents[: count - 1], documents[: count - 1], count=count, seed=0) is None


def test_the_seed_decides_which_and_the_order_of_the_corpus_does_not() -> None:
    documents = titled(200)
    first, again, other = (
        held_out_queries(given, given, count=40, seed=seed)
        for given, seed in ((documents, 0), (documents[::-1], 0), (documents, 1))
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.queries == again.queries
    assert first.queries != other.queries


def test_generated_queries_are_paired_by_id_and_documents_that_are_not_relevant_left_out(tmp_path: Path) -> None:
    queries = [Query(id="b", text="second"), Query(id="a", text="first")]
    judgments = [Judgment(query_id="a", document_id="d1"), Judgment(query_id="b", document_id="d0")]
    judgments.append(Judgment(query_id="a", document_id="d2", grade=0))
    write_beir(tmp_path, queries=queries, judgments=judgments)
    found = read_training_queries(tmp_path, titled(3))
    assert [(one.text, one.document_ids) for one in found] == [("first", ("d1",)), ("second", ("d0",))]


def test_queries_are_read_back_with_all_of_their_answers(tmp_path: Path) -> None:
    queries = [TrainingQuery("a", "first", ("d1", "d0")), TrainingQuery("b", "second", ("d2",))]
    write_training_queries(tmp_path, queries, documents=titled(3), corpus_reference={"source": "corpus.jsonl"})
    assert read_training_queries(tmp_path, titled(3)) == queries
    assert {path.name for path in tmp_path.iterdir()} == {
        "corpus.jsonl",
        "corpus-reference.json",
        "queries.jsonl",
        "qrels",
    }
    write_training_queries(tmp_path / "asked", queries, split="test")
    assert [path.name for path in (tmp_path / "asked" / "qrels").iterdir()] == ["test.tsv"]


@pytest.mark.parametrize(
    ("query", "judgment", "said"),
    [
        (Query(id="a", text="?"), Judgment(query_id="a", document_id="d0"), "the query 'a' is blank"),
        (Query(id="a", text="what"), Judgment(query_id="a", document_id="d9"), "'d9' is judged, but not in the corpus"),
    ],
)
def test_a_bad_pair_is_named(tmp_path: Path, query: Query, judgment: Judgment, said: str) -> None:
    write_beir(tmp_path, queries=[query], judgments=[judgment])
    with pytest.raises(CorpusError) as raised:
        read_training_queries(tmp_path, titled(3))
    assert said in str(raised.value)
