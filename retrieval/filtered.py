"""A filter in front of a retriever: of a query that states a constraint, only documents that meet it are found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inpars_plus.corpora.constraints import Constraint, ConstraintReader, constraints_of
from inpars_plus.corpora.documents import Document
from inpars_plus.retrieval.protocol import Ranking, Retriever, check_k

__all__ = ["MetadataFilter"]

_DEEPER = 10


class MetadataFilter:
    """A retriever whose results meet the constraints that a query states in its words.

    The constraint's words stay in the query. A query without a constraint, or with constraints that no document of the
    collection meets, is searched as it is: a misread word must not empty the page.

    Args:
        retriever: what searches.
        documents: all that it searches, with their metadata.
    """

    def __init__(self, retriever: Retriever, documents: Iterable[Document]) -> None:
        self._retriever = retriever
        self._by_constraint: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        names: list[Constraint] = []
        for document in documents:
            for constraint in constraints_of(document):
                names.append(constraint)
                for key in _keys(constraint):
                    self._by_constraint.setdefault(key, set()).add(document.id)
        self._reader = ConstraintReader(names)

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """See :class:`~inpars_plus.retrieval.protocol.Retriever`."""
        check_k(k)
        allowed = [self._allowed(query) for query in queries]
        found = self._retriever.search(queries, k)
        depth = k
        while True:
            short = [
                at
                for at, (ranking, ids) in enumerate(zip(found, allowed, strict=True))
                # Shorter than the depth: there is nothing more to be had.
                if ids and len(ranking) >= depth and len(ids.intersection(ranking.ids)) < min(k, len(ids))
            ]
            if not short:
                break
            depth *= _DEEPER
            for at, ranking in zip(short, self._retriever.search([queries[at] for at in short], depth), strict=True):
                found[at] = ranking
        return [_cut(ranking, ids, k) for ranking, ids in zip(found, allowed, strict=True)]

    def _allowed(self, query: str) -> set[str]:
        """The documents that meet all that is stated; none where nothing is."""
        sets = [
            set().union(*(self._by_constraint.get(constraint.key, set()) for constraint in either))
            for either in self._reader.stated_in(query)
        ]
        return set.intersection(*sets) if sets else set()


def _keys(constraint: Constraint) -> list[tuple[str, tuple[str, ...]]]:
    """The constraint's own key, and for a month that of its year."""
    keys = [constraint.key]
    if constraint.field == "date":
        keys.append(Constraint(field="date", value=constraint.value[:4]).key)
    return keys


def _cut(ranking: Ranking, allowed: set[str], k: int) -> Ranking:
    rows = [
        (name, score) for name, score in zip(ranking.ids, ranking.scores, strict=True) if not allowed or name in allowed
    ][:k]
    return Ranking(tuple(name for name, _ in rows), tuple(score for _, score in rows))
