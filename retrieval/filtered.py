"""A filter in front of a retriever: of a query that states a constraint, only documents that meet it are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from inpars_plus.corpora.constraints import Constraint, ConstraintReader, constraints_of
from inpars_plus.corpora.documents import Document, each_document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.external import checked_retriever
from inpars_plus.retrieval.protocol import Ranking, Retriever, check_k, check_queries

__all__ = ["MetadataFilter"]

_DEEPER = 10


@runtime_checkable
class _Combines(Protocol):
    """A retriever that combines the tops of others, and can be told how deep these are."""

    def with_depth(self, depth: int) -> Retriever: ...


class MetadataFilter:
    """A retriever whose results meet the constraints that a query states in its words.

    The constraint's words stay in the query. A query without a constraint, or of which nothing that is found meets all
    constraints, is searched as it is: a misread word must not empty the page.

    Args:
        retriever: what searches. It is searched deeper and deeper until there are k documents that pass; one that
            combines others' first 100 documents, as the hybrid does, combines more of them then. What asks a
            language model and says so (``asks_model = True``: ``LmReranker``, ``ExpandingRetriever``) stands around
            the filter, ``LmReranker(program, MetadataFilter(...), ...)``: inside, every deeper search would be paid
            for again. One that smooths scores takes documents that do not pass for neighbors too.
        documents: all that it searches, with their metadata; or a mapping to them, such as from their ids.

    Raises:
        ConfigurationError: the retriever cannot search or asks a language model, or what is given are no documents.
    """

    def __init__(self, retriever: Retriever, documents: Mapping[str, Document] | Iterable[Document]) -> None:
        checked_retriever(retriever)
        if getattr(retriever, "asks_model", False):
            name = type(retriever).__name__
            raise ConfigurationError(
                f"a filter around {name} would ask its model again at each deeper search",
                remedy=f"Put it around the filter: {name}(program, MetadataFilter(retriever, documents), ...)",
            )
        self._retriever = retriever
        self._by_constraint: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        self._count = 0
        names: list[Constraint] = []
        for document in each_document(documents):
            self._count += 1
            for constraint in constraints_of(document):
                names.append(constraint)
                for key in _keys(constraint):
                    self._by_constraint.setdefault(key, set()).add(document.id)
        self._reader = ConstraintReader(names)

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """See :class:`~inpars_plus.retrieval.protocol.Retriever`.

        Raises:
            ConfigurationError: ``k`` is below 1, or the queries are no list of texts; or a person's own retriever
                fails, or finds what it should not.
        """
        check_queries(queries)
        check_k(k)
        plain = checked_retriever(self._retriever).search(queries, k)
        found = list(plain)
        allowed = [self._allowed(query) for query in queries]
        depth = k
        while short := [
            at
            for at, (ranking, ids) in enumerate(zip(found, allowed, strict=True))
            if ids and depth < self._count and len(ids.intersection(ranking.ids)) < min(k, len(ids))
        ]:
            depth = min(self._count, depth * _DEEPER)
            deeper = self._retriever
            if isinstance(deeper, _Combines):
                deeper = deeper.with_depth(depth)
            again = checked_retriever(deeper).search([queries[at] for at in short], depth)
            for at, ranking in zip(short, again, strict=True):
                found[at] = ranking
        return [
            _cut(ranking, ids, k) if ids.intersection(ranking.ids) else given
            for given, ranking, ids in zip(plain, found, allowed, strict=True)
        ]

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
    rows = [(name, score) for name, score in zip(ranking.ids, ranking.scores, strict=True) if name in allowed][:k]
    return Ranking(tuple(name for name, _ in rows), tuple(score for _, score in rows))
