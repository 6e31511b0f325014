"""Queries that people wrote for some documents (``--human``), read in one way by every job that learns from them."""

from __future__ import annotations

from pathlib import Path

from inpars_plus.corpora import Corpus, parent_id_of, read_judgments, read_queries
from inpars_plus.foundation import InputError
from inpars_plus.metrics.words import words
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery

__all__ = ["HUMAN_FILES", "by_document", "read_human_queries"]

HUMAN_FILES = ("queries.jsonl", "qrels/train.tsv")
"""What is read of a directory of human queries."""


def read_human_queries(directory: Path, corpus: Corpus) -> list[TrainingQuery]:
    """What people asked that documents of the corpus answer.

    Only judgments for training are read: those that rankers are proven on later must not be learned from. Documents
    that are not in the corpus do not count, since it may be a part of the collection.

    Args:
        directory: in BEIR layout, with ``queries.jsonl`` and ``qrels/train.tsv``.
        corpus: whose ids the judgments name, as they stand in the collection itself.

    Returns:
        The queries that a document of the corpus answers, by query id. Every chunk of an answer is one.

    Raises:
        CorpusError: a file is missing or malformed.
        InputError: no judgment is of a document of the corpus, or a query is blank; it names the first.
    """
    texts = {query.id: query.text for query in read_queries(directory / HUMAN_FILES[0])}
    asked: dict[str, list[str]] = {}
    for judgment in read_judgments(directory / HUMAN_FILES[1]):
        if judgment.grade > 0 and judgment.query_id in texts:
            asked.setdefault(judgment.document_id, []).append(judgment.query_id)
    answers: dict[str, list[str]] = {}
    for document in corpus.documents():
        for query in asked.get(corpus.original_id(parent_id_of(document)), ()):
            answers.setdefault(query, []).append(document.id)
    if not answers:
        raise InputError(
            "no judgment is of a document of the corpus",
            place=str(directory / HUMAN_FILES[1]),
            remedy="Give the collection that the corpus is of",
        )
    blank = next((query for query in sorted(answers) if not words(texts[query])), None)
    if blank is not None:
        raise InputError(f"the query '{blank}' is blank", place=str(directory / HUMAN_FILES[0]))
    return [TrainingQuery(query, texts[query], tuple(answers[query])) for query in sorted(answers)]


def by_document(queries: list[TrainingQuery]) -> dict[str, list[str]]:
    """Document id → what was asked that it answers, in order of the text.

    A chunk has the queries of the whole document; their reward tells which of them it answers.
    """
    found: dict[str, list[str]] = {}
    for query in sorted(queries, key=lambda one: one.text):
        for document in query.document_ids:
            found.setdefault(document, []).append(query.text)
    return found
