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


def test_quoted_words_at_both_ends_of_an_instruction_keep_their_marks() -> None:
    written = '"Who" and "what" begin a question, and so do others such as "why"'
    assert RevisedInstruction.model_validate(written).text == written
    assert RevisedInstruction.model_validate("'Write what a person's search is.'").text == (
        "Write what a person's search is."
    )


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
        {"patterns": [" ", ""], "missed_aspects": []},
        {"patterns": [7], "missed_aspects": []},
        {"patterns": {"a": "b"}, "missed_aspects": []},
        {"patterns": ["they copy"]},
        {"patterns": ["they copy"], "missed_aspects": None},
    ],
)
def test_a_diagnosis_without_a_pattern_or_in_another_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FailureDiagnosis.model_validate(fields)


def test_what_is_too_long_or_too_much_in_a_diagnosis_is_cut() -> None:
    found = FailureDiagnosis.model_validate(
        {"patterns": [f"number {n}" for n in range(9)], "missed_aspects": "x" * 999}
    )
    assert found.patterns == ["number 0", "number 1", "number 2", "number 3"]
    assert found.missed_aspects == ["x" * 160]


def test_a_thought_may_be_a_bare_string_and_a_long_one_is_cut() -> None:
    assert Reasoning.model_validate("They copy.").lines == ["They copy."]
    assert [len(line) for line in Reasoning.model_validate({"lines": ["x" * 5_000] * 9}).lines] == [400] * 4
    with pytest.raises(ValidationError):
        Reasoning.model_validate({"lines": 7})


@pytest.mark.parametrize("model", [FailureDiagnosis, Reasoning, RevisedInstruction])
def test_an_engine_that_decodes_along_the_schema_is_held_to_short_texts(model: Any) -> None:
    for field in model.model_json_schema()["properties"].values():
        assert field.get("maxLength", field.get("items", {}).get("maxLength")) <= 120
