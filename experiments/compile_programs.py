"""Compile a query-generation program for each type of your documents: ``inpars-plus compile-programs --help``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from inpars_plus.corpora import Corpus
from inpars_plus.experiments.analysts import ANALYST, fit_analyst
from inpars_plus.experiments.compiling import DIFFERENCES, TypeCompile
from inpars_plus.experiments.exchanging import Exchanges
from inpars_plus.experiments.previews import preview
from inpars_plus.experiments.reports.compile_report import compile_report
from inpars_plus.experiments.selection import choose_types, documents_by_type
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, quality_table
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Steps, Workbench, summary_of
from inpars_plus.foundation import (
    ConfigurationError,
    LmUsage,
    Run,
    Summary,
    digest_file,
    say,
    write_summary,
    write_text,
)
from inpars_plus.lms.scoring import Scorer
from inpars_plus.programs import KeyTerms, list_programs
from inpars_plus.programs.granularities import Granularity
from inpars_plus.programs.registry import is_query_generator

__all__ = ["EARLIER", "TEXT", "CompileSettings", "compile_programs", "main", "run", "tell"]

TEXT = JobText(
    name="compile-programs",
    about=(
        "Compile a program that writes search queries, for each type of your documents. No labels, no key and no GPU\n"
        "are needed. Prompts are searched on train and validation documents; the program found is then scored on test\n"
        "documents that it never saw, beside the uncompiled one, the best single prompt and cheats without a model.\n"
        "A directory holds the programs of one command: those of other types go to its folder 'earlier', one of the\n"
        "same type is replaced."
    ),
    examples=(
        ("The documents that every machine has", "inpars-plus compile-programs --corpus python-docs --out runs/docs"),
        (
            "A folder of your own; what it would take",
            "inpars-plus compile-programs --corpus notes/ --out runs/notes --dry-run",
        ),
        (
            "Two types, a program each",
            "inpars-plus compile-programs --corpus faq=faq.csv:faq-answer --corpus news=news.jsonl:news \\\n"
            "      --by-type --out runs/both",
        ),
        (
            "From programs that were compiled for other documents: less than a third of the calls",
            "inpars-plus compile-programs --corpus memos/ --warm-start runs/notes --out runs/memos",
        ),
        (
            "With a model on a server of your own",
            "inpars-plus compile-programs --corpus notes/ --out runs/notes --lm openai/my-model \\\n"
            "      --api-base http://localhost:8000/v1 --max-tokens-spent 2000000",
        ),
    ),
)


EARLIER = "earlier"
"""Folder of a run for programs that an earlier run left there, of types that this one does not compile."""


class CompileSettings(BenchSettings):
    """Settings of ``compile-programs``."""

    doc_type: tuple[str, ...] = option("compile for this type of document only; repeatable", metavar="TYPE")
    by_type: bool = option("compile a program for each type of document")
    analyst: bool = option("with several types, also fit what tells them apart, for generate-queries --adaptive")
    cross_types: bool = option("with several types, also score each program on the other types")
    exchange: bool = option(
        "with several types, let a type take over the program of another one where that does better on its validation "
        "documents; up to 30% of --budget more"
    )
    granularity: Granularity = option(
        "what a query asks for: the document, a passage or a sentence of it, or it with a constraint on its metadata"
    )
    optimizer: Literal["miprov2", "bootstrap", "bootstrap-random-search", "gepa", "adapt"] = option(
        "how prompts are searched"
    )
    warm_start: tuple[Path, ...] = option(
        "compiled programs to start from, for less than a third of --budget; a file or directory, repeatable; the "
        "nearest one's instruction stays, so that --optimizer has nothing to do and --prompt-lm is refused",
        metavar="PATH",
        default=(),
    )
    human: Path | None = option(
        "BEIR directory with queries that people wrote; those for train documents are tried as demonstrations, first",
        metavar="DIR",
        default=None,
    )
    budget: int = option("language model calls for compiling, a type", metavar="N", gt=0)
    prompt_lm: str | None = option(
        "a model that writes instructions, instead of the pool", metavar="NAME", default=None
    )
    prompt_api_base: str | None = option(
        "its address; without one, --api-base where it is of the same provider as --lm", metavar="URL", default=None
    )
    train_documents: int = option("prompts learn from so many documents at most, a type", metavar="N", ge=4)
    validation_documents: int = option("prompts are chosen on so many at most, a type", metavar="N", ge=4)
    test_documents: int = option("programs are scored on so many at most, a type", metavar="N", ge=4)
    queries_per_document: int = option("queries asked for", metavar="N", ge=1, le=10)
    dry_run: bool = option("only tell calls, tokens, minutes and cost; no model is called, nothing is written")


def compile_programs(
    settings: CompileSettings,
    *,
    make_lm: MakeLm | None = None,
    scorer: Scorer | None = None,
    spent: LmUsage | None = None,
) -> Summary | None:
    """Compile, score, and write programs, summary and report.

    Args:
        settings: of the job.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.
        spent: what other runs under the same caps came to.

    Returns:
        The summary that was written; ``None`` after a dry run.

    Raises:
        ConfigurationError: the settings do not go together.
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    if settings.warm_start and settings.prompt_lm is not None:
        raise ConfigurationError(
            "a warm start keeps the instruction of the nearest program, and there is none for a model to write",
            place="--prompt-lm",
            remedy="Leave it out, or leave out --warm-start",
        )
    out = settings.out.resolve()
    if any(out in (path.resolve(), *path.resolve().parents) for path in settings.warm_start):
        raise ConfigurationError(
            "a warm start from the directory that is written to would begin from itself when it goes on",
            place="--warm-start",
            remedy="Name another directory with --out",
        )
    if settings.human is not None and settings.granularity != "document":
        raise ConfigurationError(
            "people's queries are of whole documents, and cannot be shown for parts of them",
            place="--human",
            remedy="Leave it out, or leave out --granularity",
        )
    if settings.dry_run:
        with contextlib.closing(Workbench(settings, directory=None, make_lm=make_lm, scorer=scorer)) as bench:
            print(preview(settings, bench, bench.corpus, _documents(settings, bench.corpus)))
        return None
    parts: dict[str, Any] = {"make_lm": make_lm, "scorer": scorer, "spent": spent}
    with (
        Run(settings.out) as run,
        contextlib.closing(Workbench(settings, directory=run.directory, **parts)) as bench,
    ):
        return _Job(settings, bench, Steps(run)).do()


class _Job:
    def __init__(self, settings: CompileSettings, bench: Workbench, steps: Steps) -> None:
        self.settings = settings
        self.bench = bench
        self.steps = steps

    def do(self) -> Summary:
        corpus = self.bench.corpus
        say(f"{len(corpus):,} documents: {', '.join(f'{name} {count:,}' for name, count in corpus.types().items())}")
        documents = _documents(self.settings, corpus)
        start = warm_programs(self.settings.warm_start)
        key_terms = self._key_terms(corpus)
        jobs = [
            TypeCompile(name, drawn, key_terms, self.settings, self.bench, self.steps, start=start)
            for name, drawn in documents.items()
        ]
        for job in jobs:
            job.check()
        files = [job.file for job in jobs]
        # First, because it needs documents alone: what is wrong with it shows before compiles are paid for.
        if self._fit_analyst(jobs):
            files.append(ANALYST)
        found = {job.doc_type: self._compile(job) for job in jobs}
        exchanges = Exchanges(jobs, found, self.settings, self.bench, self.steps)
        found = {job.doc_type: exchanges.do(job.doc_type) for job in jobs}
        results = {job.doc_type: self._scored(job, found[job.doc_type]) for job in jobs}
        if self.settings.cross_types and len(jobs) > 1:
            for job in jobs:
                results[job.doc_type]["test"]["other_programs"] = self._other_programs(job, jobs)
        self._set_earlier_aside(jobs)
        summary = summary_of(
            self.steps,
            settings=self.bench.redacted(),
            seed=self.settings.seed,
            hashes={
                "corpus": corpus.digest(),
                **{file: digest_file(self.settings.out / file) for file in files},
            },
            lm=self.bench.usage(),
            results=results,
        )
        write_summary(self.settings.out, summary)
        write_text(self.settings.out / "report.html", compile_report(summary, jobs))
        return summary

    def _fit_analyst(self, jobs: Sequence[TypeCompile]) -> bool:
        """Whether there is one in the end; an analyst of other settings would be used without a word."""
        if self.settings.analyst and len(jobs) > 1:
            known = [one for job in jobs for one in (*job.documents.train, *job.documents.validation)]
            fit_analyst(known, steps=self.steps, seed=self.settings.seed)
            return True
        old = self.settings.out / ANALYST
        if old.exists():
            old.unlink()
            say(f"{old} is removed: this run fits no analyst, and that of the run before may know other types")
        return False

    def _set_earlier_aside(self, jobs: Sequence[TypeCompile]) -> None:
        """Move programs of other types away; who generates or warm-starts from this folder would read them too.

        With ``--doc-type`` some types of a corpus are compiled on purpose, and programs of its others stay.
        """
        out, own = self.settings.out, {self.settings.out / job.file for job in jobs}
        kept = set(self.bench.corpus.types()) if self.settings.doc_type else set()
        for card in list_programs(out / "compiled"):
            path = card.path
            if path is None or path in own or card.document_type in kept or not is_query_generator(card.program):
                continue
            # With its digest, so that nothing that was paid for is ever replaced.
            aside = out / EARLIER / f"{path.stem}-{card.digest[:8]}.json"
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
            say(f"{path} is moved to {aside}: this run did not compile it")

    def _key_terms(self, corpus: Corpus) -> KeyTerms:
        inputs = {"corpus": corpus.digest()}
        return KeyTerms.from_state(self.steps.do("key terms", inputs, lambda: KeyTerms.fit(corpus.documents()).state()))

    @staticmethod
    def _compile(job: TypeCompile) -> dict[str, Any]:
        say(f"Compiling for '{job.doc_type}'")
        return job.compile()

    @staticmethod
    def _scored(job: TypeCompile, found: dict[str, Any]) -> dict[str, Any]:
        rows = {row: job.score(row, job.program(row)) for row in job.table}
        cheats = job.cheats()
        job.save(found, rows)
        drawn = job.documents
        return {
            "program": job.file,
            "documents": {
                "train": len(drawn.train),
                "validation": len(drawn.validation),
                "test": len(drawn.test),
            },
            **found,
            "test": {
                **rows,
                "difference": job.difference("before", "after"),
                job.baseline_difference: job.difference(job.baseline, "after"),
                **({} if job.donor is None else {"difference_own": job.difference("own", "after")}),
                "cheats": cheats,
            },
        }

    @staticmethod
    def _other_programs(job: TypeCompile, jobs: Sequence[TypeCompile]) -> dict[str, Any]:
        """The programs compiled for the other types on this type's test documents; the difference is ours less theirs.

        What another type took over is not its own: after an exchange two rows would be of one program.
        """
        found = {}
        for other in jobs:
            if other is not job:
                row = f"program-of-{other.name}"
                scored = job.score(row, other.program("own"))
                found[other.doc_type] = {**scored, "difference": job.difference(row, "after")}
        return found


def _documents(settings: CompileSettings, corpus: Corpus) -> Any:
    types = choose_types(corpus, settings.doc_type, by_type=settings.by_type)
    counts = {
        "train": settings.train_documents,
        "validation": settings.validation_documents,
        "test": settings.test_documents,
    }
    skip_small = settings.by_type and not settings.doc_type
    constrained = settings.granularity == "constraint"
    return documents_by_type(
        corpus, types, counts=counts, seed=settings.seed, skip_small=skip_small, constrained=constrained
    )


def tell(settings: CompileSettings, summary: Summary) -> str:
    """Tables of what a compile gave, for a terminal."""
    parts = []
    for doc_type, result in summary.results.items():
        test = result["test"]
        # The middle row is the best pool prompt, or after a warm start the nearest program.
        baseline = "nearest" if "nearest" in test else "best_pool_prompt"
        label = baseline.replace("_", " ")
        rows = {"before": test["before"], label: test[baseline]}
        if "own" in test:
            rows["own, before the exchange"] = test["own"]
        rows["after"] = test["after"]
        cheats = {f"cheat: {name.replace('_', ' ')}": row for name, row in test["cheats"].items()}
        others = {f"program of {name}": row for name, row in test.get("other_programs", {}).items()}
        parts.append(
            f"\n{doc_type}: {result['documents']['test']} test documents\n\n"
            f"{quality_table({**rows, **others, **cheats})}\n\n"
            f"score, after less before:           {interval(test['difference'])}\n"
            f"{f'score, after less {label}:':<35} {interval(test[DIFFERENCES[baseline]])}"
        )
        if "difference_own" in test:
            parts.append(f"score, after less own:              {interval(test['difference_own'])}")
            parts.append(f"the program was compiled for '{result['exchange']['taken_from']}'")
    out = settings.out
    files = "\n".join(f"  {out / result['program']}" for result in summary.results.values())
    if ANALYST in summary.hashes:
        files += f"\nanalyst: {out / ANALYST}"
    parts.append(f"\ncompiled programs:\n{files}\nreport:   {out / 'report.html'}\nsummary:  {out / 'summary.json'}")
    return "\n".join(parts)


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(CompileSettings, TEXT, arguments)
    summary = compile_programs(settings)
    if summary is not None:
        print(tell(settings, summary))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
