"""From the documents that every machine has to compiled programs, queries and a report: ``inpars-plus quickstart``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from inpars_plus.experiments.compile_programs import CompileSettings, compile_programs
from inpars_plus.experiments.compile_programs import tell as tell_compiled
from inpars_plus.experiments.generate_queries import GenerateSettings, generate_queries
from inpars_plus.experiments.generate_queries import tell as tell_generated
from inpars_plus.experiments.settings import JobSettings, JobText, make_settings, option, parse_settings
from inpars_plus.experiments.tune_generator import TuneSettings, tune_generator
from inpars_plus.experiments.tune_generator import tell as tell_tuned
from inpars_plus.foundation import say

__all__ = ["TEXT", "QuickstartSettings", "main", "quickstart", "run"]

TEXT = JobText(
    name="quickstart",
    about=(
        "Try everything on the documentation of Python's standard library, which every machine has: index it, compile\n"
        "a query-generation program with the embedded model, score it on documents that it never saw, and generate\n"
        "queries with it. Less than eight minutes on two cores, no key, no network."
    ),
    examples=(
        ("Everything with its defaults", "inpars-plus quickstart"),
        ("And a model tuned on what retrieval rewards", "inpars-plus quickstart --tune"),
        ("Another directory and seed", "inpars-plus quickstart --out runs/second --seed 2"),
    ),
)

_CORPUS = "python-docs"


class QuickstartSettings(JobSettings):
    """Settings of ``quickstart``."""

    budget: int = option("language model calls for compiling", metavar="N", gt=0)
    test_documents: int = option("programs are scored on so many documents", metavar="N", ge=4)
    documents: int = option("queries are generated for so many documents at the end", metavar="N", gt=0)
    tune: bool = option("tune the model on what retrieval rewards before queries are generated; 10 to 20 minutes more")


def quickstart(settings: QuickstartSettings) -> str:
    """Compile, tune if that is wanted, then generate.

    Returns:
        The tables, and where the files are.

    Raises:
        InParsError: see its kinds; the same settings go on.
    """
    compiling = make_settings(
        CompileSettings,
        "compile-programs",
        corpus=_CORPUS,
        out=settings.out / "compile",
        seed=settings.seed,
        budget=settings.budget,
        test_documents=settings.test_documents,
    )
    compiled = compile_programs(compiling)
    tables = [] if compiled is None else [tell_compiled(compiling, compiled)]
    tuned = {}
    if settings.tune:
        say("Tuning the model for the compiled program")
        tuning = make_settings(
            TuneSettings,
            "tune-generator",
            corpus=_CORPUS,
            programs=compiling.out,
            out=settings.out / "tune",
            seed=settings.seed,
            test_documents=settings.test_documents,
        )
        summary = tune_generator(tuning)
        tables += [] if summary is None else [tell_tuned(tuning, summary)]
        tuned = {"lm": str(tuning.out / "generator")}
    say("Generating queries with the compiled program")
    generating = make_settings(
        GenerateSettings,
        "generate-queries",
        corpus=_CORPUS,
        programs=compiling.out / "compiled",
        out=settings.out / ("queries-tuned" if settings.tune else "queries"),
        seed=settings.seed,
        limit=settings.documents,
        **tuned,
    )
    generated = generate_queries(generating)
    return "\n".join([*tables, tell_generated(generating, generated)])


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    print(quickstart(parse_settings(QuickstartSettings, TEXT, arguments)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
