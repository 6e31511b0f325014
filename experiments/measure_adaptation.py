"""Do harmful revisions get in, and do accepted ones help? Prompt adaptation with proposers of different worth.

``inpars-plus measure-adaptation --corpus scifact=<BEIR directory>:scientific-abstract --out runs/adaptation``

The *scripted* proposer offers harmful revisions and good ones of the type's pool in turn; every other proposer is a
language model that reads the report (:class:`inpars_plus.programs.InstructionAdapter`). The generator is a real one. It
begins with an instruction without demonstrations, because these hide much of what an instruction does, unless
``--program`` names a compiled one. Every proposal is also scored on test documents, whatever became of it, so that the
table tells whether the verdict was right. All scores are of the first ask, without the program's later attempts.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dspy

from inpars_plus.experiments.selection import TypeDocuments, choose_types, documents_by_type, safe_name
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Steps, Workbench, documents_digest
from inpars_plus.foundation import JSON, ConfigurationError, Run, Summary, digest, say, write_summary
from inpars_plus.lms import scripted_lm
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.lms.scoring import Scorer
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import Candidate, pool_for
from inpars_plus.optimizers.prompts.adaptation import AdaptationSchedule, adapt_instruction
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.candidates import one_ask
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric
from inpars_plus.optimizers.prompts.proposers import ModelProposer
from inpars_plus.optimizers.prompts.trials import TrialLog
from inpars_plus.optimizers.prompts.warm_start import starting_points
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs import KeyTerms, QueryGenerator, example_of

__all__ = [
    "HARMFUL",
    "TEXT",
    "MeasureAdaptationSettings",
    "main",
    "measure_adaptation",
    "run",
    "scripted_proposer",
    "tell",
]

_SCRIPTED = "scripted"
HARMFUL = (
    "Copy the first sentence.",
    "Write the title.",
    "Write one word.",
    "Each text is followed by its translation into French.",
)
"""Revisions that make queries useless; none of them is a task of writing queries."""

_DIAGNOSIS = {
    "reasoning": "As the script says.",
    "diagnosis": {"patterns": ["Queries are vague."], "missed_aspects": []},
}
_PROPOSER_TOKENS = 1024
_SHOWN = 64

TEXT = JobText(
    name="measure-adaptation",
    about=(
        "Adapt the instruction of a program with proposers of different worth, half of the scripted one's revisions\n"
        "harmful, and tell which revisions were accepted and what all of them do on test documents."
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
        "who writes revisions: scripted, or a model as for --lm; repeatable", metavar="NAME"
    )
    program: Path | None = option("a compiled program to begin with", metavar="FILE", default=None)
    tries: int = option("revisions, a seed and proposer", metavar="N", ge=1, le=50)
    seeds: int = option("so many runs, with documents drawn anew", metavar="N", ge=1)
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
        ``final`` and their ``difference``) and ``harmful`` (how many were offered and accepted).

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    with (
        Run(settings.out) as run,
        contextlib.closing(Workbench(settings, directory=run.directory, make_lm=make_lm, scorer=scorer)) as bench,
    ):
        steps = Steps(run)
        types = choose_types(bench.corpus, settings.doc_type, by_type=False)
        key_terms = KeyTerms.fit(bench.corpus.documents())
        results: dict[str, Any] = {name: {one: {"runs": []} for one in settings.proposer} for name in types}
        for seed in range(settings.seed, settings.seed + settings.seeds):
            for doc_type, drawn in _documents(settings, bench, types, seed).items():
                measured = _Measured(doc_type, drawn, key_terms, settings, bench, steps, seed)
                for proposer in settings.proposer:
                    say(f"{doc_type}, seed {seed}: revisions by {proposer}")
                    results[doc_type][proposer]["runs"].append(measured.by(proposer))
        for rows in results.values():
            for row in rows.values():
                offered = [one for each in row["runs"] for one in each["tries"] if one["instruction"] in HARMFUL]
                row["harmful"] = {"offered": len(offered), "accepted": sum(one["accepted"] for one in offered)}
        summary = Summary(
            settings=bench.redacted(),
            seed=settings.seed,
            hashes={"corpus": bench.corpus.digest()},
            seconds=round(steps.seconds, 1),
            peak_memory_mb=steps.peak_memory_mb,
            lm=bench.usage(),
            results=results,
        )
        write_summary(settings.out, summary)
        return summary


def scripted_proposer(doc_type: str, tries: int) -> tuple[dspy.LM, list[str]]:
    """A model that offers harmful revisions and good ones in turn, whatever it reads; and these."""
    good = pool_for(doc_type).texts
    pairs = ((HARMFUL[at % len(HARMFUL)], good[at % len(good)]) for at in range(tries))
    revisions = [text for pair in pairs for text in pair][:tries]
    left = iter(revisions)

    def reply(prompt: str) -> str:
        asked = prompt.rpartition("Respond with")[2]
        return json.dumps(
            {"reasoning": "As the script says.", "revision": {"text": next(left)}}
            if "revision" in asked
            else _DIAGNOSIS
        )

    return scripted_lm(reply, chat=True, name="scripted/proposer"), revisions


class _Measured:
    """One type and seed."""

    def __init__(
        self,
        doc_type: str,
        documents: TypeDocuments,
        key_terms: KeyTerms,
        settings: MeasureAdaptationSettings,
        bench: Workbench,
        steps: Steps,
        seed: int,
    ) -> None:
        self._doc_type = doc_type
        self._documents = documents
        self._key_terms = key_terms
        self._settings = settings
        self._bench = bench
        self._steps = steps
        self._seed = seed
        student = QueryGenerator(key_terms=key_terms)
        if settings.program is not None:
            given = starting_points(student, warm_programs([settings.program]))
            if len(given) > 1:
                raise ConfigurationError(
                    f"an adaptation begins with one program, and here are {len(given)}",
                    place=str(settings.program),
                    remedy="Name the file of one",
                )
            student = next(iter(given.values())).apply(student)
        self._student = one_ask(student)
        self._first = Candidate.of(self._student)

    def by(self, proposer: str) -> dict[str, Any]:
        """What became of one proposer's revisions."""
        inputs = {**self._inputs(), "proposer": proposer, "tries": self._settings.tries, "harmful": list(HARMFUL)}
        name = f"{self._doc_type}, seed {self._seed}, {proposer}"
        found: dict[str, Any] = self._steps.do(f"adapt {name}", inputs, lambda: self._adapt(proposer))
        current = self._first.instruction
        first = self._scores(current)
        for one in found["tries"]:
            if one["instruction"] is None:
                continue
            scores = self._scores(one["instruction"])
            one["test"] = paired_bootstrap(self._scores(current), scores, seed=self._seed).as_dict()
            current = one["instruction"] if one["accepted"] else current
        final = self._scores(current)
        return {
            "seed": self._seed,
            **found,
            "first": sum(first) / len(first),
            "final": sum(final) / len(final),
            "difference": paired_bootstrap(first, final, seed=self._seed).as_dict(),
        }

    def _adapt(self, proposer: str) -> dict[str, Any]:
        settings = self._settings
        documents = min(settings.validation_documents, len(self._documents.validation))
        first_look = max(2, documents // 3)
        schedule = AdaptationSchedule(documents, first_look, first_look, settings.tries)
        if proposer == _SCRIPTED:
            lm, _ = scripted_proposer(self._doc_type, settings.tries)
        else:
            lm = self._bench.model(proposer, settings.api_base, max_tokens=_PROPOSER_TOKENS)
        bench = self._tools()
        with dspy.context(callbacks=[*dspy.settings.callbacks, bench.watch], disable_history=True), quiet_logs():
            found = adapt_instruction(
                bench,
                self._first,
                ModelProposer(lm),
                schedule,
                train=self._examples("train"),
                validation=self._examples("validation"),
                calls=documents + settings.tries * schedule.dearest_try,
                seed=self._seed,
            )
        return {
            "tries": [asdict(one) for one in found.tries],
            "chosen": found.chosen.instruction,
            "calls": bench.watch.calls,
        }

    def _scores(self, instruction: str) -> list[float]:
        """The score of an instruction on each test document."""
        inputs = {**self._inputs(), "test": documents_digest(self._documents.test), "instruction": instruction}

        def work() -> list[float]:
            candidate = Candidate(instruction, self._first.form, self._first.demonstrations)
            with quiet_logs():
                (attempts,) = self._tools().attempt([(candidate, self._examples("test"))])
            return [round(attempt.score, 6) for attempt in attempts]

        name = f"score {safe_name(self._doc_type)}, seed {self._seed}, {digest(instruction)[:12]}"
        scores: list[float] = self._steps.do(name, inputs, work)
        return scores

    def _tools(self) -> Bench:
        lm, metric = self._bench.lm, self._bench.metric
        watch = Watch(model=str(lm.model))
        log = TrialLog(None, calls=lambda: watch.calls, names={})
        return Bench(self._student, metric, GuardedMetric(metric, watch), lm, self._settings.threads, watch, log)

    def _examples(self, part: str) -> list[dspy.Example]:
        return [example_of(one, key_terms=self._key_terms) for one in getattr(self._documents, part)]

    def _inputs(self) -> dict[str, JSON]:
        return {
            "corpus": self._bench.corpus.digest(),
            "lm": str(self._bench.lm.model),
            "api_base": self._settings.api_base,
            "retriever": self._settings.retriever,
            "train": documents_digest(self._documents.train),
            "validation": documents_digest(self._documents.validation),
            "first": self._first.key,
            "seed": self._seed,
        }


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
                "harmful" if one["instruction"] in HARMFUL else "",
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
                _harmful(each["tries"]),
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
            "harmful accepted",
            "first",
            "final",
            "test, final less first",
            "calls",
        ]
        parts.append(f"\n{doc_type}\n\n{text_table(head, tries)}\n\n{text_table(end_head, ends, numbers={4, 5, 7})}")
    return "\n".join([*parts, f"\nsummary: {settings.out / 'summary.json'}"])


def _harmful(tries: Sequence[Mapping[str, Any]]) -> str:
    offered = [one for one in tries if one["instruction"] in HARMFUL]
    return f"{sum(one['accepted'] for one in offered)} of {len(offered)}"


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
