"""Grades and preferences: read from what models write, and refused where they say nothing of the kind."""

from __future__ import annotations

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
        ("3 - it answers the query", 3),
        ({"relevance": "2"}, 2),
        ({"grade": "I would give a 2."}, 2),
    ],
)
def test_a_grade_is_read(said: Any, grade: int) -> None:
    assert RelevanceGrade.model_validate(said).grade == grade


@pytest.mark.parametrize("said", [4, -1, "4", 1.5, "1.5", "2 of 3", "", "yes", True, None, [], {"grade": None}])
def test_what_is_no_grade_is_refused(said: Any) -> None:
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
    assert QueryExpansion.model_validate({"terms": None}) == QueryExpansion()


@pytest.mark.parametrize("said", ["words", 3, {"terms": 3}, {"terms": [["a"]]}, {"terms": ["x" * 201]}])
def test_what_is_no_expansion_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        QueryExpansion.model_validate(said)


def test_a_bare_text_is_a_passage_and_a_blank_one_is_none() -> None:
    assert HypotheticalPassage.model_validate(" Zinc helps. ").text == "Zinc helps."
    with pytest.raises(ValidationError):
        HypotheticalPassage.model_validate("  ")
