"""From documents to a search stack in one command: ``inpars-plus adapt``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Corpus, split_documents
from inpars_plus.experiments.agreement import judged_names
from inpars_plus.experiments.choose_ranker import FEWEST_QUERIES, ChooseSettings, choose_ranker
from inpars_plus.experiments.choose_ranker import tell as tell_chosen
from inpars_plus.experiments.compile_programs import CompileSettings, compile_programs
from inpars_plus.experiments.evaluate_runs import EvaluateSettings, evaluate_runs
from inpars_plus.experiments.evaluate_runs import tell as tell_evaluated
from inpars_plus.experiments.generate_queries import RECORD, GenerateSettings, generate_queries
from inpars_plus.experiments.judged import read_collection
from inpars_plus.experiments.settings import (
    CorpusSettings,
    JobSettings,
    JobText,
    make_settings,
    option,
    parse_settings,
)
from inpars_plus.experiments.tables import number, text_table
from inpars_plus.experiments.train_ranker import TrainSettings, train_ranker
from inpars_plus.experiments.tune_generator import TuneSettings, tune_generator
from inpars_plus.experiments.workbench import MakeLm, corpus_of
from inpars_plus.foundation import (
    ConfigurationError,
    InputError,
    LmUsage,
    Run,
    Summary,
    digest,
    read_json,
    say,
    write_summary,
)
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.lms import is_local, load_lm
from inpars_plus.lms.embedded import release_pipelines
from inpars_plus.lms.scoring import Scorer
from inpars_plus.programs import programs_of
from inpars_plus.retrieval.rankers import load_ranker

__all__ = ["TEXT", "AdaptSettings", "adapt", "main", "run", "tell"]

TEXT = JobText(
    name="adapt",
    about=(
        "Everything, from documents that nobody has labelled to a search stack: compile a query-writing program, tune\n"
        "the model for it, generate queries, train a ranker, choose between it and untrained ones without labels, and\n"
        "build the stack that inpars-plus search uses. With --judged, people's judgments say what training is worth.\n"
        "Every stage is a job of its own, in a folder of its own; the same command goes on after a stop. About 25\n"
        "minutes for 5,000 documents on two cores that have bfloat16, longer without."
    ),
    examples=(
        ("A folder of your own", "inpars-plus adapt --corpus notes/ --out runs/notes"),
        ("Sooner, without tuning the model", "inpars-plus adapt --corpus notes/ --no-tune --out runs/notes"),
        ("And how well it agrees with people", "inpars-plus adapt --corpus data/a --judged data/a --out runs/a"),
    ),
)


_TAG = 8


class AdaptSettings(JobSettings, CorpusSettings):
    """Settings of ``adapt``."""

    lm: str = option("writes queries and is tuned: embedded, gguf:PATH, a model's directory", metavar="NAME")
    budget: int = option("language model calls for compiling", metavar="N", gt=0)
    tune: bool = option("tune the model on what retrieval rewards; about half of the time")
    test_documents: int = option("programs and generators are scored on so many documents", metavar="N", ge=4)
    documents: int = option(
        "queries are generated for so many documents at most, one each; fewer are accepted", metavar="N", gt=0
    )
    judged: str | None = option(
        "human judgments, only to tell how well the choice agrees with them, and what training is worth",
        metavar="DIR[:SPLIT]",
        default=None,
    )


def adapt(settings: AdaptSettings, *, make_lm: MakeLm | None = None, scorer: Scorer | None = None) -> Summary:
    """Run every stage that is not finished.

    Args:
        settings: of the job.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written; ``results.stages`` has the seconds of each.

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    with Run(settings.out):
        return _Stages(settings, {"make_lm": make_lm, "scorer": scorer}).do()


class _Stages:
    def __init__(self, settings: AdaptSettings, parts: Mapping[str, Any]) -> None:
        self.settings = settings
        self.parts = parts
        self.done: dict[str, Summary] = {}
        self.started = time.monotonic()

    def do(self) -> Summary:
        settings = self.settings
        corpus = corpus_of(settings)
        if len(types := corpus.types()) > 1:
            raise ConfigurationError(
                f"the corpus has {len(types)} document types, {', '.join(types)}, and this job compiles one program",
                place="--corpus",
                remedy="Give all one type, as in --corpus a=PATH:notes --corpus b=PATH:notes, or begin with "
                "compile-programs --by-type and run the jobs one by one",
            )
        if settings.judged is not None:
            # What cannot be read, or is of other documents, is told now, not after an hour.
            judged_names(read_collection(settings.judged), corpus)
        _check_size(corpus)
        if settings.tune and self.parts["make_lm"] is None and not is_local(settings.lm):
            raise ConfigurationError(
                f"'{settings.lm}' is no model on this machine, and only such a one can be tuned",
                place="--lm",
                remedy="Add --no-tune, or name embedded, gguf:PATH, or a directory that holds a model",
            )
        out, shared = settings.out, _shared(settings)
        self._stage(
            "compile",
            compile_programs,
            make_settings(
                CompileSettings,
                "compile-programs",
                **shared,
                lm=settings.lm,
                budget=settings.budget,
                test_documents=settings.test_documents,
                out=out / "compile",
            ),
        )
        writer = settings.lm
        if settings.tune:
            self._stage(
                "tune",
                tune_generator,
                make_settings(
                    TuneSettings,
                    "tune-generator",
                    **shared,
                    lm=settings.lm,
                    programs=out / "compile",
                    test_documents=settings.test_documents,
                    out=out / "tune",
                ),
            )
            writer = str(out / "tune" / "generator")
        queries = self._queries(writer)
        self._stage(
            "generate",
            generate_queries,
            make_settings(
                GenerateSettings,
                "generate-queries",
                **shared,
                lm=writer,
                programs=out / "compile" / "compiled",
                limit=settings.documents,
                out=queries,
            ),
        )
        training = make_settings(TrainSettings, "train-ranker", **shared, queries=queries, out=out / "ranker")
        self._stage("train", lambda given, **_: train_ranker(given), training)
        self._stage("choose", lambda given, **_: choose_ranker(given), _choosing(settings, queries))
        # Without where all judged queries were learned from, as the choice has told.
        if settings.judged is not None and "judged" in self.done["choose"].results:
            evaluating = _evaluating(settings, queries, settings.judged, self.done["choose"].results)
            self._stage("evaluate", lambda given, **_: evaluate_runs(given), evaluating)
        summary = Summary(
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes=self.done["choose"].hashes,
            seconds=round(sum(one.seconds for one in self.done.values()), 1),
            peak_memory_mb=max(one.peak_memory_mb for one in self.done.values()),
            lm=sum((one.lm for one in self.done.values()), LmUsage()),
            results={
                "stages": {name: one.seconds for name, one in self.done.items()},
                "queries": queries.name,
                "chosen": self.done["choose"].results["chosen"],
                "accepted_queries": self.done["generate"].results["accepted"],
                "asked_queries": self.done["generate"].results["asked"],
            },
        )
        write_summary(out, summary)
        return summary

    def _queries(self, writer: str) -> Path:
        """The folder for what the programs and the model write now: a ledger never mixes two ways of generating.

        Programs of a corpus that grew are others, and so is the tuned model. What the first ones wrote stays in a
        folder without a digest in its name, and is gone on with where they come back.
        """
        folder = self.settings.out / ("queries-tuned" if self.settings.tune else "queries")
        if not (folder / RECORD).exists():
            return folder
        programs = {name: card.digest for name, card in programs_of(self.settings.out / "compile").items()}
        make_lm = self.parts["make_lm"]
        model = str((load_lm(writer) if make_lm is None else make_lm(writer, None)).model)
        if _is_of(read_json(folder / RECORD, kind="record of a generation"), programs, model):
            return folder
        return folder.with_name(f"{folder.name}-{digest(programs, model)[:_TAG]}")

    def _stage(self, name: str, job: Callable[..., Summary | None], settings: JobSettings) -> None:
        say(f"Stage '{name}', in {settings.out}")
        summary = job(settings, **self.parts)
        assert summary is not None
        self.done[name] = summary
        # What a stage leaves in memory would come on top of what the next one needs.
        release_pipelines()
        give_back_memory()


def _check_size(corpus: Corpus) -> None:
    """Tell now, not after all other stages, that there is nothing to choose by."""
    documents = list(corpus.documents())
    unseen = sum(not document.is_empty for document in split_documents(documents, corpus).test)
    if unseen < FEWEST_QUERIES:
        raise InputError(
            f"of {len(documents)} documents, {unseen} are kept from training to compare the trained ranker with "
            f"untrained ones, but {FEWEST_QUERIES} are needed",
            place="--corpus",
            remedy="Give some 120 documents or more; of fewer, inpars-plus choose-ranker --stack makes a stack of the "
            "untrained ranker that suits them best",
        )


def _shared(settings: AdaptSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in (*CorpusSettings.model_fields, "seed")}


def _is_of(record: Any, programs: Mapping[str, str], model: str) -> bool:
    """Whether generate-queries goes on where it left this record."""
    try:
        then: dict[str, str] = record["programs"]
        if len(programs) == 1:  # it writes for all types, by whose names it is recorded
            same = set(then.values()) <= set(programs.values())
        else:
            same = all(then.get(name, one) == one for name, one in programs.items())
        return same and bool(record["made_with"]["language model"] == model)
    except (AttributeError, KeyError, TypeError):
        return False  # of another version


def _choosing(settings: AdaptSettings, queries: Path) -> ChooseSettings:
    """Settings of the choice, which ends in the stack."""
    return make_settings(
        ChooseSettings,
        "choose-ranker",
        **_shared(settings),
        ranker=settings.out / "ranker",
        queries=queries,
        judged=settings.judged,
        seen=settings.out / "compile",
        stack=True,
        out=settings.out / "choice",
    )


def _evaluating(settings: AdaptSettings, queries: Path, judged: str, chosen: Mapping[str, Any]) -> EvaluateSettings:
    """Settings of the last stage: the trained ranker and, by the choice, the best untrained one, judged by people."""
    runs = chosen["judged"]["runs"]
    trained = load_ranker(settings.out / "ranker").name
    best = next(name for name in chosen["systems"] if name != trained)
    return make_settings(
        EvaluateSettings,
        "evaluate-runs",
        collection=judged,
        run=[f"{name}={settings.out / 'choice' / runs[name]}" for name in (best, trained)],
        baseline=best,
        seen=[settings.out / "ranker", queries, settings.out / "compile"],
        drop_seen=True,
        ledger=str(queries),
        seed=settings.seed,
        out=settings.out / "evaluation",
    )


def tell(settings: AdaptSettings, summary: Summary) -> str:
    """What came of it, for a terminal."""
    stages = summary.results["stages"]
    rows = [[name, f"{seconds / 60:.1f}"] for name, seconds in stages.items()]
    queries = settings.out / str(summary.results["queries"])
    choosing = _choosing(settings, queries)
    told = _summary(choosing.out)
    said = tell_chosen(choosing, told)
    if settings.judged is not None and "judged" in told.results:
        evaluating = _evaluating(settings, queries, settings.judged, told.results)
        said += f"\n\nBy people's judgments:\n{tell_evaluated(evaluating, _summary(evaluating.out))}"
    return (
        f"{said}\n\n{text_table(['stage', 'minutes'], rows, numbers={1})}\n\n"
        f"{summary.results['accepted_queries']:,} queries accepted of {summary.results['asked_queries']:,} asked for; "
        f"sureness of the choice "
        f"{number(summary.results['chosen']['sureness'])}; at most {summary.peak_memory_mb:,} MB\n"
        f"search:  inpars-plus search {settings.out / 'choice' / 'stack'} WORDS"
    )


def _summary(directory: Path) -> Summary:
    return Summary.model_validate(read_json(directory / "summary.json", kind="summary"))


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(AdaptSettings, TEXT, arguments)
    print(tell(settings, adapt(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
