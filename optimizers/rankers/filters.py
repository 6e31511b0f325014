"""Which generated queries are worth training on: the filters of the literature, each with a record of what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import JSON
from inpars_plus.lms.scoring import Scorer
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.protocol import Retriever

__all__ = ["Filtered", "keep_likeliest", "keep_round_trip", "keep_scored"]

_SHOWN = 5


@dataclass(frozen=True)
class Filtered:
    """What a filter left.

    Attributes:
        queries: that were kept, in their order.
        record: name and settings of the filter, how many came and stayed, and some that were dropped.
    """

    queries: tuple[TrainingQuery, ...]
    record: dict[str, JSON] = field(default_factory=dict)


def keep_round_trip(queries: Sequence[TrainingQuery], retriever: Retriever, *, k: int, name: str) -> Filtered:
    """Keep a query that finds its document among the first ``k`` (Promptagator: k = 1; InPars-light: k = 3).

    Args:
        queries: to filter.
        retriever: that is asked.
        k: how deep its document may stand.
        name: of the retriever, for the record.
    """
    _positive(k, "k")
    rankings = retriever.search([query.text for query in queries], k)
    kept = [bool(set(query.document_ids) & set(one.ids)) for query, one in zip(queries, rankings, strict=True)]
    return _filtered("round trip", queries, kept, k=k, retriever=name)


def keep_likeliest(
    queries: Sequence[TrainingQuery],
    prompts: Sequence[str],
    scorer: Scorer,
    *,
    keep: int,
    name: str | None = None,
) -> Filtered:
    """Keep the queries that their generator finds likeliest: the mean log-probability of their tokens (InPars v1).

    Args:
        queries: to filter.
        prompts: what the model read before each, such as the program's prompt for the document.
        scorer: of completions.
        keep: how many; of equal ones the first.
        name: of the model, for the record.
    """
    _positive(keep, "keep")
    scores = scorer.score([(prompt, f" {query.text}") for prompt, query in zip(prompts, queries, strict=True)])
    means = [score.mean_log_probability for score in scores]
    return _filtered("mean log-probability", queries, _best(means, keep), keep=keep, **({"lm": name} if name else {}))


def keep_scored(
    queries: Sequence[TrainingQuery],
    documents: Sequence[Document],
    score: Callable[[Sequence[tuple[str, str]]], Sequence[float]],
    *,
    keep: int,
    name: str,
) -> Filtered:
    """Keep the queries that a re-ranker finds to fit their document best (InPars v2).

    Args:
        queries: to filter, each with one document.
        documents: the document of each.
        score: of (query, text of the document) pairs, such as ``CrossEncoder.predict``; more is better.
        keep: how many; of equal ones the first.
        name: of the re-ranker, for the record.
    """
    _positive(keep, "keep")
    values = score([(query.text, one.full_text) for query, one in zip(queries, documents, strict=True)])
    return _filtered("re-ranker score", queries, _best(list(values), keep), keep=keep, reranker=name)


def _positive(number: int, what: str) -> None:
    if number < 1:
        raise ConfigurationError(f"a filter cannot keep {number}", place=what, remedy="Give 1 or more")


def _best(values: Sequence[float], keep: int) -> list[bool]:
    order = sorted(range(len(values)), key=lambda at: (-values[at], at))[:keep]
    chosen = set(order)
    return [at in chosen for at in range(len(values))]


def _filtered(name: str, queries: Sequence[TrainingQuery], kept: Sequence[bool], **settings: JSON) -> Filtered:
    left = tuple(query for query, good in zip(queries, kept, strict=True) if good)
    dropped = [query.text for query, good in zip(queries, kept, strict=True) if not good]
    record: dict[str, JSON] = {
        "filter": name,
        "settings": settings,
        "came": len(queries),
        "stayed": len(left),
        "dropped": dropped[:_SHOWN],
    }
    return Filtered(left, record)
