"""What a diagnosis and a revised instruction may hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from inpars_plus.signatures import FailureDiagnosis, RevisedInstruction
from inpars_plus.signatures.diagnose_failures import Reasoning


@pytest.mark.parametrize(
    "written",
    [
        "Ask about one named thing.",
        "  Ask about one\n named thing. ",
        '"Ask about one named thing."',
        {"text": "“Ask about one named thing.”"},
    ],
)
def test_what_models_wrap_around_an_instruction_is_taken_off(written: Any) -> None:
    assert RevisedInstruction.model_validate(written).text == "Ask about one named thing."


@pytest.mark.parametrize(
    "written",
    [
        "",
        " \n ",
        '""',
        "Ask briefly",
        "Questioningly, questions",
        "word " * 100,
        "Write a query between <query> tags.",
        "Answer with `json` only please.",
        "# Task\n## Ask about one thing",
        "Put it in {braces} after the text.",
        "Write **bold** queries for each document.",
        "See https://example.org for how to ask.",
        {"text": None},
        {},
        None,
        7,
    ],
)
def test_an_empty_short_long_or_marked_up_instruction_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        RevisedInstruction.model_validate(written)


@pytest.mark.parametrize(
    "fields",
    [
        {"patterns": [], "missed_aspects": []},
        {"patterns": ["they copy"] * 5, "missed_aspects": []},
        {"patterns": ["they copy"], "missed_aspects": ["x" * 161]},
        {"patterns": "they copy", "missed_aspects": []},
        {"patterns": ["they copy"]},
    ],
)
def test_a_diagnosis_has_one_to_four_patterns_of_bounded_length(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FailureDiagnosis.model_validate(fields)


def test_a_thought_may_be_a_bare_string_and_a_long_one_is_cut() -> None:
    assert Reasoning.model_validate("They copy.").text == "They copy."
    assert len(Reasoning.model_validate({"text": "x" * 5_000}).text) == 400
    with pytest.raises(ValidationError):
        Reasoning.model_validate(["They copy."])
