"""The report of ``compile-programs``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inpars_plus.experiments.compiling import DIFFERENCES, TypeCompile
from inpars_plus.experiments.reports.charts import bars, dots, history
from inpars_plus.experiments.reports.page import (
    Html,
    cards,
    details,
    facts,
    join,
    page,
    paragraph,
    section,
    table,
)
from inpars_plus.experiments.reports.quality import NO_QUERY, mean_scores, quality, samples
from inpars_plus.experiments.tables import interval
from inpars_plus.foundation import Summary, read_lines
from inpars_plus.optimizers.prompts import Trial

__all__ = ["compile_report"]

_SAMPLES = 8
_NO_REVISION = "(none)"
_NAMES = {
    "before": "uncompiled",
    "best_pool_prompt": "best single prompt",
    "nearest": "nearest program",
    "own": "own, before the exchange",
    "after": "compiled",
}
_BASELINES = {
    "best_pool_prompt": "best single prompt of the pool",
    "nearest": "nearest program as it is, with the key terms of this corpus",
}


def compile_report(summary: Summary, jobs: Sequence[TypeCompile]) -> str:
    """The whole report as HTML.

    Args:
        summary: of the run.
        jobs: one a document type, with all their files written.
    """
    sections = [_type_section(job, summary.results[job.doc_type], summary) for job in jobs]
    how = section(
        "How it was made",
        [facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)],
    )
    types = "one document type" if len(jobs) == 1 else f"{len(jobs)} document types"
    lead = (
        f"Programs for {types}, scored on test documents that took no part in compiling. The score of a query is "
        "from 0 to 1: 0 or little for one that fails a check, else "
        "how well it finds its own document and how natural it reads."
    )
    return page("Compiled query-generation programs", lead, [*sections, how])


def _type_section(job: TypeCompile, result: Mapping[str, Any], summary: Summary) -> Html:
    test = result["test"]
    low = test["difference"]["low"]
    rows = [(_NAMES[row], test[row]) for row in job.table]
    rows += [(f"program of {name}", row) for name, row in test.get("other_programs", {}).items()]
    each = max(1, len(job.rows("after")) // max(1, len(job.documents.test)))  # queries a document
    first = {_NAMES[row]: job.rows(row)[::each] for row in ("before", "after")}
    verdict = (
        "The compiled program is better than the uncompiled one: the whole interval of the difference is above 0."
        if low > 0
        else "The difference from the uncompiled program may be chance: its interval reaches 0."
    )
    body = [
        cards(
            [
                (
                    f"{test['before']['accepted']:.0%} → {test['after']['accepted']:.0%}",
                    "queries accepted, before → after",
                ),
                (f"{test['before']['score']:.3f} → {test['after']['score']:.3f}", "score, before → after"),
                (f"{test['difference']['score']:+.3f}", f"difference, 95 % interval {_bounds(test['difference'])}"),
                (str(result["documents"]["test"]), "test documents"),
            ]
        ),
        paragraph(verdict),
        dots(
            mean_scores({_NAMES[row]: job.rows(row) for row in job.table}, seed=summary.seed),
            title="Mean score on test documents, with 95 % intervals",
        ),
        quality(rows, test["cheats"], best=len(job.table) - 1),
        paragraph(
            f"Compiled less {_BASELINES[job.baseline]}: {interval(test[DIFFERENCES[job.baseline]])}. Cheats work "
            "without a language model; a metric that they win is worthless.",
            soft=True,
        ),
        *_less_own(test),
        *_cross_types(test),
        *_notes(result),
        section("The search", [*_history(job), _chosen(result)], level=3),
        section("Why queries were rejected", _reasons(job), level=3),
        section("Samples to read", samples(job.documents.test[:_SAMPLES], first), level=3),
    ]
    return section(job.doc_type, body)


def _bounds(difference: Mapping[str, float]) -> str:
    return f"{difference['low']:+.3f} to {difference['high']:+.3f}"


def _cross_types(test: Mapping[str, Any]) -> list[Html]:
    others = test.get("other_programs", {})
    rows = [[name, interval(row["difference"])] for name, row in others.items()]
    if not rows:
        return []
    return [
        table(
            ["program of another type", "compiled program's score less that of the one compiled for that type"],
            rows,
            numbers={1},
        )
    ]


def _less_own(test: Mapping[str, Any]) -> list[Html]:
    if "difference_own" not in test:
        return []
    return [paragraph(f"Compiled less the type's own program: {interval(test['difference_own'])}.", soft=True)]


def _notes(result: Mapping[str, Any]) -> list[Html]:
    return [paragraph(note) for note in result["notes"]]


def _history(job: TypeCompile) -> list[Html]:
    path = job.out / "trials" / f"{job.name}.jsonl"
    trials = [Trial.model_validate(line) for _, line in read_lines(path)]
    about = paragraph("Mean score of each trial on validation documents; larger dots saw more of them.", soft=True)
    scored = [trial for trial in trials if trial.documents]
    return [history(scored, title="Score per trial and best so far"), about, *_revisions(trials)]


def _revisions(trials: Sequence[Trial]) -> list[Html]:
    """What became of each revision of the instruction, where there were any."""
    rows = [
        [trial.instruction or _NO_REVISION, "accepted" if trial.accepted else "rejected", trial.reason]
        for trial in trials
        if trial.accepted is not None
    ]
    return [table(["revision of the instruction", "", "less the one before it"], rows)] if rows else []


def _chosen(result: Mapping[str, Any]) -> Html:
    chosen, validation = result["chosen"], result["validation"]
    instruction = details("The instruction that was chosen", chosen["instruction"])
    if "own" in validation:
        told = (
            f"The prompt is that of the program for '{result['exchange']['taken_from']}', with its "
            f"{chosen['demonstrations']} demonstrations. On {result['validation_documents']} validation documents of "
            f"this type it scored {validation['after']:.3f}, the type's own program {validation['own']:.3f}. The "
            "trials above led to the own one."
        )
        return join([paragraph(told), instruction])
    other = "before" if "before" in validation else "nearest"
    return join(
        [
            paragraph(
                f"{result['labels']} queries that the model wrote for train documents passed every check and could "
                f"serve as demonstrations; the chosen prompt shows {chosen['demonstrations']}. On the "
                f"validation documents of the last comparison it scored {result['validation']['after']:.3f}, the "
                f"{_NAMES[other]} {result['validation'][other]:.3f}."
            ),
            instruction,
        ]
    )


def _reasons(job: TypeCompile) -> list[Html]:
    pictures = []
    for row in ("before", "after"):
        lines = job.rows(row)
        counts = Counter((line["reason"] or "accepted") if line["query"] else NO_QUERY for line in lines)
        ordered = {name: counts[name] for name, _ in counts.most_common()}
        pictures.append(paragraph(f"{_NAMES[row].capitalize()}, of {len(lines)} queries asked for:", soft=True))
        pictures.append(bars(ordered, title=f"Verdicts, {_NAMES[row]}", whole=len(lines)))
    return pictures
