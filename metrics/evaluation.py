"""Systems compared on human judgments: which queries count, what each system has on each, and whether it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.metrics.measures import evaluate_rankings
from inpars_plus.metrics.significance import Difference, holm, paired_bootstrap, paired_randomization
from inpars_plus.retrieval.protocol import Ranking

__all__ = [
    "MEASURES",
    "Comparison",
    "Evaluation",
    "compare",
    "compare_values",
    "evaluate_systems",
    "shown_measures",
    "without_self",
]

MEASURES = ("nDCG@10", "RR@10", "R@100", "hit@10")
"""Of every evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """What systems have on the queries that have a relevant document.

    Attributes:
        queries: ids of these queries, sorted.
        values: system → measure → one value a query, in that order. A query that a system has no result for counts 0.
        unanswerable: ids of queries whose judgments are all 0; they are left out for every system alike.
        unanswered: system → how many of the queries it has no result for.
        self_judgments: how many judgments are dropped, because the document has the id of the query.
        self_results: system → how many results of the queries are dropped for the same reason.
    """

    queries: tuple[str, ...]
    values: Mapping[str, Mapping[str, tuple[float, ...]]]
    unanswerable: tuple[str, ...]
    unanswered: Mapping[str, int]
    self_judgments: int
    self_results: Mapping[str, int]

    def mean(self, system: str, measure: str) -> float:
        """Of a system over all queries."""
        values = self.values[system][measure]
        return sum(values) / len(values)


@dataclass(frozen=True)
class Comparison:
    """One system less the baseline.

    Attributes:
        difference: mean over queries, with its bootstrap interval.
        p: of a paired randomisation test.
        p_holm: the same, adjusted for all systems that were compared.
        wins: queries on which it is better.
        losses: queries on which it is worse.
    """

    difference: Difference
    p: float
    p_holm: float
    wins: int
    losses: int


def shown_measures(tested: str) -> tuple[str, ...]:
    """The measure that is tested, and those of every evaluation."""
    return tuple(dict.fromkeys((tested, *MEASURES)))


def without_self(rankings: Mapping[str, Ranking]) -> dict[str, Ranking]:
    """Rankings without the document that has the query's own id, as where documents are queries too."""
    return {query: ranking.without((query,)) for query, ranking in rankings.items()}


def evaluate_systems(
    judgments: Sequence[Judgment],
    systems: Mapping[str, Mapping[str, Ranking]],
    *,
    measures: Sequence[str] = MEASURES,
) -> Evaluation:
    """Score systems on the same queries; self-matches are no results and no answers, and are counted.

    Args:
        judgments: a grade above 0 is relevant.
        systems: name → query id → ranking. Rankings of queries without judgments are passed over.
        measures: names, as :func:`~inpars_plus.metrics.measures.evaluate_rankings` takes them.

    Raises:
        InputError: no query has a relevant document, or a system has a result for none of the queries.
        ConfigurationError: a name is not that of a measure.
    """
    judged = [one for one in judgments if one.query_id != one.document_id]
    relevant = {one.query_id for one in judged if one.grade > 0}
    if not relevant:
        raise InputError("no query has a relevant document", remedy="Give judgments with a grade of 1 or more")
    queries = tuple(sorted(relevant))
    judged = [one for one in judged if one.query_id in relevant]
    values, unanswered, self_results = {}, {}, {}
    for name, rankings in systems.items():
        known = {query: rankings[query] for query in queries if query in rankings}
        if not any(len(ranking) for ranking in known.values()):
            raise InputError(
                f"the system '{name}' has a result for none of the {len(queries):,} judged queries",
                place=f"run '{name}'",
                remedy="Check that the run and the judgments use the same query ids",
            )
        counting = without_self(known)
        by_measure = evaluate_rankings(judged, counting, measures)
        values[name] = {measure: tuple(by_measure[measure][query] for query in queries) for measure in measures}
        unanswered[name] = len(queries) - sum(bool(len(ranking)) for ranking in counting.values())
        self_results[name] = sum(len(known[query]) - len(counting[query]) for query in known)
    left_out = tuple(sorted({one.query_id for one in judgments} - relevant))
    to_itself = sum(one.query_id == one.document_id for one in judgments)
    return Evaluation(queries, values, left_out, unanswered, to_itself, self_results)


def compare(
    evaluation: Evaluation, baseline: str, *, measure: str = "nDCG@10", seed: int, samples: int = 10_000
) -> dict[str, Comparison]:
    """Each other system less the baseline, over the same queries.

    Args:
        evaluation: of all systems.
        baseline: name of one of them.
        measure: what is compared.
        seed: of intervals and tests.
        samples: resamples and sign flips.

    Raises:
        ConfigurationError: there is no system of that name.
    """
    return compare_values(
        {name: one[measure] for name, one in evaluation.values.items()}, baseline, seed=seed, samples=samples
    )


def compare_values(
    values: Mapping[str, Sequence[float]], baseline: str, *, seed: int, samples: int = 10_000
) -> dict[str, Comparison]:
    """Each other system less the baseline, paired by query: the one way in which systems are compared with one of them.

    Args:
        values: system → one value a query, in the same order for all.
        baseline: name of one of them.
        seed: of intervals and tests.
        samples: resamples and sign flips.

    Returns:
        The other systems, in the order given; empty where there are none.

    Raises:
        ConfigurationError: there is no system of that name.
        InputError: another system has not as many values as the baseline, or both have none.
    """
    if baseline not in values:
        raise ConfigurationError(
            f"there is no system '{baseline}'", place="baseline", remedy=f"There are {', '.join(values)}"
        )
    before = values[baseline]
    others = {name: after for name, after in values.items() if name != baseline}
    p_values = {name: paired_randomization(before, after, seed=seed, samples=samples) for name, after in others.items()}
    adjusted = holm(p_values)
    return {
        name: Comparison(
            difference=paired_bootstrap(before, after, seed=seed, samples=samples),
            p=p_values[name],
            p_holm=adjusted[name],
            wins=sum(new > old for old, new in zip(before, after, strict=True)),
            losses=sum(new < old for old, new in zip(before, after, strict=True)),
        )
        for name, after in others.items()
    }
