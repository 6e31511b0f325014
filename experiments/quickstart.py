"""From the documents that every machine has to compiled programs, queries and a report: ``inpars-plus quickstart``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from inpars_plus.experiments.compile_programs import CompileSettings, compile_programs
from inpars_plus.experiments.compile_programs import tell as tell_compiled
from inpars_plus.experiments.generate_queries import GenerateSettings, generate_queries
from inpars_plus.experiments.generate_queries import tell as tell_generated
from inpars_plus.experiments.settings import JobSettings, JobText, make_settings, option, parse_settings
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
        ("Another directory and seed", "inpars-plus quickstart --out runs/second --seed 2"),
    ),
)

_CORPUS = "python-docs"


class QuickstartSettings(JobSettings):
    """Settings of ``quickstart``."""

    budget: int = option("language model calls for compiling", metavar="N", gt=0)
    test_documents: int = option("programs are scored on so many documents", metavar="N", ge=4)
    documents: int = option("queries are generated for so many documents at the end", metavar="N", gt=0)


def quickstart(settings: QuickstartSettings) -> str:
    """Compile, then generate.

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
    say("Generating queries with the compiled program")
    generating = make_settings(
        GenerateSettings,
        "generate-queries",
        corpus=_CORPUS,
        programs=compiling.out / "compiled",
        out=settings.out / "queries",
        seed=settings.seed,
        limit=settings.documents,
    )
    generated = generate_queries(generating)
    tables = [] if compiled is None else [tell_compiled(compiling, compiled)]
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
