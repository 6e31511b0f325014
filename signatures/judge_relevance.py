"""The task of grading how well a passage answers a query, as a DSPy signature."""

from __future__ import annotations

import re
from typing import Any, Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inpars_plus.signatures.leniency import unwrapped

__all__ = ["HIGHEST_GRADE", "JudgeRelevance", "RelevanceGrade"]

HIGHEST_GRADE = 3
"""The grades are those of TREC's deep learning tracks: 0 to 3."""

_SAID = re.compile(
    r"(?:(?:grade|judgment|relevance|score) *[:=]? *)?(-?\d{1,9})(?: */ *3)?(?:\s*[-–—:;,.\n(](?!\d).*)?",
    re.IGNORECASE | re.DOTALL,
)
_AROUND = " \t\r\n\"'`*[]()"


class RelevanceGrade(BaseModel):
    """How relevant a passage is.

    Lenient in reading: a bare number is taken as the grade, and so are ``2/3``, ``Grade: 2`` and a number with its
    reason behind a mark (``2 - it says when``). Elsewhere in a text a number may count anything, so that is refused, as
    is a number outside 0 to 3.
    """

    model_config = ConfigDict(frozen=True)

    grade: Literal[0, 1, 2, 3] = Field(
        description="0: about something else; 1: on the subject, but no answer; 2: a partial answer; 3: the answer"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_bare_number(cls, value: Any) -> Any:
        value = unwrapped(value, "grade")
        if isinstance(value, str):
            said = _SAID.fullmatch(value.lstrip(_AROUND).rstrip(f"{_AROUND}."))
            value = int(said[1]) if said else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return {"grade": value} if isinstance(value, int) and not isinstance(value, bool) else value


class JudgeRelevance(dspy.Signature):
    """Say how well the passage answers the query."""

    query: str = dspy.InputField(desc="what a person typed into a search box")
    passage: str = dspy.InputField(desc="a text that search found for it")
    judgment: RelevanceGrade = dspy.OutputField(desc="the grade of the passage, 0 to 3")
