"""The forms of re-ranking that ``measure-reranking`` compares, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from inpars_plus.foundation import LmUsage
from inpars_plus.lms.scoring import Scorer
from inpars_plus.programs import (
    HypotheticalPassageWriter,
    ListwiseReranker,
    PairwiseReranker,
    PointwiseReranker,
    QueryExpander,
)
from inpars_plus.programs.reranking import Reranker

if TYPE_CHECKING:
    from inpars_plus.experiments.measure_reranking import MeasureSettings

__all__ = ["EXPANSIONS", "FIRST_STAGE", "LIKELIHOOD", "RERANKERS", "CountingScorer", "program_of"]

RERANKERS = ("pointwise", "pairwise", "listwise")
"""Forms that order what was found; these can be compiled."""

EXPANSIONS: Mapping[str, Callable[[], QueryExpander | HypotheticalPassageWriter]] = {
    "expansion": QueryExpander,
    "hyde": HypotheticalPassageWriter,
}
"""Forms that search for more than the query."""

LIKELIHOOD = "likelihood"
"""Orders by log-probabilities of a local model; there is nothing to compile."""

FIRST_STAGE = "first stage"


class CountingScorer(Scorer, Protocol):
    """A scorer that counts what it was asked; :func:`inpars_plus.lms.load_scorer` gives one."""

    @property
    def usage(self) -> LmUsage:
        """Calls and tokens."""
        ...


def program_of(form: str, settings: MeasureSettings) -> Reranker:
    """An uncompiled re-ranker of a form.

    Raises:
        ConfigurationError: the settings of its windows or passes make no sense.
    """
    if form == "pointwise":
        return PointwiseReranker()
    if form == "pairwise":
        return PairwiseReranker(passes=settings.passes)
    return ListwiseReranker(window=settings.window, step=settings.step)
