"""Generating queries document by document into a ledger, and deriving the files for training from it.

The ledger is the record: every candidate with its scores and the reason why it was dropped. It grows by chunks of
documents, each in one write, so a run that is killed goes on with the first document that is not in it; replies of an
unfinished chunk come from the store of replies. A document is in it with the digest of its content: what has another
text under its id is another document. All other files are derived from the ledger and replaced in one move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dspy

from inpars_plus.corpora import Corpus, Document, Judgment, Ledger, LedgerEntry, Query, write_beir
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import JSON, bar, digest
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.optimizers.prompts.evaluation import generate_all
from inpars_plus.optimizers.prompts.reading_watch import CERTAIN, ReadingWatch
from inpars_plus.programs import AdaptiveQueryGenerator, example_of
from inpars_plus.programs.granularities import granularity_of
from inpars_plus.programs.outcomes import NO_QUERY, NOT_ASKED

if TYPE_CHECKING:
    from inpars_plus.experiments.generate_queries import GenerateSettings

__all__ = ["CHUNK", "Outcome", "contents_of", "generate", "program_digests", "write_outcome", "written_by"]

CHUNK = 256
"""Documents between two writes of the ledger; queries of a chunk are judged in one batch."""


def contents_of(corpus: Corpus, programs: Iterable[dspy.Module]) -> dict[str, str]:
    """Document id → digest of what programs see of the document: its metadata too, where one of them reads these.

    Args:
        corpus: all documents.
        programs: the query generators that may write.
    """
    metadata = any(granularity_of(one) == "constraint" for one in programs)
    return {
        one.id: digest([one.title, one.text, one.doc_type, one.language], one.metadata if metadata else None)[:16]
        for one in corpus.documents()
    }


class Outcome:
    """What the ledger says, counted over the documents that the corpus still has, with the content that they have now.

    Args:
        ledger: of the generation.
        types: document id → type, of the corpus.
        contents: from :func:`contents_of`.

    Attributes:
        documents: documents asked about.
        not_asked: how many documents were passed over for each reason of
            :data:`~inpars_plus.programs.outcomes.NOT_ASKED`.
        candidates: all candidates.
        accepted: queries kept, by document id.
        reasons: how many candidates were dropped for each reason.
        by_type: document type → documents and accepted queries.
    """

    def __init__(self, ledger: Ledger, types: Mapping[str, str], contents: Mapping[str, str]) -> None:
        self.not_asked: Counter[str] = Counter()
        self.candidates = 0
        self.reasons: Counter[str] = Counter()
        self.accepted: dict[str, list[LedgerEntry]] = {}
        asked: set[str] = set()
        for entry in _about(ledger, contents):
            if entry.reason in NOT_ASKED:
                self.not_asked[entry.reason] += 1
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
            "empty_documents": self.not_asked["empty_document"],
            "documents_without_metadata": self.not_asked["no_metadata"],
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
    contents: Mapping[str, str],
    *,
    adaptive: AdaptiveQueryGenerator | None = None,
) -> int:
    """Generate for documents and enter every candidate.

    Args:
        settings: of the job.
        bench: model and metric.
        programs: document type → its program.
        documents: those that are not in the ledger yet.
        ledger: grows.
        contents: from :func:`contents_of`, for the ledger.
        adaptive: chooses the program of each document, instead of its stated type.

    Returns:
        Documents whose call failed in a way that may pass; they are not in the ledger, so another run asks again.

    Raises:
        InParsError: the model is dead or none of its replies can be read, the cap is reached, the disk is full; the
            ledger holds what was finished.
    """
    # Where others were answered for, a few that are left may be ones that the server has no answer for.
    before = {one.reason for one in ledger.entries()} - NOT_ASKED
    watch = ReadingWatch(bench.lm, answered_before=bool(before), read_before=bool(before - NO_QUERY))
    entered = 0
    came: list[tuple[_Writer, dspy.Prediction]] = []  # is entered once a reply was read: else another way may do better
    left = iter(documents)
    with bar("Generating", len(documents)) as progress:
        # An analyst asks about a whole chunk before anything is written for it, and may be a model that only thinks.
        while chunk := list(islice(left, CHUNK if adaptive is None or watch.read else CERTAIN)):
            writers = _stated(chunk, programs) if adaptive is None else _told(chunk, adaptive)
            progress.update(len(chunk) - len(writers))
            tasks = [
                (
                    one.program,
                    example_of(
                        one.source, number_of_queries=settings.queries_per_document, key_terms=one.program.key_terms
                    ),
                )
                for one in writers
            ]
            made: dict[int, dspy.Prediction] = {}
            try:
                generate_all(tasks, bench.lm, threads=settings.threads, watch=watch, on_done=progress.update, made=made)
            except Exception:  # a cap, a dead model: what was finished before is not to wait for another run
                if watch.read:
                    _enter([*came, *_answered(writers, made)], bench, ledger, contents)
                raise
            came += _answered(writers, made)
            if watch.read:
                entered += _enter(came, bench, ledger, contents)
                came = []
        watch.raise_if_nothing_was_read(tokens=bench.lm.kwargs.get("max_tokens"))
        entered += _enter(came, bench, ledger, contents)
    return len(documents) - entered


def _answered(writers: Sequence[_Writer], made: Mapping[int, dspy.Prediction]) -> list[tuple[_Writer, dspy.Prediction]]:
    """What came for documents that are done with, in their order."""
    return [(writers[at], made[at]) for at in sorted(made) if not _unanswered(made[at])]


def _unanswered(made: dspy.Prediction) -> bool:
    """Whether queries are missing because no reply came; then another run is to ask about the document again."""
    return bool(made.shortfall) and any(one.reason == "no_reply" for one in made.rejected)


def _enter(
    came: Sequence[tuple[_Writer, dspy.Prediction]], bench: Workbench, ledger: Ledger, contents: Mapping[str, str]
) -> int:
    """Judge what was written and enter it; returns for how many documents."""
    if not came:
        return 0  # the index that judging needs would be built for nothing
    judged = iter(bench.metric.judge([(one.source, query) for one, found in came for query in found.queries]))
    entries: list[LedgerEntry] = []
    for one, found in came:
        entries += _entries(one, found, [next(judged) for _ in found.queries], contents[one.source.id])
    ledger.append(entries)
    return len(came)


def written_by(ledger: Ledger, digests: Mapping[str, str], contents: Mapping[str, str]) -> dict[str, JSON]:
    """Which program of an adaptive one wrote how much, and why not that of the document's type.

    Args:
        ledger: of the generation.
        digests: from :func:`program_digests`.
        contents: from :func:`contents_of`; entries about anything else are left out.

    Returns:
        ``programs`` (name → documents that it was asked about, and accepted queries) and ``reasons`` (reason →
        documents, those that no program was asked about among them).
    """
    names = {digest: name for name, digest in digests.items()}
    documents: dict[str, tuple[str, Any]] = {}
    accepted: Counter[str] = Counter()
    asked: set[str] = set()
    for entry in _about(ledger, contents):
        name = names.get(entry.program, entry.program)
        if entry.reason not in NOT_ASKED:
            asked.add(entry.document_id)
        documents[entry.document_id] = (name, entry.scores.get("route_reason"))
        accepted[name] += entry.accepted
    counts = Counter(name for document, (name, _) in documents.items() if document in asked)
    reasons = Counter(str(reason) for _, reason in documents.values() if reason)
    return {
        "programs": {name: {"documents": count, "accepted": accepted[name]} for name, count in sorted(counts.items())},
        "reasons": dict(sorted(reasons.items())),
    }


def write_outcome(directory: Path, corpus: Corpus, ledger: Ledger, contents: Mapping[str, str]) -> Outcome:
    """Derive queries, judgments and the reference to the corpus from the ledger.

    Args:
        directory: where they go.
        corpus: all documents.
        ledger: of the generation.
        contents: from :func:`contents_of`.

    Raises:
        RunError: the disk is full, or the directory cannot be written; the files are then as they were before.
    """
    types = {document.id: document.doc_type for document in corpus.documents()}
    outcome = Outcome(ledger, types, contents)
    queries, judgments = [], []
    for document_id, entries in outcome.accepted.items():
        for entry in entries:
            identifier = f"q{digest(document_id, entry.candidate)[:16]}"
            metadata = {"document_id": document_id, "doc_type": types[document_id], "program": entry.program}
            queries.append(Query(id=identifier, text=entry.candidate, metadata=metadata))
            judgments.append(Judgment(query_id=identifier, document_id=document_id, grade=1))
    write_beir(directory, queries=queries, judgments=judgments, split="train", corpus_reference=corpus.reference())
    return outcome


def _about(ledger: Ledger, contents: Mapping[str, str]) -> Iterator[LedgerEntry]:
    """The entries about the documents of a corpus as they are now.

    Those of an older ledger, which do not say of what text they are, count until their document was asked about again.
    """
    for one in ledger.entries():
        if one.document_id in contents and one.content in (None, contents[one.document_id]):
            yield one


@dataclass(frozen=True)
class _Writer:
    """Which program writes for a document.

    Attributes:
        source: the document as the program gets it.
        program: it.
        digest: its name in the ledger.
        told: what the ledger says of the choice.
    """

    source: Document
    program: Any
    digest: str
    told: Mapping[str, str | None]


def _stated(documents: Sequence[Document], programs: Mapping[str, Any]) -> list[_Writer]:
    chosen = [(document, programs[document.doc_type]) for document in documents]
    return [_Writer(document, program, program.card.digest, {}) for document, program in chosen]


def _told(documents: Sequence[Document], adaptive: AdaptiveQueryGenerator) -> list[_Writer]:
    """The writers of documents, without those whose analysis did not come: another run asks for it again."""
    names = program_digests(adaptive)
    return [
        _Writer(
            one.source,
            one.program,
            names[one.name],
            {"told_type": one.route.document_type, "route_reason": one.reason},
        )
        for one in adaptive.assign(documents)
        if one.program is not None
    ]


def program_digests(adaptive: AdaptiveQueryGenerator) -> dict[str, str]:
    """What the ledger calls each program of an adaptive one: its file's digest, or the one file's and its name."""
    whole = getattr(adaptive, "card", None)
    programs = {**adaptive.programs, adaptive.base_name: adaptive.base}
    return {
        name: f"{whole.digest}/{name}" if whole is not None else program.card.digest
        for name, program in programs.items()
    }


def _entries(writer: _Writer, made: dspy.Prediction, verdicts: Sequence[Judged], content: str) -> Iterator[LedgerEntry]:
    for candidate in made.rejected:
        yield LedgerEntry(
            document_id=writer.source.id,
            candidate=candidate.text,
            accepted=False,
            reason=candidate.reason,
            scores=writer.told,
            program=writer.digest,
            attempt=max(1, candidate.attempt),
            content=content,
        )
    for judged, attempt in zip(verdicts, made.attempts, strict=True):
        yield LedgerEntry(
            document_id=writer.source.id,
            candidate=judged.query or "",
            accepted=judged.accepted,
            reason=judged.reason,
            scores={
                "score": round(judged.score, 6),
                "rank": judged.rank,
                "copy4": round(judged.copy4, 6),
                "naturalness": None if judged.naturalness is None else round(judged.naturalness, 6),
                **writer.told,
            },
            program=writer.digest,
            attempt=attempt,
            content=content,
        )
