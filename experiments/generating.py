"""Generating queries document by document into a ledger, and deriving the files for training from it.

The ledger is the record: every candidate with its scores and the reason why it was dropped. It grows by chunks of
documents, each in one write, so a run that is killed goes on with the first document that is not in it; replies of an
unfinished chunk come from the store of replies. All other files are derived from the ledger and replaced in one move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dspy

from inpars_plus.corpora import Corpus, Document, Judgment, Ledger, LedgerEntry, Query, write_beir
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import JSON, bar, digest
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.optimizers.prompts.evaluation import generate_all
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs import example_of

if TYPE_CHECKING:
    from inpars_plus.experiments.generate_queries import GenerateSettings

__all__ = ["CHUNK", "Outcome", "generate", "write_outcome"]

CHUNK = 256
"""Documents between two writes of the ledger; queries of a chunk are judged in one batch."""

T = TypeVar("T")


class Outcome:
    """What the ledger says, counted over the documents that the corpus still has.

    Attributes:
        documents: documents asked about.
        empty: documents passed over because there is nothing in them.
        candidates: all candidates.
        accepted: queries kept, by document id.
        reasons: how many candidates were dropped for each reason.
        by_type: document type → documents and accepted queries.
    """

    def __init__(self, ledger: Ledger, types: Mapping[str, str]) -> None:
        self.empty = 0
        self.candidates = 0
        self.reasons: Counter[str] = Counter()
        self.accepted: dict[str, list[LedgerEntry]] = {}
        asked: set[str] = set()
        for entry in ledger.entries():
            if entry.document_id not in types:
                continue
            if entry.reason == "empty_document":
                self.empty += 1
                continue
            asked.add(entry.document_id)
            self.candidates += 1
            if entry.reason is None:
                self.accepted.setdefault(entry.document_id, []).append(entry)
            else:
                self.reasons[entry.reason] += 1
        self.documents = len(asked)
        self.by_type = {
            name: {
                "documents": sum(types[one] == name for one in asked),
                "accepted": sum(len(entries) for one, entries in self.accepted.items() if types[one] == name),
            }
            for name in sorted({types[one] for one in asked})
        }

    @property
    def queries(self) -> int:
        """Queries kept."""
        return sum(map(len, self.accepted.values()))

    def results(self, queries_per_document: int) -> dict[str, JSON]:
        """For ``summary.json``; shares are over the queries asked for."""
        asked = self.documents * queries_per_document
        short = Counter(queries_per_document - len(kept) for kept in self.accepted.values())
        short[queries_per_document] += self.documents - len(self.accepted)
        return {
            "documents": self.documents,
            "empty_documents": self.empty,
            "asked": asked,
            "candidates": self.candidates,
            "accepted": self.queries,
            "accepted_share": self.queries / asked if asked else 0.0,
            "reasons": dict(self.reasons.most_common()),
            "documents_short_of_queries": {str(missing): count for missing, count in sorted(short.items()) if missing},
            "by_type": self.by_type,
        }


def generate(
    settings: GenerateSettings,
    bench: Workbench,
    programs: Mapping[str, dspy.Module],
    documents: Sequence[Document],
    ledger: Ledger,
) -> int:
    """Generate for documents and enter every candidate.

    Args:
        settings: of the job.
        bench: model and metric.
        programs: document type → its program.
        documents: those that are not in the ledger yet.
        ledger: grows.

    Returns:
        Documents whose call failed in a way that may pass; they are not in the ledger, so another run asks again.

    Raises:
        InParsError: the model is dead, the cap is reached, the disk is full; the ledger holds what was finished.
    """
    failed = 0
    watch = Watch(model=str(bench.lm.model))
    with bar("Generating", len(documents)) as progress:
        for chunk in _chunks(documents, CHUNK):
            tasks = [
                (
                    programs[document.doc_type],
                    example_of(
                        document,
                        number_of_queries=settings.queries_per_document,
                        key_terms=programs[document.doc_type].key_terms,
                    ),
                )
                for document in chunk
            ]
            predictions = generate_all(tasks, bench.lm, threads=settings.threads, watch=watch, on_done=progress.update)
            came = [
                (document, prediction)
                for document, prediction in zip(chunk, predictions, strict=True)
                if prediction is not None
            ]
            failed += len(chunk) - len(came)
            judged = iter(bench.metric.judge([(document, query) for document, made in came for query in made.queries]))
            entries: list[LedgerEntry] = []
            for document, made in came:
                verdicts = [next(judged) for _ in made.queries]
                program: Any = programs[document.doc_type]
                entries += _entries(document, made, verdicts, program.card.digest)
            ledger.append(entries)
    return failed


def write_outcome(directory: Path, corpus: Corpus, ledger: Ledger) -> Outcome:
    """Derive queries, judgments and the reference to the corpus from the ledger.

    Raises:
        RunError: the disk is full, or the directory cannot be written; the files are then as they were before.
    """
    types = {document.id: document.doc_type for document in corpus.documents()}
    outcome = Outcome(ledger, types)
    queries, judgments = [], []
    for document_id, entries in outcome.accepted.items():
        for entry in entries:
            identifier = f"q{digest(document_id, entry.candidate)[:16]}"
            metadata = {"document_id": document_id, "doc_type": types[document_id], "program": entry.program}
            queries.append(Query(id=identifier, text=entry.candidate, metadata=metadata))
            judgments.append(Judgment(query_id=identifier, document_id=document_id, grade=1))
    write_beir(directory, queries=queries, judgments=judgments, split="train", corpus_reference=corpus.reference())
    return outcome


def _entries(
    document: Document, made: dspy.Prediction, verdicts: Sequence[Judged], program: str
) -> Iterator[LedgerEntry]:
    for candidate in made.rejected:
        yield LedgerEntry(
            document_id=document.id,
            candidate=candidate.text,
            accepted=False,
            reason=candidate.reason,
            program=program,
            attempt=max(1, candidate.attempt),
        )
    for judged, attempt in zip(verdicts, made.attempts, strict=True):
        yield LedgerEntry(
            document_id=document.id,
            candidate=judged.query or "",
            accepted=judged.accepted,
            reason=judged.reason,
            scores={
                "score": round(judged.score, 6),
                "rank": judged.rank,
                "copy4": round(judged.copy4, 6),
                "naturalness": None if judged.naturalness is None else round(judged.naturalness, 6),
            },
            program=program,
            attempt=attempt,
        )


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
