"""Propose document types for a mixed corpus that states none: ``inpars-plus discover-types --help``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inpars_plus.corpora import Corpus, Document, parent_id_of, sample, write_documents
from inpars_plus.experiments.settings import CorpusSettings, JobSettings, JobText, option, parse_settings
from inpars_plus.experiments.tables import number, text_table
from inpars_plus.experiments.type_names import headline, type_terms, unique_names
from inpars_plus.experiments.vectors import CachedEncoder
from inpars_plus.experiments.workbench import Steps, corpus_of, summary_of
from inpars_plus.foundation import JSON, Run, Summary, batched, digest_file, say, write_lines, write_summary
from inpars_plus.optimizers.routing import LEAST_TO_PROPOSE, ProposedTypes, fit_type_router, propose_types
from inpars_plus.programs.form import form_features
from inpars_plus.retrieval.embeddings import TextEncoder
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["TEXT", "DiscoverSettings", "discover_types", "main", "run", "tell"]

TEXT = JobText(
    name="discover-types",
    about=(
        "Propose document types for a mixed corpus, and how many there are. What is apart in form and in meaning is\n"
        "of two types; topics alone make none. No labels and no language model are needed. Each type gets a name from\n"
        f"its words and typical titles. At least {LEAST_TO_PROPOSE} documents are needed; a type that is less than a\n"
        "hundredth of the corpus is not found. The documents are written again with their proposed types, so\n"
        "that compile-programs --by-type reads them."
    ),
    examples=(
        ("A mixed folder", "inpars-plus discover-types --corpus notes/ --out runs/notes-types"),
        (
            "Then a program for each proposed type",
            "inpars-plus compile-programs --corpus notes=runs/notes-types/corpus/notes.jsonl --by-type \\\n"
            "      --out runs/notes",
        ),
        (
            "Several corpora with the types that they state hidden; tells how well both agree",
            "inpars-plus discover-types --corpus faq=faq.csv --corpus news=news.jsonl --out runs/both-types",
        ),
    ),
)

_TYPICAL = 3
_CHUNK = 2_048


class DiscoverSettings(JobSettings, CorpusSettings):
    """Settings of ``discover-types``."""

    sample: int = option(
        "propose on so many documents at most; the others are sorted", metavar="N", ge=LEAST_TO_PROPOSE
    )


def discover_types(settings: DiscoverSettings, *, encoder: TextEncoder | None = None) -> Summary:
    """Propose types, and write them beside the documents.

    Args:
        settings: of the job.
        encoder: of documents, instead of the embedded one.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds. Vectors that were made are kept; the same command goes on from there.
    """
    with Run(settings.out) as run:
        corpus = corpus_of(settings)
        say(f"{len(corpus):,} documents")
        job = _Job(settings, corpus, CachedEncoder(encoder or load_encoder()))
        inputs: dict[str, JSON] = {
            "corpus": corpus.digest(),
            "sections": list(corpus.names),
            "sample": settings.sample,
            "seed": settings.seed,
            "encoder": job.encoder.digest,
        }
        steps = Steps(run)
        results = steps.do("propose types", inputs, job.do, files=["types.jsonl", *job.files.values()])
        summary = summary_of(
            steps,
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes={
                "corpus": corpus.digest(),
                **{name: digest_file(settings.out / name) for name in ("types.jsonl", *job.files.values())},
            },
            results=results,
        )
        write_summary(settings.out, summary)
        return summary


class _Job:
    def __init__(self, settings: DiscoverSettings, corpus: Corpus, encoder: CachedEncoder) -> None:
        self.settings, self.corpus, self.encoder = settings, corpus, encoder
        self.files = {name: f"corpus/{name}.jsonl" for name in corpus.names}

    def do(self) -> dict[str, Any]:
        filled = (document for document in self.corpus.documents() if not document.is_empty)
        drawn = sample(filled, self.settings.sample, self.settings.seed)
        drawn.sort(key=lambda document: document.id)
        # Before anything is encoded, which takes long: too few documents are refused by this too.
        form = form_features(drawn)
        found = propose_types(
            form, lambda: self.encoder.encode([document.full_text for document in drawn]), seed=self.settings.seed
        )
        terms = type_terms(drawn, found.labels.tolist(), found.count)
        names = unique_names(terms)
        types = {one.id: names[label] for one, label in zip(drawn, found.labels.tolist(), strict=True)}
        types |= self._others(drawn, types)
        for document in self.corpus.documents():
            types.setdefault(document.id, names[0])  # an empty document; somewhere it must be
        self._write(types)
        return self._results(drawn, found, names, terms, types)

    def _others(self, drawn: Sequence[Document], types: Mapping[str, str]) -> dict[str, str]:
        """Types of the documents that were not drawn: those that they are most like."""
        found: dict[str, str] = {}
        rest = (one for one in self.corpus.documents() if one.id not in types and not one.is_empty)
        if len(set(types.values())) < 2:
            return {one.id: next(iter(types.values())) for one in rest}
        router = None
        for chunk in batched(rest, _CHUNK):
            if router is None:
                known = [one.model_copy(update={"doc_type": types[one.id]}) for one in drawn]
                router = fit_type_router(known, self.encoder, seed=self.settings.seed).router
            for document, route in zip(chunk, router.route(chunk), strict=True):
                found[document.id] = str(route.nearest)
        return found

    def _write(self, types: Mapping[str, str]) -> None:
        out = self.settings.out
        write_lines(
            out / "types.jsonl", ({"document_id": one, "doc_type": doc_type} for one, doc_type in types.items())
        )
        for name, file in self.files.items():
            write_documents(out / file, self._section(name, types))

    def _section(self, name: str, types: Mapping[str, str]) -> Iterator[Document]:
        """The documents of one corpus under their own ids, so that splits, which go by them, stay as they are."""
        prefix = f"{name}/" if len(self.corpus.names) > 1 else ""
        for document in self.corpus.documents():
            if not document.id.startswith(prefix):
                continue
            update: dict[str, Any] = {"id": document.id.removeprefix(prefix), "doc_type": types[document.id]}
            parent = parent_id_of(document)
            if parent != document.id:
                update["metadata"] = {**document.metadata, "parent_id": parent.removeprefix(prefix)}
            yield document.model_copy(update=update)

    def _results(
        self,
        drawn: Sequence[Document],
        found: ProposedTypes,
        names: Sequence[str],
        terms: Sequence[Sequence[str]],
        types: Mapping[str, str],
    ) -> dict[str, Any]:
        from sklearn.metrics import adjusted_rand_score

        described = {}
        for label, name in enumerate(names):
            members = [at for at, own in enumerate(found.labels.tolist()) if own == label]
            typical = sorted(members, key=lambda at: (-found.centrality[at], drawn[at].id))[:_TYPICAL]
            described[name] = {
                "documents": sum(doc_type == name for doc_type in types.values()),
                "terms": list(terms[label]),
                "typical": [headline(drawn[at]) for at in typical],
            }
        stated = {one.id: one.doc_type for one in self.corpus.documents() if not one.is_empty}
        confusion: dict[str, dict[str, int]] = {name: {} for name in self.corpus.types()}
        for identifier, doc_type in stated.items():
            row = confusion[doc_type]
            row[types[identifier]] = row.get(types[identifier], 0) + 1
        return {
            "documents": len(types),
            "types": described,
            "valleys": [
                {"types": [names[one], names[other]], "form": valley.form, "meaning": valley.meaning}
                for (one, other), valley in found.valleys.items()
            ],
            "stated": {
                "types": confusion,
                "adjusted_rand_index": adjusted_rand_score(list(stated.values()), [types[one] for one in stated]),
            },
        }


def tell(settings: DiscoverSettings, summary: Summary) -> str:
    """What was found, for a terminal."""
    results = summary.results
    types = results["types"]
    rows = [[name, f"{one['documents']:,}", one["typical"][0]] for name, one in types.items()]
    parts = [
        f"\n{len(types)} document {'type' if len(types) == 1 else 'types'} in {results['documents']:,} documents\n",
        text_table(["type", "documents", "a typical one"], rows, numbers={1}),
    ]
    stated = results["stated"]
    if len(stated["types"]) > 1:
        index = number(stated["adjusted_rand_index"])
        parts.append(f"\nagreement with the {len(stated['types'])} types that the documents state: {index} "
                     "(adjusted Rand index)")  # fmt: skip
    # Not what lies in the folder: a run of other corpora before may have left files there.
    sections = sorted(settings.out / name for name in summary.hashes if name.startswith("corpus/"))
    corpora = " ".join(f"--corpus {path.stem}={path}" for path in sections)
    parts.append(
        f"\ntypes:   {settings.out / 'types.jsonl'}\nsummary: {settings.out / 'summary.json'}\n\n"
        f"next:    inpars-plus compile-programs {corpora} --by-type --out DIR"
    )
    return "\n".join(parts)


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(DiscoverSettings, TEXT, arguments)
    print(tell(settings, discover_types(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
