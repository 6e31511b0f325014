"""Query checks: small named predicates that say why a query is not one that a person would type.

The compile metric, the acceptance filter and the preference reward are built from these same checks, so that they
cannot disagree. Two more reasons, ``not_natural`` and ``not_retrieved``, need a language model and a retriever and are
given by :mod:`inpars_plus.metrics.query_metric`.

The bounds were set on human queries (SciFact training claims, CoSQA development queries, StackFAQ questions): see
``docs/metric.md`` for the share of them that each check passes.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import Stemmer

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.languages import is_other_language
from inpars_plus.metrics.words import AUXILIARY_VERBS, QUESTION_WORDS, content_words, is_span, ngrams, words

__all__ = [
    "COPIED_SHARE_LIMIT",
    "REASONS",
    "WORD_COUNT_LIMITS",
    "check_query",
    "copied_share",
    "document_stems",
    "is_near_duplicate",
    "own_words_share",
    "stem",
]

WORD_COUNT_LIMITS = (3, 20)
COPIED_SHARE_LIMIT = 0.3
_NGRAM = 4
_NEAR_DUPLICATE = 0.75
_LISTED, _LISTED_WORDS = 3, 2

REASONS: dict[str, str] = {
    "empty": "there is no query",
    "not_one_line": "the query has more than one line",
    "too_short": f"the query has fewer than {WORD_COUNT_LIMITS[0]} words",
    "too_long": f"the query has more than {WORD_COUNT_LIMITS[1]} words",
    "unfinished": "the query breaks off before its end",
    "repeated_word": "a word stands in the query more than twice",
    "term_list": "the query is a list of terms, separated by commas",
    "markup": "the query has markup in it",
    "meta_talk": "the query talks about the task, the text or the study instead of its subject",
    "not_self_contained": "the query points at something that only a reader of the document knows",
    "wrong_language": "the query is in another language than the one asked for",
    "copied": f"{COPIED_SHARE_LIMIT:.0%} or more of the query's {_NGRAM}-word sequences stand in the document",
    "contiguous_span": "the query's content words are one uninterrupted stretch of the document",
    "duplicate": "the query is nearly the same as another one of its document",
    "not_natural": "the query reads less naturally than nearly all human queries",
    "not_retrieved": "the query does not find its document in the top 10",
}

_MARKUP = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^>]*)?/?>|`|\*\*\w[^*]*\*\*|\[\[|\]\]|\{\{|\}\}|^\s*(?:#{1,6}|[-*•]|\d+[.)])\s|\|\s|https?://|<\|",
    re.IGNORECASE,
)
_THING = (
    r"(?:document|text|passage|paragraph|abstract|article|paper|study|studies|research|section|excerpt|snippet"
    r"|query|question|answer|sentence|data\s+presented|results?\s+(?:presented|above|below))"
)
_META_TALK = re.compile(
    rf"\b(?:this|these|the\s+(?:above|following|given|present|current|provided))\s+(?:\w+\s+)?{_THING}\b"
    rf"|\b(?:in|of|by|from|to|about)\s+the\s+(?:document|text|passage|paragraph|abstract|article|paper|excerpt|snippet)\b"
    r"|\bthe\s+(?:document|text|passage|abstract|excerpt|authors?)\s+(?:is|are|was|says?|describes?|discuss\w*|mentions?|suggests?|found|shows?)\b"
    r"|\bthe\s+authors?\b"
    r"|^\s*(?:query|question|document|words|keywords|title|answer|text|example)\s*:"
    r"|\bsearch\s+(?:query|queries)\b|\bas\s+an\s+ai\b|\blanguage\s+model\b|^\s*(?:here\s+(?:is|are)|sure|i'm\s+sorry)\b"
    r"|\b(?:we|our)\s+(?:show|find|found|report|describe|propose|present|conclude|investigate|examine|demonstrate)\w*\b",
    re.IGNORECASE,
)
# A pronoun or pointing word at the very start has nothing before it to point at.
_POINTING = re.compile(
    r"^\W*(?:(?:it|they|he|she|these|those|this)\s+(?:is|are|was|were|has|have|had|can|could|may|does|do|did)\b"
    r"|(?:what|how|why|when|where|who)\s+(?:is|are|was|were|does|do|did|can)\s+(?:it|they|he|she|this|these|those)\b)",
    re.IGNORECASE,
)
_OPEN_WORDS = frozenset(
    "a an the and or but nor of than because whether their its your our my his her is are was were be been "
    "that's which who whose if while although though into between during via per versus vs".split()
)
# A question may end on these ("which folder is it in"), a statement may not.
_STRANDED_WORDS = frozenset("to in on for with by from at as that about through under over".split())
# What a question about anything may say.
_FRAME_WORDS = frozenset(
    "role effect effects affect affects impact important importance difference differences best explained related "
    "relationship mean meaning purpose way ways main example examples define definition".split()
)
_OPEN_END = re.compile(r"(?:[,;:\-–—(\[{/&+=]|\.\.\.|…)\s*$")
_per_thread = threading.local()
_BRACKETS = (("(", ")"), ("[", "]"), ("“", "”"))


def copied_share(query: str, document: Document) -> float:
    """The share of the query's 4-grams that stand verbatim in the document, in [0, 1].

    Words are compared in lower case. A query of fewer than four words is compared whole; one without words gives 0.
    """
    tokens = words(query)
    if not tokens:
        return 0.0
    n = min(_NGRAM, len(tokens))
    grams = ngrams(tokens, n)
    known = _document_ngrams(document.full_text, n)
    return sum(gram in known for gram in grams) / len(grams)


@lru_cache(maxsize=4096)
def _document_ngrams(text: str, n: int) -> frozenset[tuple[str, ...]]:
    return frozenset(ngrams(words(text), n))


def own_words_share(query: str, document: Document) -> float:
    """The share of a query's content words that are the searcher's own: words whose stem the document lacks.

    Words that frame any question ("role", "difference", "explained") do not count. A query without content words
    gives 0.
    """
    content = [word for word in content_words(query) if word not in _FRAME_WORDS]
    if not content:
        return 0.0
    known = document_stems(document.full_text)
    return sum(stem(word) not in known for word in content) / len(content)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The English Snowball stem of a word in lower case."""
    return str(_stemmer().stemWord(word))


def _stemmer() -> Stemmer.Stemmer:
    # A stemmer keeps scratch state, so each thread has its own.
    if not hasattr(_per_thread, "stemmer"):
        _per_thread.stemmer = Stemmer.Stemmer("english")
    return _per_thread.stemmer


@lru_cache(maxsize=4096)
def document_stems(text: str) -> frozenset[str]:
    """The stems of a text's words."""
    return frozenset(_stemmer().stemWords(words(text)))


@lru_cache(maxsize=4096)
def _document_content(text: str) -> tuple[str, ...]:
    return tuple(content_words(text))


def is_near_duplicate(query: str, other: str) -> bool:
    """Whether two queries share at least three quarters of their content words (Jaccard), or are the same words."""
    first, second = set(content_words(query)), set(content_words(other))
    if not first or not second:
        return words(query) == words(other)
    return len(first & second) / len(first | second) >= _NEAR_DUPLICATE


def check_query(query: str, document: Document, *, others: Sequence[str] = ()) -> str | None:
    """Check what can be checked without a model and without retrieval.

    Args:
        query: the query, one line without label or numbering.
        document: the document that it was written for; its language is the language asked for.
        others: the queries already accepted for this document.

    Returns:
        The name of the first check that fails, a key of :data:`REASONS`, or ``None`` if all pass.
    """
    return (
        _check_form(query)
        or ("wrong_language" if is_other_language(query, document) else None)
        or _check_copying(query, document)
        or ("duplicate" if any(is_near_duplicate(query, other) for other in others) else None)
    )


def _check_form(query: str) -> str | None:
    text = query.strip()
    tokens = words(text)
    if not tokens:
        return "empty"
    count = sum(any(character.isalnum() for character in token) for token in text.split())
    shortest, longest = WORD_COUNT_LIMITS
    failures = (
        ("not_one_line", len(text.splitlines()) > 1),
        ("too_short", count < shortest),
        ("too_long", count > longest),
        ("unfinished", _is_unfinished(text, tokens)),
        ("repeated_word", _most_frequent(tokens) > 2),
        ("term_list", _is_list(text)),
        ("markup", bool(_MARKUP.search(text))),
        ("meta_talk", bool(_META_TALK.search(text))),
        ("not_self_contained", bool(_POINTING.search(text))),
    )
    return next((reason for reason, failed in failures if failed), None)


def _most_frequent(tokens: Sequence[str]) -> int:
    """How often the most frequent word stands there, alone or as a part of a hyphenated one."""
    parts = Counter(part for token in tokens for part in (token.split("-") if "-" in token else [token]) if part)
    return max(*Counter(tokens).values(), *parts.values())


def _is_list(text: str) -> bool:
    segments = [segment.split() for segment in text.split(",")]
    return len(segments) >= _LISTED and all(len(segment) <= _LISTED_WORDS for segment in segments)


def _is_unfinished(text: str, tokens: Sequence[str]) -> bool:
    if _OPEN_END.search(text) or any(text.count(left) > text.count(right) for left, right in _BRACKETS):
        return True
    last = tokens[-1]
    if text[-1] in "?!":  # whoever wrote the mark had come to the end
        return last in {"a", "an", "the", "and", "or"}
    asks = tokens[0] in AUXILIARY_VERBS or any(token in QUESTION_WORDS for token in tokens[:3])
    return last in _OPEN_WORDS or (last in _STRANDED_WORDS and not asks)


def _check_copying(query: str, document: Document) -> str | None:
    if copied_share(query, document) >= COPIED_SHARE_LIMIT:
        return "copied"
    content = content_words(query)
    return "contiguous_span" if is_span(content, _document_content(document.full_text)) else None
