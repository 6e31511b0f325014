"""The task of writing search queries for a document, as a DSPy signature.

The output rules that must hold stand in :class:`SyntheticQuery`, because DSPy enforces pydantic models and treats
constraints on its own fields as prompt text only.
"""

from __future__ import annotations

import re
from typing import Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["GenerateQueries", "SyntheticQuery", "normalize_query", "unquoted"]

_LABEL = re.compile(r"(?:search\s+)?(?:query|question)\s*\d*\s*[:：]\s*", re.IGNORECASE)
_NUMBERING = re.compile(r"(?:\(?\d{1,2}[.)]|[-*•–])\s+")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")


def unquoted(text: str) -> str:
    """Take off one pair of quotation marks around the whole of a text.

    Two quoted phrases in a row (``"a" or "b"``) are not one quoted text and keep theirs; an apostrophe within a word is
    no quotation mark.

    Args:
        text: without white space at its ends.
    """
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 1 and text.endswith(closing) and closing not in _APOSTROPHE.sub("", text[1:-1]):
        return text[1:-1].strip()
    return text


def normalize_query(text: str) -> str:
    """Take off what models wrap around a query, so that checks judge the query itself.

    Taken off, as often as they occur: white space at both ends, list numbering (``1. ``, ``2) ``, ``- ``), a leading
    label (``Query:``, ``Search query 2:``), a pair of quotation marks around the whole. Runs of blanks inside become
    one; line breaks stay, because a query of several lines is a fault that the checks report.

    Args:
        text: one candidate as the model wrote it.

    Returns:
        The bare query, which may be empty.
    """
    text = "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
    while True:
        bare = _NUMBERING.sub("", text, count=1) if _NUMBERING.match(text) else text
        bare = _LABEL.sub("", bare, count=1) if _LABEL.match(bare) else bare
        bare = unquoted(bare.strip())
        if bare == text:
            return text
        text = bare


class SyntheticQuery(BaseModel):
    """One generated query.

    Lenient on purpose: a bare string is taken as the text, and what models wrap around a query is taken off. An empty
    text is kept, because one bad query must not spoil the reply that it came in; the query checks reject it.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field(description="the search query: one line, 3 to 20 words, complete, no quotation marks")

    @model_validator(mode="before")
    @classmethod
    def _from_bare_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _normalized(cls, text: str) -> str:
        return normalize_query(text)


class GenerateQueries(dspy.Signature):
    """Write a search query that a person would type to find this document.

    Use the person's own words: short, on one line, about something specific that the document answers.
    """

    document: str = dspy.InputField(desc="the text that the queries must lead to")
    key_terms: list[str] = dspy.InputField(
        desc="words that set this document apart from others of its collection; build each query around some of them"
    )
    document_type: str = dspy.InputField(desc="what kind of text it is, such as scientific-abstract")
    number_of_queries: int = dspy.InputField(desc="how many queries to write")
    queries: list[SyntheticQuery] = dspy.OutputField(
        desc="exactly as many queries as asked for, each about another point of the document; each one line of 3 to 20 "
        "words, understandable without the document, not copied from it, and without mention of the document, "
        "its authors or this task"
    )
