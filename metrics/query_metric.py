"""What a good synthetic query is, as one number: the metric that programs are compiled against.

``score = gate · retrieval · likeness``, in [0, 1]:

* *gate* is 1 if every check passes; 0 if the query is no query of a person at all (empty, talk about the text, a
  stretch of the document, ...); 0.5 for a slip (too long, a word too often, unfinished, not natural ...), so that an
  optimizer sees which failure is nearer; and a copy keeps half of what it did not copy, whatever else is wrong with it;
* *retrieval* is ``0.9 + 0.1 / rank`` in the top 10, and falls from 0.25 to 0 between rank 10 and rank 100;
* *likeness* is how much it reads like a person's (:func:`inpars_plus.metrics.naturalness.likeness`).

Retrieval alone would be won by bare key terms and templates around them, which find their document nearly always.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.batching import Batcher
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.metrics.checks import COPIED_SHARE_LIMIT, REASONS, check_query, copied_share, own_words_share
from inpars_plus.metrics.naturalness import NATURALNESS_FLOOR, CompletionScorer, likeness, naturalness_pairs
from inpars_plus.metrics.words import words
from inpars_plus.retrieval.external import checked_retriever
from inpars_plus.retrieval.protocol import Retriever
from inpars_plus.retrieval.ranks import ranks_of_sources

__all__ = ["HIT_DEPTH", "Judged", "QueryMetric", "retrieval_score", "summarize"]

HIT_DEPTH = 10
_SEARCH_DEPTH = 100
_SLIP_GATE = 0.5
_SLIPS = frozenset(
    {"too_short", "too_long", "unfinished", "repeated_word", "not_self_contained", "duplicate", "not_natural"}
)
_REMEMBERED = 100_000
_PLACE = "metric 'QueryMetric'"


@dataclass(frozen=True, slots=True)
class Judged:
    """What the metric says about one query of one document.

    Attributes:
        query: the query; ``None`` where one was asked for and none came.
        accepted: whether it passes every check, retrieval and naturalness included.
        reason: the first check that it fails, a key of :data:`inpars_plus.metrics.checks.REASONS`.
        score: the metric, in [0, 1].
        rank: of the document in the ranking for the query, 1-based; ``None`` beyond the top 100.
        copy4: share of its 4-grams that stand verbatim in the document, in [0, 1].
        naturalness: mean log-probability under the embedded model, in nats a token; ``None`` if there is no query.
    """

    query: str | None
    accepted: bool
    reason: str | None
    score: float
    rank: int | None
    copy4: float
    naturalness: float | None


_Key = tuple[str, str, str]

_MISSING = Judged(query=None, accepted=False, reason="empty", score=0.0, rank=None, copy4=0.0, naturalness=None)


class QueryMetric:
    """Scores queries by their checks, by whether they find their document, and by how natural they read.

    Callable from many threads, in DSPy's form; calls that come together are judged in one batch. A judgment is
    remembered for the query and the text of its document, so asking again costs nothing. A deep copy is the metric
    itself.

    Args:
        retriever: searches the full corpus. What an engine of your own finds is checked.
        scorer: the embedded model's; the same one whatever model generates.
        floor: mean log-probability below which a query is ``not_natural``.
        threshold: score from which an accepted query counts as a success while bootstrapping.
        one_at_a_time: never search or score in a batch. What is judged together changes rounding, and some judgments
            are remembered, so only this judges a query alike whatever was judged before.
    """

    def __init__(
        self,
        retriever: Retriever,
        scorer: CompletionScorer,
        *,
        floor: float = NATURALNESS_FLOOR,
        threshold: float = 0.5,
        one_at_a_time: bool = False,
    ) -> None:
        self.threshold = threshold
        self._retriever = checked_retriever(retriever)
        self._scorer = scorer
        self._floor = floor
        self._one_at_a_time = one_at_a_time
        self._known: OrderedDict[_Key, Judged] = OrderedDict()
        self._renew_lock()
        in_each_fork(self._renew_lock)
        self._batcher: Batcher[Sequence[tuple[Document, str | None]], list[Judged]] = Batcher(
            self._judge_calls, max_size=64, max_wait_seconds=0.01
        )

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> QueryMetric:
        return self

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        """Score one prediction.

        Args:
            gold: an example with ``source`` (the document) and ``number_of_queries``.
            pred: a prediction with ``queries``, texts.
            trace: not ``None`` while bootstrapping.
            pred_name: the predictor that GEPA wants feedback for.
            pred_trace: unused; part of DSPy's form.

        Returns:
            The mean score of the queries asked for, missing ones counted as 0; a bool while bootstrapping: all
            accepted and the mean at the threshold or above; with ``pred_name`` a prediction of score and feedback.

        Raises:
            ConfigurationError: ``queries`` are no list of texts, or the example has no document as its ``source``.
        """
        if not isinstance(gold.get("source"), Document):
            raise ConfigurationError(
                "the example has no Document as its source", place=_PLACE, remedy="Make it with example_of"
            )
        queries = pred.get("queries") or ()
        if not isinstance(queries, Sequence) or isinstance(queries, str):
            raise ConfigurationError(
                f"queries are a {type(queries).__name__} instead of a list of texts",
                place=_PLACE,
                remedy="Give a list, also of one query",
            )
        wanted = max(int(gold.get("number_of_queries") or 1), 1)
        asked = [*queries, *[None] * wanted][:wanted]
        judged = self._batcher([(gold.source, query) for query in asked])
        score = math.fsum(one.score for one in judged) / wanted
        if pred_name is not None:
            rejected = pred.get("rejected") or ()
            return dspy.Prediction(score=score, feedback=_feedback(judged, [str(one.reason) for one in rejected]))
        if trace is not None:
            return all(one.accepted for one in judged) and score >= self.threshold
        return score

    def judge(self, pairs: Sequence[tuple[Document, str | None]]) -> list[Judged]:
        """Judge many queries in one batch: one search and one call of the scorer for all.

        Args:
            pairs: documents with a query written for each, ``None`` for a missing one. Queries of one document are
                also compared with its earlier ones in ``pairs``.

        Returns:
            One judgment a pair, in order.
        """
        return self._judge_calls([pairs])[0]

    def _judge_calls(self, calls: Sequence[Sequence[tuple[Document, str | None]]]) -> list[list[Judged]]:
        # Keys stand beside their pairs, because a digest is not for nothing.
        keys = [[_key(document, query) for document, query in call] for call in calls]
        asked = {
            key: (document, query)
            for call, of_call in zip(calls, keys, strict=True)
            for (document, query), key in zip(call, of_call, strict=True)
            if key is not None and query is not None
        }
        with self._lock:
            known = {key: self._known[key] for key in asked if key in self._known}
        fresh = {key: pair for key, pair in asked.items() if key not in known}
        batches = [[pair] for pair in fresh.values()] if self._one_at_a_time else [list(fresh.values())]
        judged = [one for batch in batches for one in self._judge_alone(batch)]
        known.update(zip(fresh, judged, strict=True))
        with self._lock:
            self._known.update(known)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return [self._with_duplicates(call, of_call, known) for call, of_call in zip(calls, keys, strict=True)]

    def _judge_alone(self, pairs: Sequence[tuple[Document, str]]) -> list[Judged]:
        if not pairs:
            return []
        texts = [query for _, query in pairs]
        ranks = ranks_of_sources(self._retriever, texts, [document.id for document, _ in pairs], _SEARCH_DEPTH)
        scores = self._scorer.score(naturalness_pairs(texts))
        return [
            self._judgment(document, query, rank, tuple(score.log_probabilities), score.mean_log_probability)
            for (document, query), rank, score in zip(pairs, ranks, scores, strict=True)
        ]

    def _judgment(
        self, document: Document, query: str, rank: int | None, log_probabilities: tuple[float, ...], mean: float
    ) -> Judged:
        reason = check_query(query, document)
        if reason is None and mean < self._floor:
            reason = "not_natural"
        copied = copied_share(query, document)
        gate = 1.0 if reason is None else _gate(reason, copied)
        if reason is None and (rank is None or rank > HIT_DEPTH):
            reason = "not_retrieved"
        return Judged(
            query=query,
            accepted=reason is None,
            reason=reason,
            score=gate * retrieval_score(rank) * likeness(log_probabilities, own_words_share(query, document)),
            rank=rank,
            copy4=copied,
            naturalness=mean,
        )

    @staticmethod
    def _with_duplicates(
        call: Sequence[tuple[Document, str | None]], keys: Sequence[_Key | None], known: dict[_Key, Judged]
    ) -> list[Judged]:
        judged: list[Judged] = []
        earlier: dict[str, list[str]] = {}
        for (document, query), key in zip(call, keys, strict=True):
            if key is None or query is None:
                judged.append(_MISSING)
                continue
            one = known[key]
            others = earlier.setdefault(document.id, [])
            if one.accepted and others and check_query(query, document, others=others) == "duplicate":
                one = Judged(query, False, "duplicate", one.score * _SLIP_GATE, one.rank, one.copy4, one.naturalness)
            if one.accepted:
                others.append(query)
            judged.append(one)
        return judged


def _key(document: Document, query: str | None) -> _Key | None:
    """What a judgment depends on; ``None`` where there is no query. A document may change and keep its id."""
    if query is not None and not isinstance(query, str):
        raise ConfigurationError(
            f"a query is a {type(query).__name__} instead of a text",
            place=f"{_PLACE}, document '{document.id}'",
            remedy="Give texts, and None for a query that is missing",
        )
    if not query or not words(query):
        return None
    return document.id, digest(document.full_text, document.language), query


def summarize(judged: Sequence[Judged]) -> dict[str, Any]:
    """The row of a quality table, over the queries asked for; a missing one is neither accepted nor a hit.

    Returns:
        ``score`` (mean), ``accepted`` and ``hit@10`` (shares of all), ``copy4`` (mean over the queries that came),
        ``top_opening`` (share of the most frequent first word among them) and ``documents`` (queries asked for).
    """
    count = max(len(judged), 1)
    came = [one for one in judged if one.query]
    openings = Counter(words(one.query or "")[0] for one in came if words(one.query or ""))
    return {
        "score": math.fsum(one.score for one in judged) / count,
        "accepted": sum(one.accepted for one in judged) / count,
        "hit@10": sum(one.rank is not None and one.rank <= HIT_DEPTH for one in judged) / count,
        "copy4": math.fsum(one.copy4 for one in came) / max(len(came), 1),
        "top_opening": max(openings.values(), default=0) / max(len(came), 1),
        "documents": len(judged),
    }


def _gate(reason: str, copied: float) -> float:
    if copied >= COPIED_SHARE_LIMIT:
        return _SLIP_GATE * (1.0 - copied)
    return _SLIP_GATE if reason in _SLIPS else 0.0


def retrieval_score(rank: int | None) -> float:
    """How well a query finds its document, in [0, 1]: nearly 1 in the top 10, falling with the rank's logarithm to 0.

    Args:
        rank: 1-based; ``None`` where the document was not found.
    """
    if rank is None:
        return 0.0
    if rank <= HIT_DEPTH:
        return 0.9 + 0.1 / rank
    return max(0.0, 0.25 * (1.0 - math.log10(rank / HIT_DEPTH)))


def _feedback(judged: Sequence[Judged], rejected: Sequence[str]) -> str:
    lines = [_sentence(one) for one in judged]
    if rejected:
        counts = ", ".join(f"{REASONS.get(reason, reason)} ({count})" for reason, count in Counter(rejected).items())
        lines.append(f"Candidates dropped before: {counts}.")
    return "\n".join(lines)


def _sentence(one: Judged) -> str:
    if one.query is None:
        return "A query is missing."
    found = f"it finds its document at rank {one.rank}" if one.rank else "it does not find its document in the top 100"
    verdict = "accepted" if one.accepted else f"rejected, because {REASONS[str(one.reason)]}"
    return f"“{one.query}”: {verdict}; {found}; score {one.score:.2f}."
