"""What everything that searches has in common: one batched method and the ranking it returns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import kind_of

__all__ = ["Ranking", "Retriever", "check_k", "check_queries", "check_query"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The documents found for one query, best first.

    Attributes:
        ids: document ids, best first, without repeats.
        scores: one score an id, in the retriever's own unit, never increasing.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.scores):
            raise ValueError(f"A ranking needs one score an id, not {len(self.scores)} for {len(self.ids)}")

    def __len__(self) -> int:
        return len(self.ids)

    def rank(self, document_id: str) -> int | None:
        """The 1-based rank of a document, or ``None`` if it was not found."""
        try:
            return self.ids.index(document_id) + 1
        except ValueError:
            return None

    def without(self, document_ids: Collection[str]) -> Ranking:
        """The same ranking as if some documents were not there."""
        kept = [at for at, one in enumerate(self.ids) if one not in document_ids]
        return Ranking(tuple(self.ids[at] for at in kept), tuple(self.scores[at] for at in kept))


@runtime_checkable
class Retriever(Protocol):
    """Anything that searches a corpus. A user's own engine needs only this method."""

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Search all queries at once.

        Args:
            queries: query texts; an empty one gets an empty ranking.
            k: how many documents to return at most, 1 or more; may exceed the size of the corpus.

        Returns:
            One ranking a query, in the order of the queries.
        """
        ...


def check_k(k: Any) -> None:
    """Refuse a search for nothing, which slices would answer with a wrong ranking where ``k`` is negative.

    Raises:
        ConfigurationError: ``k`` is below 1, or no whole number.
    """
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise ConfigurationError(f"k is a whole number, not {kind_of(k)}", place="k")
    if k < 1:
        raise ConfigurationError(f"a search finds at least 1 document, not {k}", place="k")


def check_queries(queries: Any) -> None:
    """Refuse what is no list of texts.

    A string is a list of its letters to Python, and what can be gone through only once is empty the second time.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(queries, str):
        raise ConfigurationError("search takes a list of queries, not one string", remedy="Pass [query]")
    if not isinstance(queries, Sequence):
        raise ConfigurationError(f"search takes a list of queries, not {kind_of(queries)}", remedy="Pass a list")
    for at, query in enumerate(queries):
        check_query(query, place=f"queries[{at}]")


def check_query(query: Any, *, place: str = "query") -> None:
    """Refuse what is no text.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(query, str):
        raise ConfigurationError(
            f"a query is a text, not {kind_of(query)}", place=place, remedy="Pass what a person would type"
        )
