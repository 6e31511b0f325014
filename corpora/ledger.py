"""The ledger: every generated candidate, with its scores, and why it was kept or dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.files import append_lines, read_lines

__all__ = ["Ledger", "LedgerEntry"]


class LedgerEntry(BaseModel):
    """One candidate query.

    Attributes:
        document_id: the document that it was generated from.
        candidate: its text as generated; empty when nothing came, and ``reason`` says why.
        accepted: whether it was kept.
        reason: the first check that it failed; ``None`` if and only if it was kept.
        scores: what was measured, by name.
        program: the digest or the name of the program that generated it.
        attempt: 1 for the first time that the document was asked about.
        content: a digest of what the document was; ``None`` in ledgers of before it was written down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    document_id: str = Field(min_length=1)
    candidate: str
    accepted: bool
    reason: str | None = None
    scores: Mapping[str, float | int | bool | str | None] = Field(default_factory=dict)
    program: str
    attempt: int = Field(default=1, ge=1)
    content: str | None = None

    @model_validator(mode="after")
    def _has_a_reason_or_is_accepted(self) -> LedgerEntry:
        if self.accepted == bool(self.reason):
            raise ValueError("an accepted candidate has no reason, and a rejected one has one")
        return self


class Ledger:
    """An append-only file of candidates, one JSON object a line, that survives a kill.

    Append all candidates of a document at once: a kill then leaves the document done or not begun. Where a document
    became another one under its id, append those of the new one: they take the place of the earlier ones.

    Args:
        path: the file; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def append(self, entries: Iterable[LedgerEntry]) -> None:
        """Add entries; they are on the disk when this returns.

        Raises:
            RunError: the disk is full, or the file cannot be written; it is then as it was before.
        """
        append_lines(self.path, entries)

    def entries(self) -> Iterator[LedgerEntry]:
        """Stream the entries that count, oldest first; none when the file does not exist. A torn last line is left out.

        Of each document these are the entries about its last content.

        Raises:
            CorpusError: a line is not an entry.
        """
        last = self._contents()
        reached: dict[str, tuple[int, str | None]] = {}
        for entry in self._lines():
            reached[entry.document_id] = _turned(reached, entry)
            if reached[entry.document_id] == last[entry.document_id]:
                yield entry

    def _contents(self) -> dict[str, tuple[int, str | None]]:
        """Document id → how often its content changed, and what it is since then."""
        found: dict[str, tuple[int, str | None]] = {}
        for entry in self._lines():
            found[entry.document_id] = _turned(found, entry)
        return found

    def _lines(self) -> Iterator[LedgerEntry]:
        if not self.path.exists():
            return
        for number, line in read_lines(self.path):
            try:
                yield LedgerEntry.model_validate(line)
            except ValidationError as problem:
                first = problem.errors()[0]
                field = ".".join(str(part) for part in first["loc"])
                raise CorpusError(
                    f"the line is not an entry of a ledger ({field + ': ' if field else ''}{first['msg']})",
                    place=f"{self.path}, line {number}",
                    remedy="Remove the line, or move the file away to begin a new ledger",
                ) from problem

    def documents_done(self) -> dict[str, str | None]:
        """The ids of the documents that have entries, with their content, so that a later run leaves these out."""
        return {name: content for name, (_, content) in self._contents().items()}

    def reasons(self) -> Counter[str]:
        """How many candidates were dropped for each reason."""
        return Counter(entry.reason for entry in self.entries() if entry.reason is not None)


def _turned(reached: Mapping[str, tuple[int, str | None]], entry: LedgerEntry) -> tuple[int, str | None]:
    times, content = reached.get(entry.document_id, (0, entry.content))
    return (times, content) if content == entry.content else (times + 1, entry.content)
