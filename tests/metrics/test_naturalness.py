"""Tests of naturalness, the last with the real model."""

from __future__ import annotations

import pytest

from inpars_plus.metrics.naturalness import NATURALNESS_FLOOR, likeness, naturalness_pairs


def test_an_empty_query_is_like_nobodys() -> None:
    assert likeness((), 1.0) == 0.0


def test_likelier_words_and_own_words_raise_it() -> None:
    assert likeness((-9.0, -9.0, -9.0), 0.0) < likeness((-7.0, -7.0, -7.0), 0.0) < likeness((-7.0, -7.0, -7.0), 0.4)


def test_half_own_words_are_enough() -> None:
    assert likeness((-8.0,), 0.5) == likeness((-8.0,), 1.0)


def test_a_fluent_frame_does_not_make_up_for_words_that_do_not_belong() -> None:
    framed = (-0.5, -0.5, -0.5, -11.5, -11.5, -11.5)
    even = (-6.0,) * 6
    assert sum(framed) == sum(even)
    assert likeness(framed, 0.0) < likeness(even, 0.0)


@pytest.mark.model
def test_the_embedded_model_finds_a_question_more_natural_than_bare_terms() -> None:
    from inpars_plus.lms.scoring import load_scorer

    question, terms = load_scorer().score(naturalness_pairs(["how do I sort a list in python", "coltype pbmc sidt"]))
    assert question.mean_log_probability > NATURALNESS_FLOOR > terms.mean_log_probability
