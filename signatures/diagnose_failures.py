"""The task of saying why a program's queries fail, from what was measured of them, as a DSPy signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["DiagnoseFailures", "FailedQuery", "FailureDiagnosis", "MeasuredPerformance", "Reasoning"]

_MOST_LINES = 4
_LONGEST_LINE = 160
_LONGEST_THOUGHT = 400
# What engines that decode along the schema are held to. A bound is needed, because a small model may otherwise never
# close a text; it is lower than what is accepted of others, because the time to prepare a grammar rises with it (a
# bound of 400 letters took a minute, lists of lines of 60 take seconds).
_SHORT_LINES: Any = {"items": {"type": "string", "minLength": 3, "maxLength": 60}}


def _cut(value: Any, *, lines: int, letters: int) -> Any:
    """The first lines of a list, each cut to so many letters; a bare string counts as one. Anything else as it is."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        return value
    found = [" ".join(line.split())[:letters] for line in value if line.strip()]
    return found[:lines]


class FailedQuery(BaseModel):
    """A query that was not accepted.

    Attributes:
        query: its text; empty where none came.
        reason: why it was rejected, as a sentence.
        document_terms: the words that set its document apart, the most telling first.
    """

    model_config = ConfigDict(frozen=True)

    query: str
    reason: str
    document_terms: list[str] = Field(default_factory=list)


class MeasuredPerformance(BaseModel):
    """How well an instruction did on some documents; :mod:`inpars_plus.programs.performance` measures it.

    Attributes:
        instruction: the one under which the queries were written.
        documents: how many were asked for.
        written: queries that came.
        precision: accepted queries / written queries; 0 where none came.
        recall: documents with at least one accepted query / documents.
        mrr: mean over the written queries of 1 / rank of the query's own document; 0 where it was not found.
        reasons: why queries were rejected, with counts, the most frequent first.
        failed: some of the rejected queries, of as many reasons as there are.
    """

    model_config = ConfigDict(frozen=True)

    instruction: str = Field(min_length=1)
    documents: int = Field(ge=0)
    written: int = Field(ge=0)
    precision: float = Field(ge=0, le=1)
    recall: float = Field(ge=0, le=1)
    mrr: float = Field(ge=0, le=1)
    reasons: dict[str, int] = Field(default_factory=dict)
    failed: list[FailedQuery] = Field(default_factory=list)


class Reasoning(BaseModel):
    """What a model thinks before it answers, line by line. A bare string is one line; what is too long is cut."""

    model_config = ConfigDict(frozen=True)

    lines: list[str] = Field(
        max_length=_MOST_LINES, json_schema_extra=_SHORT_LINES, description="the thought, in a few short lines"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_bare_lines(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"lines": value}

    @field_validator("lines", mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        return _cut(value, lines=_MOST_LINES, letters=_LONGEST_THOUGHT)


class FailureDiagnosis(BaseModel):
    """What the rejected queries have in common, and what of the documents they leave out.

    Prose for the next step to read: blank lines are left out, and what is too long or too much is cut.
    """

    model_config = ConfigDict(frozen=True)

    patterns: list[str] = Field(
        min_length=1,
        max_length=_MOST_LINES,
        json_schema_extra=_SHORT_LINES,
        description="1 to 4 patterns in the failed queries, a short line each",
    )
    missed_aspects: list[str] = Field(
        max_length=_MOST_LINES,
        json_schema_extra=_SHORT_LINES,
        description="up to 4 aspects of the documents that the queries missed, a few words each",
    )

    @field_validator("patterns", "missed_aspects", mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        return _cut(value, lines=_MOST_LINES, letters=_LONGEST_LINE)


class DiagnoseFailures(dspy.Signature):
    """Search queries were written for documents under an instruction, and some were rejected. Say why.

    Look at the rejected queries, the reasons and the words that set their documents apart: which mistake comes again
    and again, and what do the documents speak of that the queries leave out?
    """

    performance: MeasuredPerformance = dspy.InputField(
        desc="the instruction, what was measured under it, and some of the rejected queries"
    )
    diagnosis: FailureDiagnosis = dspy.OutputField(desc="patterns in the failed queries and missed aspects")
