"""The task of revising an instruction after a diagnosis of what failed under it, as a DSPy signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inpars_plus.signatures.diagnose_failures import FailureDiagnosis, MeasuredPerformance
from inpars_plus.signatures.generate_queries import unquoted

__all__ = ["AdaptInstruction", "RevisedInstruction"]

_LEAST_WORDS = 3
_LONGEST = 300
# See diagnose_failures: engines that decode along the schema are held to less.
_SHORT: Any = {"maxLength": 120}
_MARKUP = re.compile(r"[`{}<>|]|\[\[|\]\]|\*\*|(?:^|\s)#{1,6}\s|https?://")


class RevisedInstruction(BaseModel):
    """An instruction that can stand above documents: one line of plain text.

    A bare string is taken as the text. Line breaks become blanks and a pair of quotation marks around the whole is
    taken off, because models write them; markup, fewer than three words and more than 300 characters are refused.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field(
        min_length=10,
        max_length=_LONGEST,
        json_schema_extra=_SHORT,
        description="the revised instruction: one or two plain sentences",
    )

    @model_validator(mode="before")
    @classmethod
    def _tidied(cls, value: Any) -> Any:
        text = value.get("text") if isinstance(value, Mapping) else value
        if not isinstance(text, str):
            return value
        return {"text": unquoted(" ".join(text.split()))}

    @field_validator("text")
    @classmethod
    def _plain(cls, text: str) -> str:
        if len(text.split()) < _LEAST_WORDS:
            raise ValueError(f"an instruction has at least {_LEAST_WORDS} words")
        if _MARKUP.search(text):
            raise ValueError("an instruction is plain text, without markup")
        return text


class AdaptInstruction(dspy.Signature):
    """Revise the instruction so that the queries written under it avoid the mistakes of the diagnosis.

    The instruction stands above the documents; each document is followed by a search query that a person would type to
    find it. Keep what works, change what fails, and write plain sentences that say what kind of query follows.
    """

    performance: MeasuredPerformance = dspy.InputField(desc="the instruction as it is now, and what was measured")
    diagnosis: FailureDiagnosis = dspy.InputField(desc="patterns in the failed queries and missed aspects")
    revision: RevisedInstruction = dspy.OutputField(desc="the whole revised instruction, at most 300 characters")
