"""Does a query speak of something that its document does not? A check of entities, without a judge.

"How to treat thiazolidinediones" can retrieve a document on thiazolidinediones and still be false. What can be told
without a large model is a smaller thing: whether a word of the query is foreign to the document, as it is when an
entity was swapped for another of the same corpus, or carried over from a demonstration. Four signs of it:

* how many content words have neither their stem nor their beginning in the document;
* how unlikely the embedded model finds the least likely of these behind the document and the words before it;
* how near query and document are for the encoder;
* whether leaving out a word brings them nearer.

A logistic function makes one probability of them. Its weights come from human queries and the same queries with a key
term swapped (``experiments/check_relations.py``, figures in ``docs/metric.md``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora import Document
from inpars_plus.metrics.checks import document_stems, stem
from inpars_plus.metrics.naturalness import CompletionScorer
from inpars_plus.metrics.words import FUNCTION_WORDS, words

__all__ = ["FALSE_RELATION", "RelationCheck", "RelationSigns", "TextEncoder"]

FALSE_RELATION = 0.5
"""Probability from which on a query counts as one that speaks of something foreign."""

# Fitted on 120 human queries each of SciFact, CoSQA and StackFAQ and the same with a key term swapped.
_WEIGHTS = (-0.13, -0.195, -8.77, 28.26)
_INTERCEPT = 1.42
_DOCUMENT_CHARACTERS = 2_500
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_LEAST_BEGINNING = 4


class TextEncoder(Protocol):
    """Makes vectors of texts; :class:`inpars_plus.retrieval.encoders.Encoder` is one."""

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Vectors of length 1, shape (texts, dimensions)."""


@dataclass(frozen=True)
class RelationSigns:
    """What is looked at.

    Attributes:
        foreign: content words that the document has not.
        unlikely: log-probability of the least likely of these, in nats, at most 0; 0 without any.
        similarity: cosine of query and document.
        nearer: the greatest gain of the cosine by leaving out one content word; negative where every word helps.
    """

    foreign: int
    unlikely: float
    similarity: float
    nearer: float

    @property
    def probability(self) -> float:
        """That the query speaks of something foreign, in (0, 1)."""
        value = _INTERCEPT + sum(weight * sign for weight, sign in zip(_WEIGHTS, astuple(self), strict=True))
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, value))))


class RelationCheck:
    """Looks for what is foreign to a document in queries for it.

    Args:
        scorer: of completions.
        encoder: of queries and documents.
    """

    def __init__(self, scorer: CompletionScorer, encoder: TextEncoder) -> None:
        self._scorer = scorer
        self._encoder = encoder

    def signs(self, pairs: Sequence[tuple[Document, str]]) -> list[RelationSigns]:
        """The signs of (document, query) pairs, in order; a blank query has none of them."""
        foreign = [_foreign(document, query) for document, query in pairs]
        unlikely = self._unlikely(pairs, foreign)
        near = self._near(pairs)
        return [
            RelationSigns(len(spans), least, similarity, nearer)
            for spans, least, (similarity, nearer) in zip(foreign, unlikely, near, strict=True)
        ]

    def probabilities(self, pairs: Sequence[tuple[Document, str]]) -> list[float]:
        """How probably each query speaks of something that its document does not."""
        return [signs.probability for signs in self.signs(pairs)]

    def _unlikely(
        self, pairs: Sequence[tuple[Document, str]], foreign: Sequence[Sequence[tuple[int, int]]]
    ) -> list[float]:
        # A word's log-probability is that of the query up to its end less that up to its beginning. Whole queries go
        # first: the scorer remembers them token by token, and their beginnings then cost nothing.
        prompts = [f"Document: {document.full_text[:_DOCUMENT_CHARACTERS]}\nQuery:" for document, _ in pairs]
        self._scorer.score(
            [(prompt, f" {query}") for prompt, (_, query), spans in zip(prompts, pairs, foreign, strict=True) if spans]
        )
        asked = [
            (prompt, f" {query[:cut].rstrip()}")
            for prompt, (_, query), spans in zip(prompts, pairs, foreign, strict=True)
            for start, end in spans
            for cut in (end, start)
        ]
        sums = iter([math.fsum(one.log_probabilities) for one in self._scorer.score(asked)] if asked else [])
        return [min((next(sums) - next(sums) for _ in spans), default=0.0) for spans in foreign]

    def _near(self, pairs: Sequence[tuple[Document, str]]) -> list[tuple[float, float]]:
        texts: list[str] = []
        counts = []
        for _, query in pairs:
            variants = [query, *(f"{query[:start]}{query[end:]}".strip() for start, end in _content(query))]
            counts.append(len(variants))
            texts += variants
        vectors = self._encoder.encode(texts, short=True)
        documents = {(document.id, document.full_text): document.full_text for document, _ in pairs}
        encoded = dict(zip(documents, self._encoder.encode(list(documents.values())), strict=True))
        found, at = [], 0
        for (document, _), count in zip(pairs, counts, strict=True):
            cosines = vectors[at : at + count] @ encoded[document.id, document.full_text]
            at += count
            found.append((float(cosines[0]), float(cosines[1:].max() - cosines[0]) if count > 1 else 0.0))
        return found


def _content(query: str) -> list[tuple[int, int]]:
    """Where the content words of a query stand."""
    return [found.span() for found in _WORD.finditer(query) if found.group().lower() not in FUNCTION_WORDS]


def _foreign(document: Document, query: str) -> list[tuple[int, int]]:
    """Where words stand that the document has in no form."""
    known, text = document_stems(document.full_text), document.full_text.lower()
    spans = []
    for start, end in _content(query):
        stems = [stem(part) for word in words(query[start:end]) for part in (word, *word.split("-"))]
        beginning = stems[0][: max(_LEAST_BEGINNING, len(stems[0]) - 3)] if stems else ""
        if not any(one in known for one in stems) and (len(beginning) < _LEAST_BEGINNING or beginning not in text):
            spans.append((start, end))
    return spans
