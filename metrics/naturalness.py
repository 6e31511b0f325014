"""How natural a query reads: what a small language model, the same for every generator, thinks of its words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

__all__ = ["NATURALNESS_FLOOR", "CompletionScore", "CompletionScorer", "likeness", "naturalness_pairs"]

NATURALNESS_FLOOR = -9.0
"""Mean log-probability (nats a token) below which a query is not natural. Of 1,200 human queries, 400 each from SciFact
(training), CoSQA (development) and StackFAQ, 96 % lie above it."""

_PROMPT = "Query:"
_LESS_LIKELY = 2 / 3
# Human queries bring words that their document lacks: 44 % to 54 % of their content words in the three collections,
# where templates around key terms bring none.
_OWN_WORDS_WEIGHT, _OWN_WORDS_ENOUGH = 3.0, 0.5
# Between the medians of templates around key terms (-9.4 to -8.9) and of human queries (-6.9 to -5.2).
_MIDDLE, _WIDTH = -7.9, 0.8


class CompletionScore(Protocol):
    """What a scorer gives back; see ``inpars_plus.lms``."""

    @property
    def log_probabilities(self) -> tuple[float, ...]:
        """Natural logarithms, one a token of the completion."""

    @property
    def mean_log_probability(self) -> float:
        """Their mean; minus infinity for an empty completion."""


class CompletionScorer(Protocol):
    """Scores completions of prompts, always batched; the embedded model's scorer is one."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> Sequence[CompletionScore]:
        """Score (prompt, completion) pairs; one score a pair, in order."""


def naturalness_pairs(queries: Sequence[str]) -> list[tuple[str, str]]:
    """The (prompt, completion) pairs to score for some queries: each one alone, without its document."""
    return [(_PROMPT, f" {query.strip()}") for query in queries]


def likeness(log_probabilities: Sequence[float], own_words: float) -> float:
    """How much a query reads like a person's, in (0, 1).

    A logistic function of two things that tell human queries from key terms and templates around them. One is the mean
    over the less likely two thirds of its tokens: the plain mean lets a fluent frame ("what is the role of ...") make
    up for words that do not belong together, and the less likely tokens show them. The other is the share of its words
    that are the searcher's own, not the document's, of which half is enough. ``docs/metric.md`` has the figures.

    Args:
        log_probabilities: one a token, in nats.
        own_words: share of the query's content words that the document lacks, in [0, 1].

    Returns:
        0.0 for an empty query.
    """
    if not log_probabilities:
        return 0.0
    count = math.ceil(len(log_probabilities) * _LESS_LIKELY)
    tail = math.fsum(sorted(log_probabilities)[:count]) / count
    value = tail + _OWN_WORDS_WEIGHT * min(own_words, _OWN_WORDS_ENOUGH)
    return 1.0 / (1.0 + math.exp(-(value - _MIDDLE) / _WIDTH))
