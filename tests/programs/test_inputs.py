"""What cannot be meant is refused in a sentence, and before the model is asked anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    ConstrainedQueryGenerator,
    DocumentAnalyst,
    ExpandingRetriever,
    LikelihoodReranker,
    ListwiseReranker,
    LmReranker,
    PairwiseReranker,
    PassageQueryGenerator,
    PointwiseReranker,
    QueryExpander,
    QueryGenerator,
    SentenceQueryGenerator,
)
from inpars_plus.programs.rerank_prompts import planned_asks
from inpars_plus.retrieval import build_retriever

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


def test_one_string_is_no_list_of_queries(refused: Any) -> None:
    bm25 = build_retriever("bm25", DOCUMENTS.values())
    reranker = LmReranker(PointwiseReranker(), bm25, DOCUMENTS)
    sentence = r"^search takes a list of queries, not one string\. Pass \[query\]$"
    for search in (bm25, reranker, ExpandingRetriever(QueryExpander(), bm25)):
        refused(lambda search=search: search.search("pump", 3), sentence)
    refused(lambda: reranker.rerank("pump", bm25.search(["pump"], 1) * 4), sentence)


@pytest.mark.parametrize("form", [PointwiseReranker, PairwiseReranker, ListwiseReranker])
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
    sentence = rf"^source: .* takes a Document, not a {type(source).__name__}\. Pass Document\(id=\.\.\., text=\.\.\.\)"
    refused(lambda: program(source=source), sentence)
