"""Tests of the tokenisation that checks and cheats share."""

from __future__ import annotations

from inpars_plus.metrics.words import content_words, is_span, ngrams, words


def test_words_keep_hyphens_and_apostrophes_and_are_lower_case() -> None:
    assert words("Don’t re-use GPT2!") == ["don't", "re-use", "gpt2"]


def test_content_words_leave_out_function_words() -> None:
    assert content_words("How do I sort a list of names?") == ["sort", "list", "names"]


def test_ngrams_of_a_short_text_are_none() -> None:
    assert ngrams(["a", "b"], 3) == []


def test_a_span_is_contiguous_and_in_order() -> None:
    assert is_span(["b", "c"], ["a", "b", "c"])
    assert not is_span(["a", "c"], ["a", "b", "c"])
    assert not is_span(["c", "b"], ["a", "b", "c"])
    assert not is_span([], ["a"])
