"""Passages in the order of how likely a local model finds the query behind them: nothing is generated, nothing read.

A model that is too small to judge can still be asked how well it can guess the query from a passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dspy

from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.programs.inputs import check_passages, check_query_text
from inpars_plus.programs.rerank_reports import RerankReport, depth_within, pointwise_calls
from inpars_plus.programs.reranking import MAX_PASSAGE_CHARACTERS, in_first_order, order_by
from inpars_plus.programs.texts import fit_text

if TYPE_CHECKING:
    from inpars_plus.lms.scoring import Scorer

__all__ = ["LikelihoodReranker"]


class LikelihoodReranker:
    """Sorts passages by the mean of ``ln p(query token | passage, earlier tokens)``.

    Sachan et al. 2022, "Improving Passage Retrieval with Zero-Shot Question Generation". It has no prompt to compile
    and so is no program of the store; a generator that was tuned to write queries for documents is made for it. It
    goes into :class:`~inpars_plus.programs.lm_reranker.LmReranker` like the others.

    Args:
        scorer: of a local model: ``inpars_plus.lms.load_scorer(name)``.
        max_characters: how much of a passage, and of a query, is sent.
    """

    def __init__(self, scorer: Scorer, *, max_characters: int = MAX_PASSAGE_CHARACTERS) -> None:
        if max_characters < 1:
            raise ConfigurationError(f"max_characters is {max_characters}, but must be at least 1")
        self.scorer = scorer
        self.max_characters = max_characters

    def calls_for(self, depth: int) -> int:
        """One a passage."""
        return pointwise_calls(depth)

    def __call__(
        self, *, query: str, passages: Sequence[str], calls: int | None = None, threads: int = 1
    ) -> dspy.Prediction:
        """Put passages in order; see :meth:`inpars_plus.programs.reranking.Reranker.forward`.

        Returns:
            A prediction with ``order``, ``scores`` (mean log-probabilities) and ``report``. A passage that is, together
            with the query, longer than the model's context has no score (``None``), keeps its rank and is counted as
            unreadable. A blank query is not asked about: the order stays, and there are no scores.

        Raises:
            ConfigurationError: a negative number of calls, a query that is no text, or passages that are no list of
                texts.
            DeadModelError: the model failed.
        """
        del threads  # the scorer batches by itself
        if calls is not None and calls < 0:
            raise ConfigurationError(f"{calls} calls a query are allowed, but 0 is the least")
        check_query_text(query)
        check_passages(passages)
        texts = [fit_text(passage, self.max_characters) for passage in passages]
        asked = " ".join(fit_text(query, self.max_characters).split())
        if not asked:
            return in_first_order(len(passages))
        depth = depth_within(self.calls_for, len(texts), calls)
        scores = self._scores([(f"Document: {' '.join(text.split())}\nQuery:", f" {asked}") for text in texts[:depth]])
        report = RerankReport(
            queries=1,
            calls=depth,
            unreadable=sum(score is None for score in scores),
            cut=sum(text != passage for text, passage in zip(texts[:depth], passages, strict=False)),
            beyond_budget=len(texts) - depth,
        )
        return dspy.Prediction(order=[*order_by(scores), *range(depth, len(texts))], scores=scores, report=report)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """The score of each pair; ``None`` for one that is too long."""
        try:
            return [one.mean_log_probability for one in self.scorer.score(pairs)]
        except InputError:
            if len(pairs) < 2:
                return [None] * len(pairs)
        # A scorer refuses all of what it is given, and before it scores anything: halves find what is too long.
        half = len(pairs) // 2
        return [*self._scores(pairs[:half]), *self._scores(pairs[half:])]
