"""Hard negatives: documents that a retriever takes for the answer, and that are not it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.protocol import Ranking, Retriever

__all__ = ["RANDOM", "NegativeSettings", "Negatives", "fill_negatives", "mine_negatives", "random_negatives"]

RANDOM = "random"
"""Where negatives come from that no retriever found."""


@dataclass(frozen=True)
class NegativeSettings:
    """How negatives are chosen.

    Attributes:
        depth: of each retriever's ranking.
        number: of negatives a query, at most.
        ceiling: a negative scores less than this share of the answer in the ranking that it comes from; documents
            nearer to the answer are often answers too (NV-Retriever; Moreira et al. 2024).
        skip: the first so many documents of a ranking are passed over.
    """

    depth: int = 100
    number: int = 8
    ceiling: float = 0.95
    skip: int = 0

    def __post_init__(self) -> None:
        if self.depth < 1 or self.number < 1 or not 0 <= self.skip < self.depth or not 0 < self.ceiling <= 1:
            raise ConfigurationError(
                f"negatives cannot be chosen with depth {self.depth}, number {self.number}, ceiling {self.ceiling} and "
                f"skip {self.skip}",
                remedy="Give a depth above skip, a number of 1 or more, and a ceiling above 0 and up to 1",
            )


@dataclass(frozen=True)
class Negatives:
    """Negatives of one query.

    Attributes:
        query_id: of the query.
        document_ids: without repeats, in an order of the seed; never an answer of the query.
        origins: the retriever that each comes from.
        scores: of each in that retriever's ranking.
    """

    query_id: str
    document_ids: tuple[str, ...]
    origins: tuple[str, ...]
    scores: tuple[float, ...]


def mine_negatives(
    queries: Sequence[TrainingQuery],
    retrievers: Mapping[str, Retriever],
    settings: NegativeSettings | None = None,
    *,
    seed: int = 0,
) -> list[Negatives]:
    """Choose hard negatives for queries, in turn from each retriever, at random among those that qualify.

    Where a ranking does not hold the answer, its last score stands for the answer's, so that hardly anything of that
    ranking qualifies: who misses the answer cannot tell what is nearly as good. :func:`fill_negatives` gives random
    ones to queries that are left with none.

    Args:
        queries: with their answers.
        retrievers: name → what searches; each is asked for all queries at once.
        settings: how.
        seed: of the draw; a query's negatives depend on nothing else but its own rankings.

    Returns:
        One a query, in order; a query of which nothing qualifies has none.
    """
    settings = settings or NegativeSettings()
    texts = [query.text for query in queries]
    rankings = {name: one.search(texts, settings.depth) for name, one in retrievers.items()}
    return [
        _choose(query, {name: found[at] for name, found in rankings.items()}, settings, seed)
        for at, query in enumerate(queries)
    ]


def random_negatives(
    queries: Sequence[TrainingQuery], document_ids: Sequence[str], *, number: int, seed: int = 0
) -> list[Negatives]:
    """Draw negatives for queries from all documents, each as likely as the other.

    Args:
        queries: with their answers.
        document_ids: of the corpus.
        number: of negatives a query, at most.
        seed: of the draw; a query's negatives depend on nothing else but its id.

    Returns:
        One a query, in order; the scores are 0, because nobody gave any.
    """
    found = []
    for query in queries:
        most = min(len(document_ids), number + len(query.document_ids))
        drawn = random.Random(f"{seed} {query.id}").sample(document_ids, most)
        others = tuple(one for one in drawn if one not in query.document_ids)[:number]
        found.append(Negatives(query.id, others, (RANDOM,) * len(others), (0.0,) * len(others)))
    return found


def fill_negatives(
    queries: Sequence[TrainingQuery],
    negatives: Sequence[Negatives],
    document_ids: Sequence[str],
    *,
    number: int,
    seed: int = 0,
) -> tuple[list[Negatives], int]:
    """Give random negatives to queries that have none, so that they are trained on too.

    Args:
        queries: with their answers.
        negatives: one a query, in order.
        document_ids: of the corpus.
        number: of negatives for such a query, at most.
        seed: of the draw.

    Returns:
        One a query, in order, and how many were without.
    """
    without = [query for query, one in zip(queries, negatives, strict=True) if not one.document_ids]
    drawn = {one.query_id: one for one in random_negatives(without, document_ids, number=number, seed=seed)}
    return [drawn.get(one.query_id, one) for one in negatives], len(without)


def _choose(query: TrainingQuery, rankings: Mapping[str, Ranking], settings: NegativeSettings, seed: int) -> Negatives:
    rng = random.Random(f"{seed} {query.id}")
    waiting = {name: _qualified(query, ranking, settings) for name, ranking in rankings.items()}
    for found in waiting.values():
        rng.shuffle(found)
    chosen: dict[str, tuple[str, float]] = {}
    while len(chosen) < settings.number and any(waiting.values()):
        for name, found in waiting.items():
            while found and found[-1][0] in chosen:
                found.pop()
            if found and len(chosen) < settings.number:
                document, score = found.pop()
                chosen[document] = (name, score)
    origins, scores = zip(*chosen.values(), strict=True) if chosen else ((), ())
    return Negatives(query.id, tuple(chosen), tuple(origins), tuple(scores))


def _qualified(query: TrainingQuery, ranking: Ranking, settings: NegativeSettings) -> list[tuple[str, float]]:
    pairs = list(zip(ranking.ids, ranking.scores, strict=True))
    if not pairs:
        return []
    answer = max((score for name, score in pairs if name in query.document_ids), default=pairs[-1][1])
    # Below the answer by a share of it; for scores below 0 a share would be nearer to 0, and so above.
    highest = answer - (1 - settings.ceiling) * abs(answer)
    return [
        (name, score) for name, score in pairs[settings.skip :] if name not in query.document_ids and score < highest
    ]
