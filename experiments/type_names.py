"""Names for proposed types: the words that most documents of a type have and few others do."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from inpars_plus.corpora import Document
from inpars_plus.metrics.words import FUNCTION_WORDS

__all__ = ["headline", "type_terms", "unique_names"]

_WORD = re.compile(r"[^\W\d_]{3,}")
_HEADLINE = 80


def type_terms(documents: Sequence[Document], labels: Sequence[int], count: int, *, k: int = 3) -> list[list[str]]:
    """The words that set each type apart.

    A word weighs p · ln(p / q): p is the share of the type's documents that have it, q that of the others'. Where
    there is one type, it weighs p.

    Args:
        documents: all of them.
        labels: the number of each document's type.
        count: how many types.
        k: words a type, at most.

    Returns:
        A list a type, best word first.
    """
    having: list[Counter[str]] = [Counter() for _ in range(count)]
    sizes = Counter(labels)
    for document, label in zip(documents, labels, strict=True):
        having[label].update({word.lower() for word in _WORD.findall(document.full_text)} - FUNCTION_WORDS)
    total: Counter[str] = Counter()
    for one in having:
        total.update(one)
    terms = []
    for label, own in enumerate(having):
        inside, outside = sizes[label], len(labels) - sizes[label]
        weights = {}
        for word, times in own.items():
            p = (times + 0.5) / (inside + 1.0)
            q = (total[word] - times + 0.5) / (outside + 1.0)
            weights[word] = p * math.log(p / q) if outside else p
        terms.append(sorted(weights, key=lambda word: (-weights[word], word))[:k])
    return terms


def unique_names(terms: Sequence[Sequence[str]]) -> list[str]:
    """A document type's name for each type, such as ``patients-cells-study``; no two are alike."""
    names: list[str] = []
    for number, words in enumerate(terms, start=1):
        name = "-".join(words) or "type"
        names.append(name if name not in names else f"{name}-{number}")
    return names


def headline(document: Document) -> str:
    """The title, or else the first line of the text, cut to 80 characters."""
    text = document.title.strip() or next((line.strip() for line in document.text.splitlines() if line.strip()), "")
    return text if len(text) <= _HEADLINE else f"{text[: _HEADLINE - 1].rstrip()}…"
