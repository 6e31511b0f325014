"""Let compiled programs write queries for your documents, and keep the good ones: ``inpars-plus generate-queries``."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document, Ledger, sample
from inpars_plus.corpora.judgments import REFERENCE_FILE
from inpars_plus.experiments.analysts import load_adaptive
from inpars_plus.experiments.generating import (
    Outcome,
    contents_of,
    generate,
    program_digests,
    write_outcome,
    written_by,
)
from inpars_plus.experiments.reports.generation_report import generation_report
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import text_table
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Workbench
from inpars_plus.foundation import (
    ConfigurationError,
    ProgramFileError,
    Run,
    RunError,
    Summary,
    digest,
    digest_file,
    peak_memory_mb,
    read_json,
    say,
    write_json,
    write_summary,
    write_text,
)
from inpars_plus.lms.scoring import Scorer
from inpars_plus.programs import AdaptiveQueryGenerator, load_program, programs_of
from inpars_plus.programs.granularities import Granularity, granularity_of, of_granularity
from inpars_plus.programs.outcomes import NOT_ASKED
from inpars_plus.programs.registry import is_query_generator

__all__ = ["RECORD", "TEXT", "GenerateSettings", "generate_queries", "main", "run", "tell"]

TEXT = JobText(
    name="generate-queries",
    about=(
        "Let compiled programs write search queries for your documents. Every candidate is checked, searched with and\n"
        "entered into a ledger with the reason why it was kept or dropped; the kept ones become a BEIR directory that\n"
        "other tools train on. Run it again on a grown corpus, and it generates for new and changed documents\n"
        "only, and for those that the model failed for."
    ),
    examples=(
        (
            "With the programs of compile-programs",
            "inpars-plus generate-queries --corpus python-docs --programs runs/docs/compiled --out runs/docs-queries",
        ),
        (
            "Three queries each for 500 documents",
            "inpars-plus generate-queries --corpus notes/ --programs runs/notes/compiled --out runs/notes-queries \\\n"
            "      --queries-per-document 3 --limit 500",
        ),
        (
            "About single sentences, or with the source, author, date or topic in the query's words",
            "inpars-plus generate-queries --corpus news/ --programs runs/news/compiled --out runs/news-sentences \\\n"
            "      --granularity sentence",
        ),
        (
            "For documents of several types that do not state theirs",
            "inpars-plus generate-queries --corpus mixed/ --programs runs/both --adaptive --out runs/mixed-queries",
        ),
    ),
)

RECORD = "generation.json"
"""Says with what a directory was generated, so that a ledger never mixes two ways."""

_ASKED_PLAINLY = {"max_reply_tokens": "default", "single_stream": False}
"""What a record says where nothing was set."""

_ANOTHER_DIRECTORY = "Give another directory with --out"


class GenerateSettings(BenchSettings):
    """Settings of ``generate-queries``."""

    programs: Path = option("a directory of compiled programs, or the file of one for all types", metavar="PATH")
    queries_per_document: int = option("queries asked for", metavar="N", ge=1, le=10)
    granularity: Granularity | None = option(
        "what a query asks for: the document, a passage or a sentence of it, or it with a constraint on its metadata; "
        "by default what the programs were compiled for",
        default=None,
    )
    adaptive: bool = option("an analyst tells the types of documents, whatever they state; needs several programs")
    limit: int | None = option("generate for so many documents only, drawn by --seed", metavar="N", default=None, gt=0)


def generate_queries(
    settings: GenerateSettings, *, make_lm: MakeLm | None = None, scorer: Scorer | None = None
) -> Summary:
    """Generate, and write ledger, queries, judgments, summary and report.

    Args:
        settings: of the job.
        make_lm: makes the language model instead of its name.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds. What is finished is kept and its files are written; the same settings go on.
    """
    with (
        Run(settings.out) as run,
        contextlib.closing(Workbench(settings, directory=run.directory, make_lm=make_lm, scorer=scorer)) as bench,
    ):
        return _Job(settings, bench).do()


class _Job:
    def __init__(self, settings: GenerateSettings, bench: Workbench) -> None:
        self.settings = settings
        self.bench = bench
        self.ledger = Ledger(settings.out / "ledger.jsonl")
        self.record = settings.out / RECORD
        self.adaptive: AdaptiveQueryGenerator | None = None
        self.contents: dict[str, str] = {}

    def do(self) -> Summary:
        started = time.monotonic()
        settings, corpus = self.settings, self.bench.corpus
        if settings.adaptive:
            loaded = load_adaptive(settings.programs, self.bench.lm)
            digests = program_digests(loaded)
            self.adaptive = self._adaptive_of_granularity(loaded)
            programs: dict[str, Any] = dict(self.adaptive.programs)
        else:
            programs = self._of_granularity(_programs(settings.programs, corpus.types(), self.bench))
            digests = {name: program.card.digest for name, program in programs.items()}
        writers = [*programs.values(), *([] if self.adaptive is None else [self.adaptive.base])]
        record = self._record(digests, " and ".join(sorted({granularity_of(one) for one in writers})))
        write_json(self.record, record)
        self.contents = contents_of(corpus, writers)
        there = self.ledger.documents_done()
        done = {name for name, content in self.contents.items() if there.get(name) == content}
        documents = [document for document in self._wanted() if document.id not in done]
        known = f", {len(done):,} in the ledger already" if done else ""
        changed = sum(document.id in there for document in documents)
        anew = (
            f", {changed:,} of them again, because the ledger has them with another text or with none"
            if changed
            else ""
        )
        say(f"{len(corpus):,} documents{known}, {len(documents):,} to generate for{anew}")
        failed = 0
        try:
            if documents:
                failed = generate(
                    settings, self.bench, programs, documents, self.ledger, self.contents, adaptive=self.adaptive
                )
        finally:
            # Also when a cap or a dead model ends the run: what was finished is there to be used.
            outcome = write_outcome(settings.out, corpus, self.ledger, self.contents)
            record["seconds"] = round(record["seconds"] + time.monotonic() - started, 1)
            record["peak_memory_mb"] = max(record["peak_memory_mb"], peak_memory_mb())
            write_json(self.record, record)
        if failed:
            say(f"The model failed for {failed:,} documents; run the same command again to ask for them")
        return self._finish(outcome, digests, record, failed)

    def _finish(self, outcome: Outcome, digests: Mapping[str, str], record: Mapping[str, Any], failed: int) -> Summary:
        settings, corpus = self.settings, self.bench.corpus
        results = {**outcome.results(settings.queries_per_document), "documents_failed": failed}
        if self.adaptive is not None:
            results["written_by"] = written_by(self.ledger, digests, self.contents)
        written = ("ledger.jsonl", "queries.jsonl", "qrels/train.tsv", REFERENCE_FILE)
        summary = Summary(
            settings=self.bench.redacted(),
            seed=settings.seed,
            hashes={
                "corpus": corpus.digest(),
                **{f"program {name}": digest for name, digest in digests.items()},
                **{name: digest_file(settings.out / name) for name in written if (settings.out / name).exists()},
            },
            seconds=record["seconds"],
            peak_memory_mb=record["peak_memory_mb"],
            lm=self.bench.usage(),
            results=results,
        )
        write_summary(settings.out, summary)
        write_text(settings.out / "report.html", generation_report(summary, outcome, corpus))
        return summary

    def _wanted(self) -> list[Document]:
        corpus, limit = self.bench.corpus, self.settings.limit
        return list(corpus.documents()) if limit is None else sample(corpus.documents(), limit, self.settings.seed)

    def _of_granularity(self, programs: Mapping[str, Any]) -> dict[str, Any]:
        return of_granularity(programs, self.settings.granularity, self.bench.corpus.documents())

    def _adaptive_of_granularity(self, given: AdaptiveQueryGenerator) -> AdaptiveQueryGenerator:
        programs = self._of_granularity({**given.programs, given.base_name: given.base})
        base = programs[given.base_name]
        made = AdaptiveQueryGenerator({name: programs[name] for name in given.programs}, base, given.analyst)
        if hasattr(given, "card"):
            made.card = given.card
        return made

    def _record(self, programs: Mapping[str, str], granularity: str) -> dict[str, Any]:
        """What this directory is generated with; refuses to mix two ways of generating in one ledger."""
        made_with: dict[str, Any] = {
            "language model": str(self.bench.lm.model),
            "server": self.bench.address(self.settings.lm) or "default",
            **{**_ASKED_PLAINLY, **self.bench.asked_with},
            "retriever": self.bench.retriever_key,
            "queries_per_document": self.settings.queries_per_document,
            "granularity": granularity,
            "choice of programs": "stated types" if self.adaptive is None else _analyst_digest(self.adaptive),
        }
        if self.adaptive is not None:
            made_with["base program"] = self.adaptive.base_name
        new: dict[str, Any] = {
            "format_version": 1,
            "made_with": made_with,
            "programs": dict(programs),
            "seconds": 0.0,
            "peak_memory_mb": 0,
        }
        if not self.record.exists():
            return new
        old = read_json(self.record, kind="record of a generation")
        if not isinstance(old, dict) or old.get("format_version") != 1:
            raise RunError(
                "the record of the generation is of another version", place=str(self.record), remedy=_ANOTHER_DIRECTORY
            )
        if all(entry.reason in NOT_ASKED for entry in self.ledger.entries()):
            # Nothing was generated that another way could be mixed with: the run ended before, could read no reply, or
            # passed over all documents.
            return {**new, "seconds": old["seconds"], "peak_memory_mb": old["peak_memory_mb"]}
        # Ledgers that were begun before there was a choice are about documents, by the program of the stated type.
        begun = {"granularity": "document", "choice of programs": "stated types", **self._asked_before()}
        begun |= old["made_with"]
        now = {**made_with, **{f"program for '{name}'": one for name, one in programs.items()}}
        then = {**begun, **{f"program for '{name}'": one for name, one in old["programs"].items()}}
        other = next((name for name in now if name in then and then[name] != now[name]), None)
        if other is not None:
            raise ConfigurationError(
                f"these queries were generated with another {other}: {_brief(then[other])}, not {_brief(now[other])}",
                place=str(self.settings.out),
                remedy=_ANOTHER_DIRECTORY,
            )
        return {**old, "made_with": made_with, "programs": {**old["programs"], **programs}}

    def _asked_before(self) -> dict[str, Any]:
        """How the last run here asked, for records that do not say it; its summary does, if it came to its end."""
        if not (self.settings.out / "summary.json").exists():
            return {}
        settings = read_json(self.settings.out / "summary.json", kind="summary")["settings"]
        return {name: settings.get(name) or plain for name, plain in _ASKED_PLAINLY.items()}


def _analyst_digest(adaptive: AdaptiveQueryGenerator) -> str:
    analyst: Any = adaptive.analyst
    return digest(type(analyst).__name__, analyst.dump_settings())


def _programs(path: Path, types: Mapping[str, int], bench: Workbench) -> dict[str, Any]:
    """A program for each document type."""
    if not path.is_dir():
        program = load_program(path, lm=bench.lm)
        if not is_query_generator(program.card.program):
            chooses = isinstance(program, AdaptiveQueryGenerator)
            raise ConfigurationError(
                "the file holds several programs and chooses among them"
                if chooses
                else f"the file holds a {program.card.program}, which writes no queries",
                place=str(path),
                remedy="Add --adaptive" if chooses else "Name a program that compile-programs wrote, or its directory",
            )
        return dict.fromkeys(types, program)
    cards = programs_of(path)
    if len(cards) == 1:
        ((name, card),) = cards.items()
        program = load_program(str(card.path), lm=bench.lm)
        if set(types) != {name}:
            say(f"The program for '{name}' is used for all documents: {', '.join(types)}")
        return dict.fromkeys(types, program)
    missing = next((name for name in types if name not in cards), None)
    if missing is not None:
        raise ProgramFileError(
            f"none of the {len(cards)} programs is for the document type '{missing}'",
            place=str(path),
            remedy=f"There are programs for {', '.join(cards)}: compile one, name the file of one for all, or let an "
            "analyst choose with --adaptive",
        )
    return {name: load_program(str(card.path), lm=bench.lm) for name, card in cards.items() if name in types}


def _brief(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text


def tell(settings: GenerateSettings, summary: Summary) -> str:
    """What a generation gave, for a terminal."""
    results = summary.results
    rows = [["accepted", f"{results['accepted']:,}"]]
    rows += [[reason.replace("_", " "), f"{count:,}"] for reason, count in results["reasons"].items()]
    table = text_table(["candidates", "number"], rows, numbers={1})
    if "written_by" in results:
        wrote = [
            [name, f"{one['documents']:,}", f"{one['accepted']:,}"]
            for name, one in results["written_by"]["programs"].items()
        ]
        table += f"\n\n{text_table(['program', 'documents', 'accepted'], wrote, numbers={1, 2})}"
    out = settings.out
    return (
        f"\n{results['accepted']:,} queries accepted of {results['asked']:,} asked for "
        f"({results['accepted_share']:.0%}), {results['documents']:,} documents\n\n{table}\n\n"
        f"queries:   {out / 'queries.jsonl'}\njudgments: {out / 'qrels' / 'train.tsv'}\n"
        f"ledger:    {out / 'ledger.jsonl'}\nreport:    {out / 'report.html'}\nsummary:   {out / 'summary.json'}"
    )


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(GenerateSettings, TEXT, arguments)
    print(tell(settings, generate_queries(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
