"""Words and function words: the one tokenisation that checks, key terms and cheats share."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["AUXILIARY_VERBS", "FUNCTION_WORDS", "QUESTION_WORDS", "content_words", "is_span", "ngrams", "words"]

# Letters and digits of any script, joined by apostrophes or hyphens: "don't", "meta-analysis", "gpt2".
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")

QUESTION_WORDS = frozenset("what which who whom whose when where why how".split())
AUXILIARY_VERBS = frozenset(
    "is are was were do does did can could should would will has have had may might must".split()
)

# Words that carry grammar, not subject. Kept short on purpose: a word that can name a thing ("may", "will") is
# here only because it nearly never does in a query.
FUNCTION_WORDS = frozenset(
    """
    a about above after again against all also am an and any are aren't as at be because been before being below
    between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few
    for from further get had has hasn't have haven't having he her here hers herself him himself his how i i'd i'll
    i'm i've if in into is isn't it it's its itself just let's may me might more most must my myself no nor not of
    off on once only or other our ours ourselves out over own same shall she should shouldn't so some such than that
    that's the their theirs them themselves then there these they this those through to too under until up upon us
    use used using very was wasn't we were weren't what what's when where which while who whom whose why will with
    won't would wouldn't you your yours yourself yourselves
    """.split()
)


def words(text: str) -> list[str]:
    """The lower-case words of a text, in order; curly apostrophes are made straight."""
    return [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]


def content_words(text: str) -> list[str]:
    """The words of a text that are not function words, in order."""
    return [word for word in words(text) if word not in FUNCTION_WORDS]


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All n-grams of a sequence, in order, with repeats; empty if it is shorter than ``n``."""
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def is_span(needle: Sequence[str], haystack: Sequence[str]) -> bool:
    """Whether ``needle`` (not empty) stands in ``haystack`` as one contiguous run."""
    return bool(needle) and tuple(needle) in set(ngrams(haystack, len(needle)))
