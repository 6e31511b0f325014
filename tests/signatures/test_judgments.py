"""Grades and preferences: read from what models write, and refused where they say nothing of the kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from inpars_plus.signatures import HypotheticalPassage, PassagePreference, QueryExpansion, RelevanceGrade


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ({"grade": 2}, 2),
        (0, 0),
        (3.0, 3),
        ("1", 1),
        ("grade: 2", 2),
        ("**Grade: 3.**", 3),
        ("2/3", 2),
        ("3 - it answers the query", 3),
        ("Grade: 1. On the subject only.", 1),
        ({"relevance": "2"}, 2),
        ({"grade": "3", "reason": "x"}, 3),
        ({"reason": "of 5 parts 2 fit", "grade": 1.0}, 1),
    ],
)
def test_a_grade_is_read(said: Any, grade: int) -> None:
    assert RelevanceGrade.model_validate(said).grade == grade


@pytest.mark.parametrize("said", [4, -1, "4", 1.5, "1.5", "2 of 3", "", "yes", True, None, [], {"grade": None}])
@pytest.mark.parametrize("around", [lambda said: said, lambda said: {"grade": said, "reason": "2"}])
def test_what_is_no_grade_is_refused(said: Any, around: Callable[[Any], Any]) -> None:
    with pytest.raises(ValidationError):
        RelevanceGrade.model_validate(around(said))


@pytest.mark.parametrize(
    "said", ["-1", "grade: -2", "The passage gives 2 reasons but no answer.", "2/5", "1 or 2", ".2", {"a": 2, "b": 2}]
)
def test_a_number_that_is_not_the_grade_is_not_read_as_one(said: Any) -> None:
    with pytest.raises(ValidationError):
        RelevanceGrade.model_validate(said)


@pytest.mark.parametrize(
    ("said", "better"),
    [
        ({"better": "second"}, "second"),
        ("A", "first"),
        ("Passage B.", "second"),
        ("the first", "first"),
        ('"Tie"', "tie"),
        (2, "second"),
        ({"preference": "[1]"}, "first"),
        ("first_passage", "first"),
        ({"better": "A", "reason": "x"}, "first"),
    ],
)
def test_a_preference_is_read(said: Any, better: str) -> None:
    assert PassagePreference.model_validate(said).better == better


@pytest.mark.parametrize("said", ["", "A is better than B", 3, True, None, {"better": "third"}, ["first"]])
def test_what_is_no_preference_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        PassagePreference.model_validate(said)


def test_an_expansion_takes_single_texts_and_leaves_out_blank_and_surplus_ones() -> None:
    expansion = QueryExpansion.model_validate({"terms": " zinc ", "rephrasings": ["", *"abcdefghij"], "more": 1})
    assert expansion.terms == ["zinc"]
    assert expansion.rephrasings == list("abcdefgh")
    assert QueryExpansion.model_validate({"terms": None}) == QueryExpansion(terms=[])
    assert QueryExpansion.model_validate({"terms": [747, "a", None, 1.5]}).terms == ["747", "a", "1.5"]


@pytest.mark.parametrize(
    "said", ["words", 3, {}, {"x": ["a"]}, {"terms": [True]}, {"terms": 3}, {"terms": [["a"]]}, {"terms": ["x" * 201]}]
)
def test_what_is_no_expansion_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        QueryExpansion.model_validate(said)


def test_a_bare_text_is_a_passage_and_a_blank_one_is_none() -> None:
    assert HypotheticalPassage.model_validate(" Zinc helps. ").text == "Zinc helps."
    with pytest.raises(ValidationError):
        HypotheticalPassage.model_validate("  ")


@pytest.mark.parametrize(
    "said", ['{"passage": {"text": "Zinc he', ' ["Zinc', "```json\n{", {"words": "a", "text": None}]
)
def test_json_that_was_cut_off_is_no_passage(said: Any) -> None:
    with pytest.raises(ValidationError):
        HypotheticalPassage.model_validate(said)
