"""Cutting a text into its sentences by their marks and by lines: no model, no list of abbreviations.

An abbreviation before a blank ends a sentence here ("See Fig. 3"), which costs a query now and then and no more.
"""

from __future__ import annotations

import re

__all__ = ["sentences_of"]

_SENTENCE_END = re.compile(
    r"(?<=[.!?؟])\s+|(?<=[.!?][\"'”’)\]])\s+"
    # Chinese and Japanese put no blank behind a sentence.
    r"|(?<=[。！？])(?![”’」』）])\s*|(?<=[。！？][”’」』）])\s*|\n+"
)
_SHORTEST = 16
"""Characters. Shorter pieces, such as a numbering or "et al.", are no sentence of their own."""


def sentences_of(text: str) -> list[str]:
    """The sentences or lines of a text; one that is too short to stand alone goes with the one before."""
    pieces: list[list[str]] = []  # joined at the end, because a list of words is one sentence of thousands
    for piece in _SENTENCE_END.split(text):
        sentence = piece.strip()
        if not sentence:
            continue
        if len(sentence) < _SHORTEST and pieces:
            pieces[-1].append(sentence)
        else:
            pieces.append([sentence])
    return [" ".join(parts) for parts in pieces]
