"""Tune the generator of a compiled program on what retrieval rewards: ``inpars-plus tune-generator --help``."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from inpars_plus.experiments.reports.tuning_report import tuning_report, tuning_rows
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, quality_table
from inpars_plus.experiments.tuning import Tuning
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Steps, Workbench, summary_of
from inpars_plus.foundation import ConfigurationError, Run, Summary, say, write_summary, write_text
from inpars_plus.lms import is_local
from inpars_plus.lms.scoring import Scorer

__all__ = ["TEXT", "TuneSettings", "main", "run", "tell", "tune_generator"]

TEXT = JobText(
    name="tune-generator",
    about=(
        "Tune the language model of a compiled program on what retrieval rewards. The program writes several queries\n"
        "for each train document; the checks and the search engine say which is better; the model learns the\n"
        "preference (CPO, low-rank adapters), is written as GGUF, goes back into the same program, and both are\n"
        "scored on test documents that nothing was compiled or tuned on."
    ),
    examples=(
        (
            "After compile-programs --out runs/docs",
            "inpars-plus tune-generator --corpus python-docs --programs runs/docs --out runs/docs-tuned",
        ),
        (
            "Use the tuned generator",
            "inpars-plus generate-queries --corpus python-docs --programs runs/docs --out runs/docs-queries \\\n"
            "      --lm runs/docs-tuned/generator",
        ),
    ),
)


class TuneSettings(BenchSettings):
    """Settings of ``tune-generator``."""

    programs: Path = option("a compiled program, or the run directory of compile-programs", metavar="PATH")
    doc_type: str | None = option("which program of a directory with several", metavar="TYPE", default=None)
    lm: str = option("writes the candidates and is tuned: embedded, gguf:PATH, a model's directory", metavar="NAME")
    base: str | None = option(
        "the model to tune, if it is not --lm: embedded, gguf:PATH, a Hugging Face directory",
        metavar="NAME",
        default=None,
    )
    rounds: int = option(
        "rounds of sampling and training; the tuned model samples from the second on", metavar="N", ge=1
    )
    pairs_rule: Literal["reward", "three-candidates", "threshold", "random"] = option("how pairs are chosen")
    teacher: tuple[str, ...] = option(
        "another model whose query for each train document is a candidate too; repeatable", metavar="NAME", default=()
    )
    human: Path | None = option(
        "BEIR directory with queries that people wrote for documents; those for train documents are candidates too",
        metavar="DIR",
        default=None,
    )
    compare: tuple[str, ...] = option(
        "another model, such as a generator tuned elsewhere, scored in the same program; repeatable",
        metavar="NAME",
        default=(),
    )
    guarded: bool = option("reward by checks, likeness and retrieval; without, by retrieval alone, to see what wins it")
    offer_cheats: bool = option("cheats, such as the title, are candidates too, to see what the reward makes of them")
    loss: Literal["cpo", "sft", "sft-cpo"] = option("what is trained; sft-cpo begins with a round of SFT")
    train_documents: int = option("candidates are sampled for so many documents, a round", metavar="N", ge=4)
    validation_documents: int = option("training keeps the best weights on so many; 0 for the last", metavar="N", ge=0)
    patience: int = option(
        "a round's training ends after so many validations without a better reward; 0 for never", metavar="N", ge=0
    )
    test_documents: int = option("scored on so many documents", metavar="N", ge=4)
    samples: int = option("candidates of each train document", metavar="N", ge=2, le=16)
    learning_rate: float = option("the highest rate of the adapters", metavar="RATE", gt=0)
    epochs: int = option("passes over a round's pairs", metavar="N", ge=1)
    dry_run: bool = option("only tell documents and calls; no model is called, nothing is written")

    @model_validator(mode="after")
    def _rounds_for_both(self) -> TuneSettings:
        if self.loss == "sft-cpo" and self.rounds < 2:
            raise ValueError(
                "--loss sft-cpo begins with a round of SFT, so it needs 2 rounds at least; one is --loss cpo or sft"
            )
        return self


def tune_generator(
    settings: TuneSettings,
    *,
    make_lm: MakeLm | None = None,
    scorer: Scorer | None = None,
    replies: Path | None = None,
) -> Summary | None:
    """Tune, score, and write the generator, summary and report.

    Args:
        settings: of the job.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.
        replies: file of the store of replies, for runs that share it.

    Returns:
        The summary that was written; ``None`` after a dry run.

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    _refuse_launchers()
    if make_lm is None and not is_local(settings.lm):
        raise ConfigurationError(
            f"'{settings.lm}' is no model on this machine, and only such a one can be tuned",
            place="--lm",
            remedy="Name embedded, gguf:PATH, or a directory that holds a model",
        )
    if settings.dry_run:
        with contextlib.closing(Workbench(settings, directory=None, make_lm=make_lm, scorer=scorer)) as bench:
            print(_preview(settings, Tuning(settings, bench, make_lm)))
        return None
    with (
        Run(settings.out) as run_,
        contextlib.closing(
            Workbench(settings, directory=run_.directory, make_lm=make_lm, scorer=scorer, replies=replies)
        ) as bench,
    ):
        say(f"{len(bench.corpus):,} documents")
        steps = Steps(run_)
        tuning = Tuning(settings, bench, make_lm)
        result = tuning.do(steps)
        summary = summary_of(
            steps,
            settings=bench.redacted(),
            seed=settings.seed,
            hashes={"corpus": bench.corpus.digest(), **tuning.hashes()},
            lm=bench.usage(),
            results={tuning.doc_type: result},
        )
        write_text(settings.out / "report.html", tuning_report(summary, tuning.documents.test))
        write_summary(settings.out, summary)
        return summary


def _refuse_launchers() -> None:
    """A launcher starts the whole job several times; the job itself starts what training needs."""
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ConfigurationError(
            "the job was started in several processes, as accelerate launch and torchrun do",
            place="WORLD_SIZE",
            remedy="Start it once, without them; training takes every GPU that CUDA_VISIBLE_DEVICES shows by itself",
        )


def _preview(settings: TuneSettings, tuning: Tuning) -> str:
    documents = tuning.documents
    train = min(settings.train_documents * settings.rounds, len(documents.train))
    rows = len(tuning_rows(settings.compare, offer_cheats=settings.offer_cheats))
    calls = {settings.lm: train * settings.samples + (rows - len(settings.compare)) * len(documents.test)}
    for name in settings.teacher:
        calls[name] = calls.get(name, 0) + train
    for name in settings.compare:
        calls[name] = calls.get(name, 0) + len(documents.test)
    told = "\n".join(f"about {count:,} calls of {name}" for name, count in calls.items())
    return (
        f"{tuning.doc_type}: {train:,} train, {len(documents.validation):,} validation and "
        f"{len(documents.test):,} test documents\n{told}\ntraining on up to {2 * train:,} pairs; nothing was called"
    )


def tell(settings: TuneSettings, summary: Summary) -> str:
    """Tables of what tuning gave, for a terminal."""
    parts = []
    for doc_type, result in summary.results.items():
        test = result["test"]
        names = tuning_rows(settings.compare, offer_cheats=settings.offer_cheats)
        rows: dict[str, Any] = {name: test[row] for row, name in names.items()}
        cheats = {f"cheat: {name.replace('_', ' ')}": row for name, row in test["cheats"].items()}
        dense = test["dense"]
        compared = "".join(
            f"{f'score, compared {number} less {other}:':<40}{interval(difference)}\n"
            for number, differences in enumerate(test["compared"].values(), start=1)
            for other, difference in zip(("before", "after"), differences.values(), strict=True)
        )
        parts.append(
            f"\n{doc_type}: {test['before']['documents']} test documents\n\n"
            f"{quality_table({**rows, **cheats})}\n\n"
            f"score, after less before:               {interval(test['difference'])}\n{compared}"
            f"hit@10 by the encoder alone:            {dense['before']:.3f} before, {dense['after']:.3f} after, "
            f"{interval(dense['difference'])}"
        )
    out = settings.out
    parts.append(
        f"\ntuned generator: {out / 'generator'}\nreport:          {out / 'report.html'}\n"
        f"summary:         {out / 'summary.json'}"
    )
    return "\n".join(parts)


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(TuneSettings, TEXT, arguments)
    summary = tune_generator(settings)
    if summary is not None:
        print(tell(settings, summary))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
