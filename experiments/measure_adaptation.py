"""Do harmful revisions get in, and do accepted ones help? Prompt adaptation with proposers of different worth.

``inpars-plus measure-adaptation --corpus scifact=<BEIR directory>:scientific-abstract --out runs/adaptation``

The *scripted* proposer offers good revisions of the type's pool and ones that are meant to harm in turn; every other
proposer is a language model that reads the report (:class:`inpars_plus.programs.InstructionAdapter`). The generator is
a real one. It begins with an instruction without demonstrations, because these hide much of what an instruction does,
unless ``--program`` names a compiled one. Every proposal is also scored on test documents, whatever became of it, so
that the table tells whether the verdict was right. What was meant to harm may help, with a small model or from a poor
start, so what did harm is read from the test documents. All scores are of the first ask, without later attempts.
Documents that the compiled program shows as demonstrations are left out.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.experiments.adaptation_bench import HARMFUL, SCRIPTED, MeasuredAdaptation
from inpars_plus.experiments.selection import TypeDocuments, choose_types, documents_by_type
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Steps, Workbench, summary_of
from inpars_plus.foundation import ConfigurationError, Run, Summary, say, write_summary
from inpars_plus.lms.scoring import Scorer
from inpars_plus.programs import KeyTerms

__all__ = [
    "TEXT",
    "MeasureAdaptationSettings",
    "main",
    "measure_adaptation",
    "run",
    "tell",
]

_SHOWN = 64

TEXT = JobText(
    name="measure-adaptation",
    about=(
        "Adapt the instruction of a program with proposers of different worth, half of the scripted one's revisions\n"
        "meant to harm, and tell which revisions were accepted and what all of them do on test documents."
    ),
    examples=(
        (
            "The scripted proposer and the embedded model, three seeds",
            "inpars-plus measure-adaptation --corpus scifact=BEIR/scifact:scientific-abstract --seeds 3 \\\n"
            "      --proposer scripted --proposer embedded --out runs/adaptation",
        ),
    ),
)


class MeasureAdaptationSettings(BenchSettings):
    """Settings of ``measure-adaptation``."""

    doc_type: tuple[str, ...] = option("only this type of document; repeatable", metavar="TYPE")
    proposer: tuple[str, ...] = option(
        "who writes revisions: scripted, or a model as for --lm; at --api-base where it is of its provider; repeatable",
        metavar="NAME",
    )
    program: Path | None = option("a compiled program to begin with", metavar="FILE", default=None)
    tries: int = option("revisions, a seed and proposer", metavar="N", ge=1, le=50)
    seeds: int = option("so many runs, each with other documents where there are enough", metavar="N", ge=1)
    train_documents: int = option("reports are measured on so many", metavar="N", ge=4)
    validation_documents: int = option("revisions are compared on so many", metavar="N", ge=4)
    test_documents: int = option("everything is scored on so many at the end", metavar="N", ge=4)


def measure_adaptation(
    settings: MeasureAdaptationSettings, *, make_lm: MakeLm | None = None, scorer: Scorer | None = None
) -> Summary:
    """Adapt with each proposer and seed, and score every proposal on test documents.

    Args:
        settings: of the job.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written: ``results[<type>][<proposer>]`` with ``runs`` (a row a seed: ``tries``, ``first``,
        ``final`` and their ``difference``), ``meant_to_harm`` and ``did_harm`` (how many of these were compared and how
        many accepted; a revision did harm where its whole interval on test documents is below the one before).

    Raises:
        ConfigurationError: no revision could be accepted with so many tries on so few documents, or the scripted
            proposer has not so many revisions.
        DeadModelError: a model does not answer, be it that of a proposer.
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    if SCRIPTED in settings.proposer and settings.tries > 2 * len(HARMFUL):
        raise ConfigurationError(
            f"the scripted proposer has {2 * len(HARMFUL)} revisions, and here are {settings.tries} tries",
            place="--tries",
            remedy=f"Give at most {2 * len(HARMFUL)}, or other proposers only",
        )
    with (
        Run(settings.out) as run,
        contextlib.closing(Workbench(settings, directory=run.directory, make_lm=make_lm, scorer=scorer)) as bench,
    ):
        steps = Steps(run)
        names = list(dict.fromkeys(settings.proposer))
        types = choose_types(bench.corpus, settings.doc_type, by_type=None)
        key_terms = KeyTerms.fit(bench.corpus.documents())
        results: dict[str, Any] = {name: {one: {"runs": []} for one in names} for name in types}
        # All of them now: what is wrong with a name or an address is told before anything is paid for.
        proposers = {name: bench.second_model(name) for name in names if name != SCRIPTED}
        for seed in range(settings.seed, settings.seed + settings.seeds):
            found = {
                doc_type: MeasuredAdaptation(doc_type, drawn, key_terms, settings, bench, steps, seed, proposers)
                for doc_type, drawn in _documents(settings, bench, types, seed).items()
            }
            for doc_type, measured in found.items():
                for proposer in names:
                    say(f"{doc_type}, seed {seed}: revisions by {proposer}")
                    results[doc_type][proposer]["runs"].append(measured.by(proposer))
        for rows in results.values():
            for row in rows.values():
                tries = [one for each in row["runs"] for one in each["tries"]]
                row |= {
                    name: _counted(one) for name, one in (("meant_to_harm", _meant(tries)), ("did_harm", _did(tries)))
                }
        summary = summary_of(
            steps,
            settings=bench.redacted(),
            seed=settings.seed,
            hashes={"corpus": bench.corpus.digest()},
            lm=bench.usage(),
            results=results,
        )
        write_summary(settings.out, summary)
        return summary


def _documents(
    settings: MeasureAdaptationSettings, bench: Workbench, types: Sequence[str], seed: int
) -> dict[str, TypeDocuments]:
    counts = {
        "train": settings.train_documents,
        "validation": settings.validation_documents,
        "test": settings.test_documents,
    }
    return documents_by_type(bench.corpus, types, counts=counts, seed=seed, skip_small=False)


def tell(settings: MeasureAdaptationSettings, summary: Summary) -> str:
    """Tables for a terminal: every proposal, then a line a proposer and seed."""
    parts = []
    for doc_type, rows in summary.results.items():
        tries = [
            [
                proposer,
                str(each["seed"]),
                _cut(one["instruction"] or "(none)"),
                "meant to harm" if one["instruction"] in HARMFUL else "",
                "–" if one["difference"] is None else f"{one['difference']:+.3f} ({one['documents']})",
                "accepted" if one["accepted"] else "rejected",
                interval(one["test"]) if "test" in one else "–",
            ]
            for proposer, row in rows.items()
            for each in row["runs"]
            for one in each["tries"]
        ]
        ends = [
            [
                proposer,
                str(each["seed"]),
                f"{sum(one['accepted'] for one in each['tries'])} of {len(each['tries'])}",
                "{accepted} of {offered}".format(**_counted(_meant(each["tries"]))),
                "{accepted} of {offered}".format(**_counted(_did(each["tries"]))),
                number(each["first"]),
                number(each["final"]),
                interval(each["difference"]),
                str(each["calls"]),
            ]
            for proposer, row in rows.items()
            for each in row["runs"]
        ]
        head = ["proposer", "seed", "revision", "", "validation (documents)", "", "test, less the one before"]
        end_head = [
            "proposer",
            "seed",
            "accepted",
            "of those meant to harm",
            "of those that did",
            "first",
            "final",
            "test, final less first",
            "calls",
        ]
        parts.append(f"\n{doc_type}\n\n{text_table(head, tries)}\n\n{text_table(end_head, ends, numbers={5, 6, 8})}")
    return "\n".join([*parts, f"\nsummary: {settings.out / 'summary.json'}"])


def _meant(tries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Revisions that were meant to harm, and were compared; one that came before is rejected without."""
    return [one for one in tries if one["instruction"] in HARMFUL and one["documents"] > 0]


def _did(tries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The revisions, of whatever meaning, that made the queries for test documents worse beyond chance."""
    return [one for one in tries if one["documents"] > 0 and one["test"]["high"] < 0]


def _counted(tries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {"offered": len(tries), "accepted": sum(one["accepted"] for one in tries)}


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(MeasureAdaptationSettings, TEXT, arguments)
    print(tell(settings, measure_adaptation(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
