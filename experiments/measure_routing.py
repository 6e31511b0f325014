r"""How often the offline analyst is right, and what adaptive generation is worth beside every other way to choose.

    python -m inpars_plus.experiments.measure_routing --corpus scifact=BEIR/scifact:scientific-abstract \
        --corpus news=BEIR/news:news --programs runs/mixed --out runs/routing

The analyst is fitted on documents of the train and validation splits, and tells the types of all documents of the test
splits, which it does not see stated. An analyst that is fitted without a type says of how many of its documents that
they are of no known type. With ``--programs``, which ``compile-programs --by-type`` made of the same corpora, queries
are written for the same test documents by adaptive generation, by each program for all, by each document's own type's
program, by the uncompiled one, and by the cheats. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.generate_queries import GenerateSettings
from inpars_plus.experiments.routing_bench import ADAPTIVE, TRUE_TYPE, RoutingBench
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.tables import MEASURES, interval, number, text_table
from inpars_plus.experiments.workbench import MakeLm, Steps, Workbench, summary_of
from inpars_plus.foundation import ConfigurationError, Run, Summary, write_summary
from inpars_plus.lms.scoring import Scorer
from inpars_plus.optimizers.routing.fitting import LEAST_DOCUMENTS

__all__ = ["main", "measure_routing", "tell"]

_LEAST_TEST_DOCUMENTS = 4


def measure_routing(
    settings: GenerateSettings,
    *,
    generation: bool,
    fit_documents: int = 400,
    test_documents: int = 256,
    make_lm: MakeLm | None = None,
    scorer: Scorer | None = None,
) -> Summary:
    """Fit, route, and write queries by every way of choosing.

    Args:
        settings: corpora of two types or more, programs, model, seed and directory.
        generation: whether queries are written; without, only routing is measured, and ``settings.programs`` not read.
        fit_documents: the analyst is fitted on so many of each type at most; 8 or more.
        test_documents: queries are written for so many test documents of each type at most; 4 or more.
        make_lm: makes the language model instead of its name.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written: ``results.routing``, ``results.foreign`` and ``results.generation``.

    Raises:
        ConfigurationError: there is one type only, or a number is too small.
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    for flag, given, least in (
        ("--fit-documents", fit_documents, LEAST_DOCUMENTS),
        ("--test-documents", test_documents, _LEAST_TEST_DOCUMENTS),
    ):
        if given < least:
            raise ConfigurationError(
                f"{given} documents of each type are too few", place=flag, remedy=f"Give {least} or more"
            )
    with (
        Run(settings.out) as run,
        contextlib.closing(Workbench(settings, directory=run.directory, make_lm=make_lm, scorer=scorer)) as bench,
    ):
        if len(bench.corpus.types()) < 2:
            raise ConfigurationError(
                "documents of one type need no analyst", place="--corpus", remedy="Give several, as NAME=PATH:TYPE"
            )
        steps = Steps(run)
        routing = RoutingBench(settings, bench, steps, fit_documents=fit_documents, test_documents=test_documents)
        results: dict[str, Any] = {"routing": routing.routing(), "foreign": routing.foreign()}
        if generation:
            results["generation"] = routing.generation()
        summary = summary_of(
            steps,
            settings={**bench.redacted(), "fit_documents": fit_documents, "test_documents": test_documents},
            seed=settings.seed,
            hashes={"corpus": bench.corpus.digest()},
            lm=bench.usage(),
            results=results,
        )
        write_summary(settings.out, summary)
        return summary


def tell(summary: Summary) -> str:
    """The tables, for a terminal."""
    results = summary.results
    parts = [_routing_table(results["routing"], results["foreign"])]
    if "generation" in results:
        parts.append(_generation_table(results["generation"]))
    return "\n\n".join(parts)


def _routing_table(routing: Mapping[str, Any], foreign: Mapping[str, float]) -> str:
    confusion: Mapping[str, Mapping[str, int]] = routing["confusion"]
    told = [*confusion, *sorted({name for row in confusion.values() for name in row} - set(confusion))]
    head = ["unseen documents", "number", "right", *(f"as {name}" for name in told), "unknown when not fitted"]
    rows = [
        [
            name,
            f"{sum(row.values()):,}",
            number(routing["accuracy"][name]),
            *(f"{row.get(other, 0):,}" for other in told),
            number(foreign.get(name)),
        ]
        for name, row in confusion.items()
    ]
    rows.append(
        ["all", f"{sum(sum(row.values()) for row in confusion.values()):,}", number(routing["accuracy"]["all"])]
    )
    rows[-1] += [""] * (len(head) - 3)
    return text_table(head, rows, numbers=set(range(1, len(head))))


def _generation_table(generation: Mapping[str, Any]) -> str:
    by_type: Mapping[str, Mapping[str, float]] = generation["by_type"]
    types = list(by_type[ADAPTIVE])
    head = ["", *(name.replace("_", " ") for name in MEASURES), *types, "adaptive less it"]
    rows = []
    for row in sorted(generation["rows"], key=lambda row: (row != ADAPTIVE, row != TRUE_TYPE)):
        measures = generation["rows"][row]
        difference = generation["differences"].get(row)
        label = f"{row} (best single)" if row == generation["best_single"] else row
        rows.append(
            [
                label,
                *(number(measures[name]) for name in MEASURES),
                *(number(by_type[row][name]) for name in types),
                interval(difference) if difference else "",
            ]
        )
    for name, measures in generation["cheats"].items():
        cells = [number(measures[measure]) for measure in MEASURES]
        rows.append([f"cheat: {name.replace('_', ' ')}", *cells, *[""] * (len(types) + 1)])
    return text_table(head, rows, numbers=set(range(1, len(head))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpus", action="append", required=True, metavar="NAME=PATH:TYPE", help="documents of one type; repeatable"
    )
    parser.add_argument("--programs", type=Path, help="of compile-programs; without, only routing is measured")
    parser.add_argument("--out", type=Path, default=Path("runs/routing"), help="directory (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default %(default)s)")
    parser.add_argument("--lm", default="embedded", help="writes queries (default %(default)s)")
    parser.add_argument("--retriever", default="hybrid", help="(default %(default)s)")
    parser.add_argument("--fit-documents", type=int, default=400, help="of each type, at most (default %(default)s)")
    parser.add_argument("--test-documents", type=int, default=256, help="of each type, at most (default %(default)s)")
    given = parser.parse_args(arguments)
    settings = make_settings(
        GenerateSettings,
        "generate-queries",
        corpus=tuple(given.corpus),
        programs=given.programs or given.out,
        out=given.out,
        seed=given.seed,
        lm=given.lm,
        retriever=given.retriever,
    )
    summary = measure_routing(
        settings,
        generation=given.programs is not None,
        fit_documents=given.fit_documents,
        test_documents=given.test_documents,
    )
    print(tell(summary))
    print(f"\nAll figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
