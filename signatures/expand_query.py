"""The tasks of saying a query in other words, and of writing what an answer could look like, as DSPy signatures."""

from __future__ import annotations

from typing import Annotated, Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ExpandQuery", "HypotheticalPassage", "QueryExpansion", "WriteHypotheticalPassage"]

_MOST = 8
_LONGEST = 200
_Line = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class QueryExpansion(BaseModel):
    """What else to search for.

    Lenient in reading: a single text stands for a list of one, a number in a list for a text, and blank ones are left
    out. An object with neither list is refused: it may be part of a reply that was cut off.
    """

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    terms: list[_Line] = Field(
        default_factory=list,
        max_length=_MOST,
        description="words or names that a document with the answer holds and the query lacks",
    )
    rephrasings: list[_Line] = Field(
        default_factory=list, max_length=_MOST, description="the same question in other words, one line each"
    )

    @model_validator(mode="before")
    @classmethod
    def _cleaned(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = [name for name in cls.model_fields if name in value]
        if not names:
            raise ValueError("there are neither terms nor rephrasings")
        lines = {name: _lines(value[name]) for name in names if value[name] is not None}
        # One line that nobody would type is no reason to leave the others out; where it is all there is, it is refused.
        short = {name: _short(found) for name, found in lines.items()}
        return short if any(short.values()) else lines


def _lines(said: Any) -> Any:
    if isinstance(said, str):
        said = [said]
    if not isinstance(said, list):
        return said
    lines = [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in said]
    return [one for one in lines if one is not None and (not isinstance(one, str) or one.strip())]


def _short(lines: Any) -> Any:
    if not isinstance(lines, list):
        return lines
    return [one for one in lines if not isinstance(one, str) or len(one.strip()) <= _LONGEST][:_MOST]


class HypotheticalPassage(BaseModel):
    """A passage that could answer a query.

    A bare text is taken as the passage, unless it begins as JSON or code does: that is an object whose end was cut off,
    and its braces and keys are nothing to search for.
    """

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    # Bounded in the schema only, because a small model that decodes along it may otherwise never end; and the higher
    # the bound, the longer preparing a grammar takes, a minute at 2,000. Longer texts of other engines are not refused.
    text: str = Field(min_length=1, description="two to four sentences", json_schema_extra={"maxLength": 600})

    @model_validator(mode="before")
    @classmethod
    def _from_bare_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith(("{", "[", "```")):
            raise ValueError("this is broken JSON, no passage")
        return {"text": value}


class ExpandQuery(dspy.Signature):
    """Help a search engine to find documents that answer the query but use other words."""

    query: str = dspy.InputField(desc="what a person typed into a search box")
    expansion: QueryExpansion = dspy.OutputField(desc="further terms, and the question in other words")


class WriteHypotheticalPassage(dspy.Signature):
    """Write a short passage that answers the query, as a document of the collection might say it."""

    query: str = dspy.InputField(desc="what a person typed into a search box")
    passage: HypotheticalPassage = dspy.OutputField(desc="two to four sentences, without mention of the query")
