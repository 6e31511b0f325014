"""What cannot be meant is refused in a sentence, and before the model is asked anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import kind_of
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    ConstrainedQueryGenerator,
    DocumentAnalyst,
    ExpandingRetriever,
    HypotheticalPassageWriter,
    LikelihoodReranker,
    ListwiseReranker,
    LmReranker,
    PairwiseReranker,
    PassageQueryGenerator,
    PointwiseReranker,
    QueryExpander,
    QueryGenerator,
    SentenceQueryGenerator,
    TypeRouter,
)
from inpars_plus.programs.rerank_prompts import planned_asks
from inpars_plus.retrieval import build_retriever
from inpars_plus.retrieval.hashing import HashingEncoder

Make = Callable[..., tuple[dspy.LM, Any]]

DOCUMENTS = {"1": Document(id="1", text="A worn seal lets a pump leak.")}


@pytest.fixture
def refused(chat_lm: Make) -> Callable[..., None]:
    """Calls something with a model that must not be asked."""

    def check(call: Callable[[], Any], sentence: str) -> None:
        lm, engine = chat_lm(lambda prompt: "{}")
        with dspy.context(lm=lm), pytest.raises(ConfigurationError, match=sentence):
            call()
        assert engine.prompts == []

    return check


@pytest.fixture(scope="module")
def router(typed: Any) -> TypeRouter:
    return fit_type_router(typed.some(30, "code", "talk"), HashingEncoder(), seed=0).router


def test_one_string_is_no_list_of_queries(refused: Any) -> None:
    bm25 = build_retriever("bm25", DOCUMENTS.values())
    reranker = LmReranker(PointwiseReranker(), bm25, DOCUMENTS)
    sentence = r"^search takes a list of queries, not one string\. Pass \[query\]$"
    for search in (bm25, reranker, ExpandingRetriever(QueryExpander(), bm25)):
        refused(lambda search=search: search.search("pump", 3), sentence)
    refused(lambda: reranker.rerank("pump", bm25.search(["pump"], 1) * 4), sentence)


@pytest.mark.parametrize("queries", [[None], [7], [DOCUMENTS["1"]]], ids=lambda queries: type(queries[0]).__name__)
def test_a_query_that_is_no_text_is_refused_with_its_place(refused: Any, queries: Any) -> None:
    bm25 = build_retriever("bm25", DOCUMENTS.values())
    reranker = LmReranker(PointwiseReranker(), bm25, DOCUMENTS)
    sentence = rf"^queries\[0\]: a query is a text, not {kind_of(queries[0])}\. Pass what a person would type$"
    for search in (reranker, ExpandingRetriever(QueryExpander(), bm25)):
        refused(lambda search=search: search.search(queries, 3), sentence)
    refused(lambda: reranker.rerank(queries, bm25.search(["pump"], 1)), sentence)


FORMS = [PointwiseReranker, PairwiseReranker, ListwiseReranker]


@pytest.mark.parametrize("query", [None, 7])
def test_a_program_s_query_that_is_no_text_is_refused(refused: Any, query: Any) -> None:
    sentence = rf"^query: a query is a text, not {kind_of(query)}\. Pass what a person would type$"
    scorer: Any = None
    for rank in (*(form() for form in FORMS), LikelihoodReranker(scorer)):
        refused(lambda rank=rank: rank(query=query, passages=["a", "b"]), sentence)
    refused(lambda: planned_asks(PointwiseReranker(), query, ["a", "b"]), sentence)
    for expand in (QueryExpander(), HypotheticalPassageWriter()):
        refused(lambda expand=expand: expand(query=query), sentence)


@pytest.mark.parametrize(
    "passages", [{"a", "b"}, {"a": "b"}, iter(["a", "b"]), None], ids=lambda one: type(one).__name__
)
def test_passages_without_positions_or_that_can_be_read_only_once_are_refused(refused: Any, passages: Any) -> None:
    sentence = rf"^a re-ranker takes a list of passages, not {kind_of(passages)}\. Pass a list$"
    scorer: Any = None
    for rank in (*(form() for form in FORMS), LikelihoodReranker(scorer)):
        refused(lambda rank=rank: rank(query="q", passages=passages), sentence)
    refused(lambda: planned_asks(PointwiseReranker(), "q", passages), sentence)


@pytest.mark.parametrize("form", FORMS)
def test_one_string_is_no_list_of_passages(refused: Any, form: Any) -> None:
    sentence = r"^a re-ranker takes a list of passages, not one string\. Pass \[passage, \.\.\.\]$"
    refused(lambda: form()(query="q", passages="abc"), sentence)
    refused(lambda: planned_asks(form(), "q", "abc"), sentence)


def test_one_string_is_no_list_of_passages_for_a_scorer_either() -> None:
    scorer: Any = None
    with pytest.raises(ConfigurationError, match=r"a list of passages, not one string"):
        LikelihoodReranker(scorer)(query="q", passages="abc")


def test_a_passage_that_is_a_document_is_refused_with_its_place(refused: Any) -> None:
    sentence = r"^passages\[1\]: a passage is a text, not a Document\. Pass the full_text of documents$"
    refused(lambda: PointwiseReranker()(query="q", passages=["a", DOCUMENTS["1"]]), sentence)


def test_one_string_is_no_list_of_document_types() -> None:
    with pytest.raises(ConfigurationError, match=r"a list of document types, not one string\. Pass \['manual'\]"):
        DocumentAnalyst("manual")


@pytest.mark.parametrize(
    "program",
    [
        QueryGenerator(),
        PassageQueryGenerator(),
        SentenceQueryGenerator(),
        ConstrainedQueryGenerator(),
        DocumentAnalyst(["manual"]),
        AdaptiveQueryGenerator({"manual": QueryGenerator()}, QueryGenerator(), DocumentAnalyst(["manual"])),
    ],
    ids=lambda program: type(program).__name__,
)
@pytest.mark.parametrize("source", ["text", {"id": "1", "text": "text"}, None])
def test_what_is_no_document_is_refused(refused: Any, program: Any, source: Any) -> None:
    sentence = rf"^source: .* takes a Document, not {kind_of(source)}\. Pass Document\(id=\.\.\., text=\.\.\.\)"
    refused(lambda: program(source=source), sentence)


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (["text"], r"^documents\[0\]: a Document is wanted, not a str\. Pass Document\(id="),
        ([DOCUMENTS["1"], None], r"^documents\[1\]: a Document is wanted, not None\."),
        (DOCUMENTS["1"], r"^several documents are wanted, not one Document\. Pass \[document\]$"),
        (DOCUMENTS, r"^a list of documents is wanted, not a dict\. Pass a list$"),
        (iter(DOCUMENTS.values()), r"not a dict_valueiterator\. Pass a list$"),
    ],
    ids=["text", "none", "one", "mapping", "stream"],
)
def test_what_is_no_list_of_documents_is_refused(refused: Any, router: Any, documents: Any, sentence: str) -> None:
    analyst = DocumentAnalyst(["manual"])
    adaptive = AdaptiveQueryGenerator({"manual": QueryGenerator()}, QueryGenerator(), analyst)
    for tell in (router.route, analyst.route, adaptive.assign):
        refused(lambda tell=tell: tell(documents), sentence)


@pytest.mark.parametrize(
    "kind", [QueryGenerator, PassageQueryGenerator, SentenceQueryGenerator, ConstrainedQueryGenerator]
)
@pytest.mark.parametrize(
    ("program", "said"),
    [(PointwiseReranker(), "a PointwiseReranker"), (QueryGenerator, "the class QueryGenerator"), (None, "None")],
)
def test_a_generator_is_made_of_another_generator_only(kind: Any, program: Any, said: str) -> None:
    sentence = rf"^program: {said} writes no queries\. Pass a QueryGenerator, or one of its kinds$"
    with pytest.raises(ConfigurationError, match=sentence):
        kind.from_program(program)
