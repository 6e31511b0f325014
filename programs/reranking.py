"""What the programs that re-rank passages share: how they ask, what they count, and what comes back.

A passage that is too long is cut to its beginning (:func:`~inpars_plus.programs.texts.fit_text`). What the model still
finds too long for its context it refuses, and a refused request is a reply that cannot be read: what it was about keeps
its order. Nothing that a model replies raises an error; a dead model does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.asking import ask_for_json, current_lm
from inpars_plus.programs.inputs import check_passages, check_query_text
from inpars_plus.programs.lenient_json import LenientJsonAdapter
from inpars_plus.programs.program import Program
from inpars_plus.programs.rerank_reports import RerankReport, depth_within
from inpars_plus.programs.texts import fit_text
from inpars_plus.programs.together import together

__all__ = ["MAX_PASSAGE_CHARACTERS", "Asker", "Ranked", "Reranker", "in_first_order", "order_by"]

Ranked: TypeAlias = tuple[list[int], list[float | None] | None]
"""Positions, best first; and a score a position, ``None`` where it got none or the form has no scores."""

MAX_PASSAGE_CHARACTERS = 1_600
"""How much of a passage is sent: about 400 tokens of English, so that ten and their frame fit into 8,000."""

_THREADS = 8


def order_by(scores: Sequence[float | None]) -> list[int]:
    """Positions by score, the highest first; equal ones keep their order, and what has no score keeps its rank.

    Args:
        scores: one a position.
    """
    scored = [(-score, position) for position, score in enumerate(scores) if score is not None]
    best_first = iter(position for _, position in sorted(scored))
    return [position if score is None else next(best_first) for position, score in enumerate(scores)]


def in_first_order(count: int) -> dspy.Prediction:
    """What comes of a blank query, about which nothing is asked: so many passages in their order, without scores."""
    return dspy.Prediction(order=list(range(count)), scores=None, report=RerankReport(queries=1))


class Asker:
    """Asks one predictor about one query, many things at once, and counts.

    Args:
        predictor: of a signature with one output field.
        reply_tokens: what a reply of the asked form may need, to which a model's own limit is raised.
        threads: calls at once.

    Attributes:
        counts: by the names of :class:`~inpars_plus.programs.rerank_reports.RerankReport`.
    """

    def __init__(self, predictor: dspy.Predict, *, reply_tokens: int, threads: int) -> None:
        self.counts: Counter[str] = Counter()
        self._predictor = predictor
        self._threads = threads
        self._reply_tokens = reply_tokens
        current_lm(predictor)  # without a model it ends here, and not in a thread

    def ask(
        self, asks: Sequence[Mapping[str, Any]], *, signature: type[dspy.Signature] | None = None
    ) -> list[Any | None]:
        """The output of each ask, in order; ``None`` for a reply that could not be read.

        Args:
            asks: inputs of the signature.
            signature: instead of the predictor's own, with the same fields.

        Raises:
            ModelError: the model is dead or its spending cap is reached.
        """
        own = self._predictor.signature
        (name,) = own.output_fields

        def one(inputs: Mapping[str, Any]) -> Any | None:
            with dspy.context(trace=None):  # _record writes what is to be learned from
                reply = ask_for_json(
                    self._predictor,
                    reply_tokens=self._reply_tokens,
                    adapter=LenientJsonAdapter(),
                    signature=signature or own,
                    **inputs,
                )
            return None if reply is None else reply[name]

        replies = together(one, asks, threads=self._threads, lm=current_lm(self._predictor))
        self.counts["calls"] += len(asks)
        self.counts["unreadable"] += sum(reply is None for reply in replies)
        self._record(name, asks, replies)
        return replies

    def _record(self, name: str, asks: Sequence[Mapping[str, Any]], replies: Sequence[Any | None]) -> None:
        """The readable asks in their order, for optimizers: threads would write them as they end."""
        trace, limit = dspy.settings.trace, dspy.settings.max_trace_size
        if trace is None or limit < 1:
            return
        for inputs, reply in zip(asks, replies, strict=True):
            if reply is not None:
                del trace[: max(0, len(trace) - limit + 1)]
                trace.append((self._predictor, dict(inputs), dspy.Prediction(**{name: reply})))


class Reranker(Program):
    """Base of the three forms: a query and its passages in, an order out.

    Safe to call from many threads, to deep-copy and to optimize. The model is the predictor's own (``set_lm``) or that
    of ``dspy.context``.

    Args:
        max_characters: how much of a passage, and of a query, is sent.
    """

    def __init__(self, *, max_characters: int = MAX_PASSAGE_CHARACTERS) -> None:
        super().__init__()
        if max_characters < 1:
            raise ConfigurationError(f"max_characters is {max_characters}, but must be at least 1")
        self.max_characters = max_characters

    @abstractmethod
    def calls_for(self, depth: int) -> int:
        """How many calls ranking so many passages takes; see :mod:`inpars_plus.programs.rerank_reports`."""

    @abstractmethod
    def _rank(self, asker: Asker, query: str, passages: Sequence[str]) -> Ranked:
        """Positions of the passages, best first, and a score a passage where the form has one."""

    @abstractmethod
    def _asker(self, passages: int, threads: int) -> Asker:
        """Asks the form's predictor."""

    def forward(
        self, query: str, passages: Sequence[str], calls: int | None = None, threads: int = _THREADS
    ) -> dspy.Prediction:
        """Put passages in order.

        Args:
            query: what was searched for; a blank one is not asked about.
            passages: in the order of the first stage.
            calls: what may be asked about this query. Only so many of the first passages are ranked as that is enough
                for; those below them keep their order.
            threads: asks at once, where they do not depend on each other.

        Returns:
            A prediction with ``order`` (list of int: positions of all passages, best first), ``scores`` (grades or
            points of the ranked passages in their first order, ``None`` for what could not be read, and ``None``
            instead of the list where the form has none) and ``report`` (a
            :class:`~inpars_plus.programs.rerank_reports.RerankReport`). For a blank query the order stays, and there
            are no scores.

        Raises:
            ConfigurationError: there is no language model, a negative number of calls, a query that is no text, or
                passages that are no list of texts.
            ModelError: the model is dead or its spending cap is reached.
        """
        if calls is not None and calls < 0:
            raise ConfigurationError(f"{calls} calls a query are allowed, but 0 is the least")
        check_query_text(query)
        check_passages(passages)
        asked = fit_text(query, self.max_characters)
        if not asked.strip():
            return in_first_order(len(passages))
        texts = [fit_text(passage, self.max_characters) for passage in passages]
        depth = depth_within(self.calls_for, len(texts), calls)
        counts: Counter[str] = Counter(queries=1, beyond_budget=len(texts) - depth)
        order, scores = list(range(depth)), None
        if self.calls_for(depth):
            asker = self._asker(depth, threads)
            order, scores = self._rank(asker, asked, texts[:depth])
            counts.update(asker.counts)
            counts["cut"] = sum(text != passage for text, passage in zip(texts[:depth], passages, strict=False))
        return dspy.Prediction(
            order=[*order, *range(depth, len(texts))], scores=scores, report=RerankReport(**dict(counts))
        )

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {"max_characters": self.max_characters}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        known = {name: value for name, value in settings.items() if name not in ("prompt_form", "key_terms")}
        return cls(**known)
