"""Candidates of a generation, dropped ones too, for experiments that ask what the checks hold back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from inpars_plus.corpora import Document, Ledger, LedgerEntry
from inpars_plus.foundation import InputError, digest
from inpars_plus.metrics.words import words
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery

__all__ = ["candidate_queries"]


def candidate_queries(
    directory: Path,
    documents: Iterable[Document],
    wanted: Callable[[LedgerEntry], bool],
    *,
    first_attempt: bool = False,
) -> list[TrainingQuery]:
    """Some candidates of a ledger, each with its document.

    Args:
        directory: that ``generate-queries`` wrote.
        documents: the whole corpus; candidates for others are left out.
        wanted: which candidates; those without a word are not asked about.
        first_attempt: of each document only those of the first attempt that has one.

    Returns:
        Each pair of document and text once, in the order of both.

    Raises:
        InputError: there is no ledger.
        CorpusError: a line is not an entry.
    """
    ledger = directory / "ledger.jsonl"
    if not ledger.exists():
        raise InputError(
            "there is no ledger, which holds the candidates that were dropped",
            place=str(ledger),
            remedy="Give a directory that generate-queries wrote",
        )
    known = {document.id for document in documents}
    entries = [
        entry
        for entry in Ledger(ledger).entries()
        if entry.document_id in known and words(entry.candidate) and wanted(entry)
    ]
    if first_attempt:
        firsts = dict[str, int]()
        for entry in entries:
            firsts[entry.document_id] = min(entry.attempt, firsts.get(entry.document_id, entry.attempt))
        entries = [entry for entry in entries if entry.attempt == firsts[entry.document_id]]
    found = {(entry.document_id, entry.candidate) for entry in entries}
    return [TrainingQuery(f"q{digest(name, text)[:16]}", text, (name,)) for name, text in sorted(found)]
