"""Cutting text to fit."""

from __future__ import annotations

import pytest

from inpars_plus.programs.texts import fit_text


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Short.", 10, "Short."),
        ("One is here. Two is here.", 20, "One is here."),
        ("One is here. Two is here.", 12, "One is here."),
        ("One. A much longer second sentence", 20, "One. A much longer"),
        ("first line\nsecond line", 15, "first line"),
        ("x" * 50, 10, "x" * 10),
        ("", 5, ""),
    ],
)
def test_a_text_is_cut_at_a_sentence_a_word_or_hard(text: str, limit: int, expected: str) -> None:
    assert fit_text(text, limit) == expected


def test_the_result_is_never_longer_than_the_limit() -> None:
    text = "Ein Satz. Noch einer! Und? " * 50
    assert all(len(fit_text(text, limit)) <= limit for limit in range(1, 300))
