"""Does a language model order what search found better than search did? ``inpars-plus measure-reranking``."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from inpars_plus.corpora import CorpusSource
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.reranking_bench import RerankingBench
from inpars_plus.experiments.reranking_forms import (
    FIRST_STAGE,
    LIKELIHOOD,
    RERANKERS,
    CountingScorer,
    program_of,
)
from inpars_plus.experiments.reranking_preview import preview
from inpars_plus.experiments.settings import JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, Steps, Workbench, summary_of
from inpars_plus.foundation import ConfigurationError, Run, Summary, write_summary
from inpars_plus.lms import load_scorer
from inpars_plus.metrics.evaluation import compare, evaluate_systems

__all__ = ["MEASURES", "TEXT", "MeasureSettings", "main", "measure_reranking", "run", "tell"]

MEASURES = ("nDCG@10", "RR@10")

TEXT = JobText(
    name="measure-reranking",
    about=(
        "Re-rank the first documents of a search with a language model, in several forms, uncompiled and compiled,\n"
        "and compare each with the search itself on people's judgments: nDCG@10 with a paired test, calls, time,\n"
        "tokens. Programs are compiled on train judgments or generated queries, never on the queries that are reported."
    ),
    examples=(
        (
            "Forty judged queries with the embedded model",
            "inpars-plus measure-reranking --corpus data/scifact --queries 40 --out runs/reranking",
        ),
        (
            "What a hosted model would be asked",
            "inpars-plus measure-reranking --corpus data/scifact --lm openai/gpt-4o-mini --out runs/hosted --dry-run",
        ),
        (
            "Listwise alone, compiled on generated queries, with a local server",
            "inpars-plus measure-reranking --corpus data/scifact --forms listwise --synthetic runs/scifact-queries \\\n"
            "      --lm openai/my-model --api-base http://localhost:8000/v1 --out runs/reranking",
        ),
    ),
)


class MeasureSettings(BenchSettings):
    """Settings of ``measure-reranking``."""

    queries: int | None = option(
        "so many judged queries, drawn by --seed; all if not given", metavar="N", default=None, gt=0
    )
    forms: tuple[Literal["pointwise", "pairwise", "listwise", "likelihood", "expansion", "hyde"], ...] = option(
        "pointwise, pairwise, listwise, likelihood (local models), expansion, hyde; repeatable", metavar="NAME"
    )
    depth: int = option("documents of each ranking that are re-ranked", metavar="N", ge=2, le=100)
    calls: int | None = option(
        "calls for one query at most; what they are not enough for stays", metavar="N", default=None, ge=0
    )
    passes: int | None = option("pairwise: in so many passes; all pairs if not given", metavar="N", default=None, ge=1)
    window: int = option("listwise: passages shown at once", metavar="N", ge=2, le=100)
    step: int = option("listwise: by how many the window moves up", metavar="N", ge=1)
    compiled: bool = option("compile each re-ranker too")
    synthetic: Path | None = option(
        "compile on what generate-queries wrote here, instead of train judgments", metavar="DIR", default=None
    )
    train_queries: int = option("demonstrations are made from so many queries at most", metavar="N", ge=1)
    validation_queries: int = option("demonstrations are chosen on so many at most", metavar="N", ge=1)
    validation_passages: int = option("passages a query while choosing", metavar="N", ge=2, le=100)
    dry_run: bool = option("only tell calls, tokens and cost; no model is called, nothing is written")


def measure_reranking(
    settings: MeasureSettings, *, make_lm: MakeLm | None = None, scorer: CountingScorer | None = None
) -> Summary | None:
    """Measure, and write rankings, compiled programs and summary.

    Args:
        settings: of the job.
        make_lm: makes the language model instead of its name.
        scorer: of likelihood, instead of the model of that name.

    Returns:
        The summary that was written; ``None`` after a dry run.

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    collection = _collection(settings)
    for form in settings.forms:
        if form in RERANKERS:
            program_of(form, settings)  # so that wrong settings show before anything is asked
    if LIKELIHOOD in settings.forms and scorer is None:
        scorer = _scorer(settings.lm)  # so that a model that scores nothing shows before other forms are paid for
    if settings.dry_run:
        with (
            tempfile.TemporaryDirectory() as nowhere,
            _bench(settings, collection, Path(nowhere), make_lm, scorer) as bench,
        ):
            if _compiles(settings):
                bench.check_drawn()
            print(preview(settings, bench))
        return None
    with _bench(settings, collection, settings.out, make_lm, scorer) as bench:
        summary = _measured(settings, bench)
        write_summary(settings.out, summary)
    return summary


def _compiles(settings: MeasureSettings) -> bool:
    return settings.compiled and any(form in RERANKERS for form in settings.forms)


def _scorer(name: str) -> CountingScorer:
    try:
        return load_scorer(name)
    except ConfigurationError as problem:
        raise ConfigurationError(
            f"likelihood is that of a local model in GGUF form: {problem.message}",
            place="--forms likelihood",
            remedy="Name embedded or gguf:PATH with --lm, or leave this form out",
        ) from problem


def _collection(settings: MeasureSettings) -> CorpusSource:
    sources = [CorpusSource.parse(spec) for spec in settings.corpus]
    if len(sources) != 1 or not (Path(sources[0].location) / "queries.jsonl").is_file():
        raise ConfigurationError(
            "re-ranking is measured on one collection in BEIR's layout, with queries and judgments",
            place="--corpus",
            remedy="Name its directory",
        )
    if settings.max_characters is not None:
        raise ConfigurationError("people judged whole documents, not chunks", place="--max-characters")
    return sources[0]


@contextmanager
def _bench(
    settings: MeasureSettings,
    collection: CorpusSource,
    out: Path,
    make_lm: MakeLm | None,
    scorer: CountingScorer | None,
) -> Iterator[RerankingBench]:
    with Run(out) as run, contextlib.closing(Workbench(settings, directory=out, make_lm=make_lm)) as bench:
        steps = Steps(run)
        judged = JudgedBench(collection.name, Path(collection.location), steps=steps, seed=settings.seed)
        yield RerankingBench(settings, bench, judged, steps, scorer)


def _measured(settings: MeasureSettings, bench: RerankingBench) -> Summary:
    systems = {FIRST_STAGE: bench.first_stage()}
    if _compiles(settings):
        bench.check_lists()
    costs: dict[str, dict[str, Any]] = {}
    compiling: dict[str, dict[str, Any]] = {}
    for form in dict.fromkeys(settings.forms):
        costs[form] = bench.measure(form, compiled=False)
        systems[form] = bench.rankings(form)
        if settings.compiled and form in RERANKERS:
            compiling[form] = bench.compile(form)
            # Without better demonstrations it is the uncompiled program, of which nothing need be asked again.
            if compiling[form]["origin"] != "none":
                costs[f"{form} compiled"] = bench.measure(form, compiled=True)
                systems[f"{form} compiled"] = bench.rankings(f"{form} compiled")
    asked = {one.id for one in bench.queries}
    judgments = [one for one in bench.judged.judged.judgments if one.query_id in asked]
    evaluation = evaluate_systems(judgments, systems, measures=MEASURES)
    compared = compare(evaluation, FIRST_STAGE, measure=MEASURES[0], seed=settings.seed) if len(systems) > 1 else {}
    rows: dict[str, Any] = {}
    for name in systems:
        rows[name] = {measure: evaluation.mean(name, measure) for measure in MEASURES}
        if name in compared:
            one = compared[name]
            rows[name] |= {"difference": one.difference.as_dict(), "p": one.p, "p_holm": one.p_holm}
            rows[name] |= {"wins": one.wins, "losses": one.losses, **costs[name]}
    for name, told in compiling.items():
        after = f"{name} compiled" if f"{name} compiled" in rows else name
        told["program"] = bench.save(name, rows[name][MEASURES[0]], rows[after][MEASURES[0]])
    return summary_of(
        bench.steps,
        settings=bench.bench.redacted(),
        seed=settings.seed,
        hashes={"corpus": bench.judged.corpus.digest(), "judgments": bench.judged.judged.digest},
        lm=bench.bench.usage(),
        results={
            "collection": bench.judged.name,
            "queries": len(bench.queries),
            "depth": settings.depth,
            "systems": rows,
            "compiling": compiling,
        },
    )


def tell(settings: MeasureSettings, summary: Summary) -> str:
    """The table for a terminal."""
    results = summary.results
    count = results["queries"]
    head = [
        "",
        "nDCG@10",
        "less first stage",
        "p (Holm)",
        "calls a query",
        "seconds",
        "tokens",
        "unreadable",
        "repaired",
    ]
    rows = []
    for name, row in results["systems"].items():
        if "difference" not in row:
            rows.append([name, number(row["nDCG@10"]), *[""] * 7])
            continue
        rows.append(
            [name, number(row["nDCG@10"]), interval(row["difference"]), number(row["p_holm"]), *_spent(row, count)]
        )
    lines = [f"{results['collection']}: {count} judged queries, the first {results['depth']} documents", ""]
    lines.append(text_table(head, rows, numbers=set(range(1, len(head)))))
    for form, told in results["compiling"].items():
        tried = ", ".join(f"{name} {score:.3f}" for name, score in told["trials"].items())
        kept = "nothing was better than none" if told["origin"] == "none" else f"{told['origin']} was kept"
        lines.append(f"\n{form}, demonstrations on {told['lists']} validation queries: {tried}; {kept}")
    lines.append(f"\nsummary: {settings.out / 'summary.json'}")
    return "\n".join(lines)


def _spent(row: Mapping[str, Any], queries: int) -> list[str]:
    report = row["report"]
    calls = report.get("calls", report["queries"])
    paid = row["paid_calls"]
    tokens = (row["prompt_tokens"] + row["completion_tokens"]) / paid * calls / queries if paid else None
    return [
        f"{calls / queries:.1f}",
        # What an earlier command paid for took no time, so a run that was continued has no seconds to tell. Steps that
        # did not record how much that was may have been continued if anything was replayed.
        "–" if row.get("earlier_calls", row["replayed_calls"]) else f"{row['seconds'] / queries:.2f}",
        "–" if tokens is None else f"{tokens:,.0f}",
        str(report["unreadable"]),
        str(report.get("repaired", "")),
    ]


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(MeasureSettings, TEXT, arguments)
    summary = measure_reranking(settings)
    if summary is not None:
        print(tell(settings, summary))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
