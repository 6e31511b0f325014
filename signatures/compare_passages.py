"""The task of saying which of two passages answers a query better, as a DSPy signature."""

from __future__ import annotations

from typing import Any, Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field, model_validator

from inpars_plus.signatures.leniency import unwrapped

__all__ = ["ComparePassages", "PassagePreference"]

_WORDS = {
    "first": ("first", "a", "1", "passage a", "passage 1", "first passage", "first_passage"),
    "second": ("second", "b", "2", "passage b", "passage 2", "second passage", "second_passage"),
    "tie": ("tie", "equal", "both", "neither", "0"),
}
_READ = {word: choice for choice, words in _WORDS.items() for word in words}


class PassagePreference(BaseModel):
    """Which of two passages is better.

    Lenient in reading: ``A``, ``Passage 2`` or ``the first.`` are taken for what they mean; a longer text is refused.
    """

    model_config = ConfigDict(frozen=True)

    better: Literal["first", "second", "tie"] = Field(description="the better passage; tie if there is no difference")

    @model_validator(mode="before")
    @classmethod
    def _from_bare_word(cls, value: Any) -> Any:
        value = unwrapped(value, "better")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return value
        word = " ".join(value.casefold().strip(" \t\r\n.!:\"'`*[]()").split()).removeprefix("the ")
        return {"better": _READ.get(word, value)}


class ComparePassages(dspy.Signature):
    """Say which of the two passages answers the query better, or that neither does more than the other."""

    query: str = dspy.InputField(desc="what a person typed into a search box")
    first_passage: str = dspy.InputField(desc="a text that search found for it")
    second_passage: str = dspy.InputField(desc="another one")
    preference: PassagePreference = dspy.OutputField(desc="first, second or tie")
