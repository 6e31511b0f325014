"""The task of saying why a program's queries fail, from what was measured of them, as a DSPy signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DiagnoseFailures", "FailedQuery", "FailureDiagnosis", "MeasuredPerformance", "Reasoning"]

# Lengths are bounded everywhere, because a small model that decodes along the schema may otherwise never close a text.
_LONGEST_REASONING = 400
_Line = Annotated[str, Field(min_length=3, max_length=160)]


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
    """What a model thinks before it answers. A bare string is taken as the text, and a long one is cut."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(max_length=_LONGEST_REASONING, description="the thought, in one or two sentences")

    @model_validator(mode="before")
    @classmethod
    def _from_bare_text(cls, value: Any) -> Any:
        text = value.get("text") if isinstance(value, Mapping) else value
        return {"text": text[:_LONGEST_REASONING]} if isinstance(text, str) else value


class FailureDiagnosis(BaseModel):
    """What the rejected queries have in common, and what of the documents they leave out."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    patterns: list[_Line] = Field(
        min_length=1, max_length=4, description="1 to 4 patterns in the failed queries, a short sentence each"
    )
    missed_aspects: list[_Line] = Field(
        max_length=4, description="up to 4 aspects of the documents that the queries missed, a few words each"
    )


class DiagnoseFailures(dspy.Signature):
    """Search queries were written for documents under an instruction, and some were rejected. Say why.

    Look at the rejected queries, the reasons and the words that set their documents apart: which mistake comes again
    and again, and what do the documents speak of that the queries leave out?
    """

    performance: MeasuredPerformance = dspy.InputField(
        desc="the instruction, what was measured under it, and some of the rejected queries"
    )
    diagnosis: FailureDiagnosis = dspy.OutputField(desc="patterns in the failed queries and missed aspects")
