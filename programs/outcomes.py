"""What query generators keep account of while they ask: the turns they take, what came back, and what was rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.words import words

__all__ = [
    "GENERATION_REASONS",
    "NOT_ASKED",
    "NO_QUERY",
    "UNREADABLE",
    "Outcome",
    "RejectedCandidate",
    "Turn",
    "stems_of",
]

GENERATION_REASONS: Mapping[str, str] = {
    "constraint_not_met": "the query states a constraint that its document does not meet",
    "constraint_not_stated": "the query does not state the constraint that was asked for",
    "drifted": "the query names none of the document's foremost key terms, and a later one does",
    "empty_document": "the document is empty, so nothing was asked",
    "no_metadata": "the document's metadata give nothing to constrain a query by, so nothing was asked",
    "no_reply": "the call failed, however often the model was asked, so the document is not done with",
    "surplus": "the reply had more queries than asked for",
    "unreadable_reply": "no reply came back that could be read as queries",
}
"""The reasons that come beside those of :data:`inpars_plus.metrics.checks.REASONS`."""

NOT_ASKED = frozenset({"empty_document", "no_metadata"})
"""Of these, the reasons why nothing was asked about a document: it counts neither as asked about nor as failed."""

UNREADABLE = "unreadable_reply"
"""Of these, the reason of a reply that came and could not be read."""

NO_QUERY = frozenset({"no_reply", UNREADABLE})
"""Of these, the reasons with which no query came: the document failed, but nothing was written."""


class RejectedCandidate(BaseModel):
    """A candidate that was not good enough, or a reply that was none.

    Attributes:
        text: the query; where a reply could not be read, the reply as it came, or why there was none.
        reason: a key of ``metrics.checks.REASONS`` or of :data:`GENERATION_REASONS`.
        attempt: 1 for the first; 0 where nothing was asked.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    reason: str
    attempt: int


@dataclass(frozen=True)
class Turn:
    """One thing to ask about a document.

    Attributes:
        shown: what the model reads: the document, or a part of it with the same title.
        key_terms: what the query is to be built around.
        foremost: stems of which a query must have one, or it drifted; empty where any query will do.
        extra: inputs of the signature beside those of every query generator.
        opening: what a completion model's query begins with; empty for the program's own choice.
        check: a check beside those of every query, that gives a reason or ``None``.
    """

    shown: Document
    key_terms: Sequence[str]
    foremost: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)
    opening: str = ""
    check: Callable[[str], str | None] | None = None


@dataclass
class Outcome:
    """What has come back so far for one document.

    Attributes:
        wanted: queries asked for.
        check: gives the reason why a query is not good enough beside others, or ``None``.
        queries: the good ones, in order.
        shown: what the model read of the document when it wrote each.
        attempts: in which attempt each came.
        rejected: all others, in order.
        fruitful: the asks as an optimizer may learn from them: inputs, and the queries that came of them.
        last_failed: the last ask that gave nothing, with what it gave.
        reserve: queries that drifted, for when nothing better comes: inputs, text, attempt.
    """

    wanted: int
    check: Callable[[str, Sequence[str]], str | None]
    queries: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    rejected: list[RejectedCandidate] = field(default_factory=list)
    fruitful: list[tuple[dict[str, Any], list[str]]] = field(default_factory=list)
    last_failed: tuple[dict[str, Any], list[str]] | None = None
    reserve: list[tuple[dict[str, Any], str, int]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Queries still to come."""
        return self.wanted - len(self.queries)

    def reject(self, text: str, reason: str, attempt: int) -> None:
        """Enter a candidate that is none."""
        self.rejected.append(RejectedCandidate(text=text, reason=reason, attempt=attempt))

    def take(
        self,
        inputs: dict[str, Any],
        texts: Sequence[str],
        attempt: int,
        *,
        naming: frozenset[str] = frozenset(),
        check: Callable[[str], str | None] | None = None,
    ) -> None:
        """Sort what came back.

        Args:
            inputs: of the ask.
            texts: what it gave.
            attempt: its number.
            naming: where not empty, queries with none of these stems go into the reserve.
            check: of this ask, beside that of all.
        """
        before = len(self.queries)
        for text in texts:
            reason = self.check(text, self.queries) if self.missing else "surplus"
            reason = reason or (check(text) if check is not None else None)
            if reason is None and naming and naming.isdisjoint(stems_of(text)):
                self.reserve.append((inputs, text, attempt))
            elif reason is None:
                self.queries.append(text)
                self.shown.append(inputs["document"])
                self.attempts.append(attempt)
            else:
                self.reject(text, reason, attempt)
        good = self.queries[before:]
        if good:
            self.fruitful.append(({**inputs, "number_of_queries": len(good)}, good))
        else:
            self.last_failed = (inputs, list(texts))

    def draw_on_reserve(self) -> None:
        """Fill what is still missing from the reserve, in order; the rest of it is rejected."""
        for inputs, text, attempt in self.reserve:
            if self.missing:
                self.take(inputs, [text], attempt)
            else:
                self.reject(text, "drifted", attempt)


def stems_of(text: str) -> frozenset[str]:
    """The words of a text and the parts of hyphenated ones, without a plural's s.

    Plurals are all that key terms and queries differ in often enough to matter.
    """
    return frozenset(part.rstrip("s") for word in words(text) for part in (word, *word.split("-")))
