"""Compare search systems on human judgments, from their run files: ``inpars-plus evaluate-runs``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from inpars_plus.corpora import Ledger
from inpars_plus.corpora.splits import half_of
from inpars_plus.experiments.judged import Collection, read_collection
from inpars_plus.experiments.leaks import seen_queries
from inpars_plus.experiments.reports.evaluation_report import evaluation_report, remarks
from inpars_plus.experiments.settings import JobSettings, JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.foundation import ConfigurationError, Run, Summary, digest_file, write_summary, write_text
from inpars_plus.foundation.files import write_json
from inpars_plus.foundation.summaries import measured
from inpars_plus.metrics.evaluation import Evaluation, compare, evaluate_systems, shown_measures
from inpars_plus.metrics.measures import check_measure
from inpars_plus.programs.outcomes import NOT_ASKED
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import read_run

__all__ = ["TEXT", "EvaluateSettings", "evaluate_runs", "main", "run", "tell"]

TEXT = JobText(
    name="evaluate-runs",
    about=(
        "Compare search systems on human judgments, from their run files in TREC's form. Every system is compared\n"
        "with the baseline on the same queries, by a paired randomisation test with Holm's correction and a bootstrap\n"
        "interval. Queries without a relevant document are left out; a query that a system has no result for counts\n"
        "0; a document with the query's own id is no result. One HTML report comes with pictures."
    ),
    examples=(
        (
            "Two runs on one collection",
            "inpars-plus evaluate-runs --collection scifact=data/scifact --run bm25=bm25.trec --run mine=mine.trec \\\n"
            "      --out runs/evaluation",
        ),
        (
            "On two collections, with the queries that were trained on kept out",
            "inpars-plus evaluate-runs --collection a=data/a --collection b=data/b:dev --run a/bm25=a-bm25.trec \\\n"
            "      --run a/mine=a-mine.trec --run b/bm25=b-bm25.trec --run b/mine=b-mine.trec --baseline bm25 \\\n"
            "      --seen runs/queries --out runs/evaluation",
        ),
    ),
)


class EvaluateSettings(JobSettings):
    """Settings of ``evaluate-runs``."""

    collection: tuple[str, ...] = option(
        "BEIR directory with queries and judgments; the split is test if none is named; repeatable",
        metavar="[NAME=]DIR[:SPLIT]",
    )
    run: tuple[str, ...] = option(
        "run file of a system; with several collections, of which one; repeatable", metavar="[COLLECTION/]SYSTEM=FILE"
    )
    baseline: str | None = option(
        "system that the others are compared with: if not named, the first that every collection has a run of",
        default=None,
    )
    measure: str = option("what is tested; the others of the table are only shown", metavar="NAME")
    queries: Literal["all", "settings", "report"] = option(
        "all judged queries, or the half on which settings are chosen, or the other, on which figures are reported"
    )
    samples: int = option("resamples and sign flips", metavar="N", ge=100)
    seen: tuple[Path, ...] = option(
        "queries that systems were trained on, rankers that were, or programs whose prompts show some; repeatable",
        metavar="PATH",
        default=(),
    )
    ledger: tuple[str, ...] = option(
        "generation that systems were trained on, of generate-queries: the report shows what became of its candidates;"
        " with several collections, of which one; repeatable",
        metavar="[COLLECTION=]DIR",
        default=(),
    )
    drop_seen: bool = option("leave queries that were seen out, instead of refusing them")


def evaluate_runs(settings: EvaluateSettings) -> Summary:
    """Evaluate, and write summary, per-query values and report.

    Args:
        settings: of the job.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds.
    """
    started = time.monotonic()
    check_measure(settings.measure)  # before anything is read
    seen = seen_queries(settings.seen)
    collections = [
        read_collection(given, half=settings.queries, seen=seen, drop_seen=settings.drop_seen)
        for given in settings.collection
    ]
    names = [one.name for one in collections]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ConfigurationError(
            f"two collections have the name '{twice}'", place="--collection", remedy="Name them: other=DIR"
        )
    files = _run_files(settings.run, names)
    baselines = {name: settings.baseline or system for name, system in _baselines(files).items()}
    candidates = _candidates(settings.ledger, names)
    with Run(settings.out):
        results: dict[str, Any] = {}
        evaluations: dict[str, Evaluation] = {}
        for collection in collections:
            systems = {name: read_run(path) for name, path in files[collection.name].items()}
            evaluation = evaluate_systems(collection.judgments, systems, measures=shown_measures(settings.measure))
            evaluations[collection.name] = evaluation
            results[collection.name] = _results(collection, systems, evaluation, baselines[collection.name], settings)
            if collection.name in candidates:
                results[collection.name]["candidates"] = candidates[collection.name]
        summary = measured(
            started,
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes={
                **{collection.name: collection.digest for collection in collections},
                **{f"{name}/{system}": digest_file(path) for name in names for system, path in files[name].items()},
            },
            results=results,
        )
        for name, evaluation in evaluations.items():
            write_json(
                settings.out / "queries" / f"{name}.json",
                {"queries": evaluation.queries, "values": evaluation.values},
            )
        write_summary(settings.out, summary)
        texts = {one.name: {query.id: query.text for query in one.queries} for one in collections}
        write_text(settings.out / "report.html", evaluation_report(summary, evaluations, texts))
    return summary


def _run_files(given: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Collection → system → run file."""
    files: dict[str, dict[str, Path]] = {name: {} for name in names}
    for one in given:
        label, equals, path = one.partition("=")
        head, slash, system = label.partition("/")
        name, system = (head, system) if slash and head in files else (names[0], label)
        if not equals or not path or not system or (len(names) > 1 and not slash):
            form = "COLLECTION/SYSTEM=FILE" if len(names) > 1 else "SYSTEM=FILE"
            raise ConfigurationError(f"'{one}' is not of the form {form}", place="--run")
        if slash and head not in files and len(names) > 1:
            raise ConfigurationError(
                f"there is no collection '{head}'", place=f"--run {one}", remedy=f"There are {', '.join(names)}"
            )
        if system in files[name]:
            raise ConfigurationError(f"two runs of '{name}' have the name '{system}'", place="--run")
        files[name][system] = Path(path).expanduser()
    empty = next((name for name in names if not files[name]), None)
    if empty is not None:
        raise ConfigurationError(f"there is no run for the collection '{empty}'", place="--run")
    return files


def _baselines(files: Mapping[str, Mapping[str, Path]]) -> dict[str, str]:
    """Collection → its baseline where none is named: one for all, so that gains on them can be compared."""
    first = next(iter(files.values()))
    shared = next((system for system in first if all(system in runs for runs in files.values())), None)
    return {name: shared or next(iter(runs)) for name, runs in files.items()}


def _candidates(given: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Collection → what became of the candidates of its ledgers, reasons by how often they came."""
    accepted: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    for one in given:
        head, equals, rest = one.partition("=")
        named = bool(equals) and head in names
        if not named and len(names) > 1:
            raise ConfigurationError(
                f"'{one}' is not of the form COLLECTION=DIR",
                place="--ledger",
                remedy=f"The collections are {', '.join(names)}",
            )
        name, directory = (head, Path(rest).expanduser()) if named else (names[0], Path(one).expanduser())
        if not (directory / "ledger.jsonl").is_file():
            raise ConfigurationError(
                "there is no ledger.jsonl here", place=str(directory), remedy="Name a directory of generate-queries"
            )
        counts = reasons.setdefault(name, Counter())
        for entry in Ledger(directory / "ledger.jsonl").entries():
            if entry.reason is None:
                accepted[name] += 1
            elif entry.reason not in NOT_ASKED:
                counts[entry.reason] += 1
    return {name: {"accepted": accepted[name], "reasons": dict(one.most_common())} for name, one in reasons.items()}


def _results(
    collection: Collection,
    systems: Mapping[str, Mapping[str, Ranking]],
    evaluation: Evaluation,
    baseline: str,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    compared = compare(evaluation, baseline, measure=settings.measure, seed=settings.seed, samples=settings.samples)
    return {
        "queries": len(evaluation.queries),
        "queries_without_a_relevant_document": len(evaluation.unanswerable),
        "judgments_of_the_query_itself": evaluation.self_judgments,
        **collection.counts,
        "baseline": baseline,
        "measure": settings.measure,
        "systems": {
            name: {
                **{measure: evaluation.mean(name, measure) for measure in values},
                "queries_without_result": evaluation.unanswered[name],
                "results_of_the_query_itself": evaluation.self_results[name],
                **_oddities(collection, systems[name], evaluation.queries, settings.queries),
                **({"compared": asdict(compared[name])} if name in compared else {}),
            }
            for name, values in evaluation.values.items()
        },
    }


def _oddities(
    collection: Collection, rankings: Mapping[str, Ranking], queries: Sequence[str], half: str
) -> dict[str, Any]:
    """What of a run explains figures that are lower than its system deserves."""
    counted = [rankings[query] for query in queries if query in rankings]
    evaluated = {query.id for query in collection.queries}
    judged = {one.document_id for one in collection.judgments}
    return {
        # Those of the other half are what a run is expected to hold.
        "queries_not_evaluated": sum(query not in evaluated and half in ("all", half_of(query)) for query in rankings),
        "finds_a_judged_document": any(not judged.isdisjoint(ranking.ids) for ranking in counted),
        "deepest": max(map(len, counted)),
        "constant_scores": _is_constant(rankings),
    }


def _is_constant(rankings: Mapping[str, Ranking]) -> bool:
    longer = [ranking.scores for ranking in rankings.values() if len(ranking) > 1]
    return bool(longer) and all(scores[0] == scores[-1] for scores in longer)


def tell(settings: EvaluateSettings, summary: Summary) -> str:
    """Tables for a terminal, each with what is odd about its runs."""
    parts = []
    measures = shown_measures(settings.measure)
    odd = remarks(summary.results)
    for name, result in summary.results.items():
        rows = []
        for system, row in result["systems"].items():
            cells = [system, *(number(row[measure]) for measure in measures)]
            compared = row.get("compared")
            cells += (
                ["", "", ""]
                if compared is None
                else [
                    interval(compared["difference"]),
                    f"{compared['p_holm']:.4f}",
                    f"{compared['wins']}/{compared['losses']}",
                ]
            )
            rows.append(cells)
        head = ["", *measures, f"{settings.measure} less {result['baseline']}", "p (Holm)", "wins/losses"]
        left_out = result["queries_without_a_relevant_document"]
        note = f", {left_out:,} without a relevant document left out" if left_out else ""
        table = text_table(head, rows, numbers=set(range(1, len(head))))
        parts.append(f"\n{name}: {result['queries']:,} queries{note}\n\n{table}")
        if odd[name]:
            parts.append("\n" + "\n".join(odd[name]))
    out = settings.out
    parts.append(f"\nreport:  {out / 'report.html'}\nsummary: {out / 'summary.json'}")
    return "\n".join(parts)


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(EvaluateSettings, TEXT, arguments)
    print(tell(settings, evaluate_runs(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
