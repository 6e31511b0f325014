"""What everything that searches has in common: one batched method and the ranking it returns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import is_listed, kind_of

__all__ = ["Ranking", "Retriever", "check_k", "check_queries", "check_text", "check_texts"]


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

    Raises:
        ConfigurationError: it is none.
    """
    check_texts(
        queries, taker="search", name="queries", listed="[query]", one="query", remedy="Pass what a person would type"
    )


def check_texts(texts: Any, *, taker: str, name: str, listed: str, one: str, remedy: str) -> None:
    """Refuse what is no list of texts; an array of NumPy will do.

    A string is a list of its letters to Python, positions in a set mean nothing, a stream is empty when it was looked
    at, and a column of a table is read by its labels.

    Args:
        texts: what was given.
        taker: who wants them, for messages, as are the others.
        name: of the argument.
        listed: a list of them.
        one: what each of them is.
        remedy: where one is no text.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(texts, str):
        raise ConfigurationError(f"{taker} takes a list of {name}, not one string", remedy=f"Pass {listed}")
    if not is_listed(texts):
        raise ConfigurationError(f"{taker} takes a list of {name}, not {kind_of(texts)}", remedy="Pass a list")
    for at, text in enumerate(texts):
        check_text(text, one=one, place=f"{name}[{at}]", remedy=remedy)


def check_text(text: Any, *, one: str, place: str, remedy: str) -> None:
    """Refuse what is no text.

    Args:
        text: what was given.
        one: what it is, for messages, as are the others.
        place: the argument.
        remedy: what to do about it.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a {one} is a text, not {kind_of(text)}", place=place, remedy=remedy)
