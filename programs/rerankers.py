"""The three ways to re-rank with a language model, as DSPy programs.

All three give the same ranking where the model always says what is true. Where it does not, they differ in what they
ask of it: an absolute grade, a comparison, or a whole order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.rerank_reports import check_window, listwise_calls, pairwise_calls, pointwise_calls, windows
from inpars_plus.programs.reranking import MAX_PASSAGE_CHARACTERS, Asker, Ranked, Reranker, order_by
from inpars_plus.signatures.compare_passages import ComparePassages
from inpars_plus.signatures.judge_relevance import JudgeRelevance
from inpars_plus.signatures.rank_passages import RankPassages, numbered, order_of_count, repair_order

__all__ = ["ListwiseReranker", "PairwiseReranker", "PointwiseReranker"]

_WORD_TOKENS = 64
_TOKENS_A_NUMBER = 8


class PointwiseReranker(Reranker):
    """Grades each passage by itself, 0 to 3, and sorts by grade; equal grades keep their order.

    A passage whose reply cannot be read keeps its rank, and the others are sorted over the ranks that are left.

    Args:
        max_characters: how much of a passage, and of a query, is sent.
    """

    def __init__(self, *, max_characters: int = MAX_PASSAGE_CHARACTERS) -> None:
        super().__init__(max_characters=max_characters)
        self.judge = dspy.Predict(JudgeRelevance)

    def calls_for(self, depth: int) -> int:
        """One a passage."""
        return pointwise_calls(depth)

    def _asker(self, passages: int, threads: int) -> Asker:
        return Asker(self.judge, reply_tokens=_WORD_TOKENS, threads=threads)

    def _rank(self, asker: Asker, query: str, passages: Sequence[str]) -> Ranked:
        replies = asker.ask([{"query": query, "passage": passage} for passage in passages])
        grades = [None if reply is None else float(reply.grade) for reply in replies]
        return order_by(grades), [*grades]


class PairwiseReranker(Reranker):
    """Compares passages two at a time, each pair in both orders (Qin et al. 2023, "Pairwise Ranking Prompting").

    A passage is better than another one if both orders say so; everything else, a reply that cannot be read too, is a
    tie. With all pairs, passages are sorted by wins and half the ties, equal ones in their order (PRP-Allpair). In
    passes, the better one of two neighbours moves up, from the bottom to the top, as in a bubble sort, and each pass
    settles the best place that is left (PRP-Sliding): fewer calls, that must wait for one another.

    Args:
        passes: how many; ``None`` compares all pairs.
        max_characters: how much of a passage, and of a query, is sent.
    """

    def __init__(self, *, passes: int | None = None, max_characters: int = MAX_PASSAGE_CHARACTERS) -> None:
        super().__init__(max_characters=max_characters)
        check_window(2, 1, passes)
        self.passes = passes
        self.compare = dspy.Predict(ComparePassages)

    def calls_for(self, depth: int) -> int:
        """Two a comparison."""
        return pairwise_calls(depth, self.passes)

    def _asker(self, passages: int, threads: int) -> Asker:
        return Asker(self.compare, reply_tokens=_WORD_TOKENS, threads=threads)

    def _rank(self, asker: Asker, query: str, passages: Sequence[str]) -> Ranked:
        if self.passes is not None:
            return self._rank_in_passes(asker, query, passages, self.passes), None
        pairs = list(combinations(range(len(passages)), 2))
        points = [0.0] * len(passages)
        for (first, second), better in zip(pairs, self._compare(asker, query, passages, pairs), strict=True):
            points[first] += (1 + better) / 2
            points[second] += (1 - better) / 2
        return sorted(range(len(passages)), key=lambda position: -points[position]), [*points]

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {"passes": self.passes, **super().dump_settings()}

    def _rank_in_passes(self, asker: Asker, query: str, passages: Sequence[str], passes: int) -> list[int]:
        order = list(range(len(passages)))
        for upper, _ in windows(len(passages), 2, 1, passes):
            pair = (order[upper], order[upper + 1])
            if self._compare(asker, query, passages, [pair]) == [-1]:
                order[upper : upper + 2] = reversed(pair)
        return order

    @staticmethod
    def _compare(asker: Asker, query: str, passages: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[int]:
        """1 where the first of a pair is better, -1 where the second is, 0 for a tie."""
        asks = [
            {"query": query, "first_passage": passages[one], "second_passage": passages[other]}
            for first, second in pairs
            for one, other in ((first, second), (second, first))
        ]
        values = {"first": 1, "second": -1, "tie": 0}
        said = [None if reply is None else values[reply.better] for reply in asker.ask(asks)]
        found = []
        for straight, swapped in zip(said[::2], said[1::2], strict=True):
            if straight is None or swapped is None:
                found.append(0)
                continue
            agreed = straight == -swapped
            asker.counts["inconsistent"] += not agreed
            found.append(straight if agreed else 0)
        return found


class ListwiseReranker(Reranker):
    """Orders windows of passages from the bottom up (Sun et al. 2023, "Is ChatGPT Good at Search?").

    Each window is one call. One pass settles the first ``window - step`` places. What comes back is made a permutation
    by :func:`~inpars_plus.signatures.rank_passages.repair_order`; a window whose reply cannot be read keeps its order.

    Args:
        window: passages shown at once, 2 to 100.
        step: by how many a window moves up, less than the window.
        passes: how many; ``None`` takes as many as settle every place.
        max_characters: how much of a passage, and of a query, is sent.
    """

    def __init__(
        self,
        *,
        window: int = 10,
        step: int = 5,
        passes: int | None = 1,
        max_characters: int = MAX_PASSAGE_CHARACTERS,
    ) -> None:
        super().__init__(max_characters=max_characters)
        check_window(window, step, passes)
        if window > 100:
            raise ConfigurationError(f"a window of {window} passages is more than a model can order: 100 is the most")
        self.window = window
        self.step = step
        self.passes = passes
        self.rank = dspy.Predict(RankPassages)

    def calls_for(self, depth: int) -> int:
        """One a window."""
        return listwise_calls(depth, self.window, self.step, self.passes)

    def _asker(self, passages: int, threads: int) -> Asker:
        tokens = _WORD_TOKENS + _TOKENS_A_NUMBER * min(self.window, passages)
        return Asker(self.rank, reply_tokens=tokens, threads=threads)

    def _rank(self, asker: Asker, query: str, passages: Sequence[str]) -> Ranked:
        order = list(range(len(passages)))
        for start, end in windows(len(passages), self.window, self.step, self.passes):
            shown = order[start:end]
            # For engines that decode along a schema; the predictor's own signature stays the one that is compiled.
            signature = self.rank.signature.with_updated_fields("ranking", type_=order_of_count(len(shown)))
            asks = [{"query": query, "numbered_passages": numbered([passages[position] for position in shown])}]
            (reply,) = asker.ask(asks, signature=signature)
            if reply is None:
                continue
            repaired = repair_order(reply.order, len(shown))
            asker.counts["repaired"] += repaired.was_faulty
            for name in ("repeated", "out_of_range", "missing"):
                asker.counts[name] += getattr(repaired, name)
            order[start:end] = [shown[position] for position in repaired.positions]
        return order, None

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {"window": self.window, "step": self.step, "passes": self.passes, **super().dump_settings()}
