"""Cutting a text to what fits into a prompt."""

from __future__ import annotations

import re

__all__ = ["fit_text"]

_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’)\]]*(?=\s)|\n")


def fit_text(text: str, max_characters: int) -> str:
    """The beginning of a text, at most ``max_characters`` long.

    Cut after the last whole sentence or line if that keeps at least half, else after the last whole word, else hard.
    """
    if len(text) <= max_characters:
        return text
    # One character more than fits, so that a sentence that ends exactly there is seen to end.
    head = text[: max_characters + 1]
    ends = [match.end() for match in _SENTENCE_END.finditer(head) if match.end() <= max_characters]
    if ends and ends[-1] >= max_characters // 2:
        return head[: ends[-1]].rstrip()
    blank = max(head.rfind(mark) for mark in " \t\n")
    return (head[:blank] if blank > 0 else text[:max_characters]).rstrip()
