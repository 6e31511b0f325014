"""Cheats: queries made without a language model that find their document nearly always.

They are rows of every quality table. A metric that one of them wins is worthless, and a tuned generator that writes
like one of them has learned nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.words import content_words

__all__ = ["CHEATS", "CONSTANT_QUESTION", "FINDING_CHEATS", "TEMPLATES", "CheatInput", "cheat_queries"]

CONSTANT_QUESTION = "what is the most important thing to know about it"
TEMPLATES = (
    "what is the role of {0} in {1} {2}",
    "how does {0} affect {1} and {2}",
    "what is {0} {1} {2}",
    "how to use {0} with {1} and {2}",
    "{0} {1} and {2} explained",
    "why is {0} important for {1} {2}",
    "what is the difference between {0} and {1} {2}",
    "what is the best {0} for {1} {2}",
    "what are the effects of {0} on {1} and {2}",
    "is {0} related to {1} {2}",
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class CheatInput:
    """What a cheat may use.

    Attributes:
        document: the document to find.
        key_terms: its top three key terms, best first; may be fewer.
        position: of the document in the table, which turns the templates.
        other_query: a query of another document.
    """

    document: Document
    key_terms: Sequence[str]
    position: int
    other_query: str


def _first_sentence(given: CheatInput) -> str:
    return _SENTENCE_END.split(given.document.text.strip(), maxsplit=1)[0]


def _title(given: CheatInput) -> str:
    return given.document.title or _first_sentence(given)


def _template(given: CheatInput) -> str:
    terms = [*given.key_terms, "it", "it", "it"][:3]
    return TEMPLATES[given.position % len(TEMPLATES)].format(*terms)


CHEATS: Mapping[str, Callable[[CheatInput], str]] = {
    "first_sentence": _first_sentence,
    "title": _title,
    "three_title_words": lambda given: " ".join(content_words(_title(given))[:3]),
    "bare_key_terms": lambda given: " ".join(given.key_terms[:3]),
    "templates": _template,
    "constant_question": lambda given: CONSTANT_QUESTION,
    "other_documents_query": lambda given: given.other_query,
}
"""Name → how it makes its query. A document without a title lends its first sentence instead."""


FINDING_CHEATS = tuple(name for name in CHEATS if name not in ("constant_question", "other_documents_query"))
"""Those that are made from the document, and so find it."""


def cheat_queries(
    name: str, documents: Sequence[Document], key_terms: Sequence[Sequence[str]], queries: Sequence[str | None]
) -> list[str]:
    """The queries of one cheat for a row of a table.

    Args:
        name: a key of :data:`CHEATS`.
        documents: the documents of the table.
        key_terms: the top three key terms of each.
        queries: a query of each, human or generated; the next one that is there is lent to its neighbour.

    Returns:
        One query a document, in order; may be blank where there is nothing to cheat with.
    """
    count = len(documents)
    lent = [
        next((query for step in range(1, count) if (query := queries[(position + step) % count])), "")
        for position in range(count)
    ]
    return [
        CHEATS[name](CheatInput(document, terms, position, other))
        for position, (document, terms, other) in enumerate(zip(documents, key_terms, lent, strict=True))
    ]
