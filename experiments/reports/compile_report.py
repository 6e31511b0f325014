"""The report of ``compile-programs``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from inpars_plus.experiments.compiling import DIFFERENCES, TypeCompile
from inpars_plus.experiments.reports.charts import Dot, bars, dots, history
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
from inpars_plus.experiments.tables import MEASURES, interval, number
from inpars_plus.foundation import Summary, read_lines
from inpars_plus.metrics.checks import REASONS
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import Trial
from inpars_plus.programs import GENERATION_REASONS

__all__ = ["compile_report", "excerpt", "reason_text", "verdict"]

_SAMPLES = 8
_NO_QUERY = "no reply passed"
_NO_REVISION = "(none)"
_EXCERPT = 260
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
        dots(_dots(job, summary.seed), title="Mean score on test documents, with 95 % intervals"),
        _quality(job.table, test),
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
        section("Samples to read", _samples(job), level=3),
    ]
    return section(job.doc_type, body)


def _bounds(difference: Mapping[str, float]) -> str:
    return f"{difference['low']:+.3f} to {difference['high']:+.3f}"


def _dots(job: TypeCompile, seed: int) -> list[Dot]:
    found = []
    for row in job.table:
        scores = [float(line["score"]) for line in job.rows(row)]
        mean = paired_bootstrap([0.0] * len(scores), scores, seed=seed)
        found.append(Dot(_NAMES[row], mean.score, mean.low, mean.high))
    return found


def _quality(rows_of_table: Sequence[str], test: Mapping[str, Any]) -> Html:
    labelled = [(_NAMES[row], test[row]) for row in rows_of_table]
    labelled += [(f"program of {name}", row) for name, row in test.get("other_programs", {}).items()]
    own = len(labelled)
    labelled += [(f"cheat: {name.replace('_', ' ')}", row) for name, row in test["cheats"].items()]
    rows = [[label, *(number(row[measure]) for measure in MEASURES)] for label, row in labelled]
    head = ["", "score", "accepted", "hit@10", "copied 4-grams", "top opening"]
    return table(head, rows, numbers=set(range(1, 6)), strong={len(rows_of_table) - 1}, weak=set(range(own, len(rows))))


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
        counts = Counter((line["reason"] or "accepted") if line["query"] else _NO_QUERY for line in lines)
        ordered = {name: counts[name] for name, _ in counts.most_common()}
        pictures.append(paragraph(f"{_NAMES[row].capitalize()}, of {len(lines)} queries asked for:", soft=True))
        pictures.append(bars(ordered, title=f"Verdicts, {_NAMES[row]}", whole=len(lines)))
    return pictures


def _samples(job: TypeCompile) -> list[Html]:
    rows = {row: job.rows(row) for row in ("before", "after")}
    count = max(1, len(rows["after"]) // max(1, len(job.documents.test)))
    found = [paragraph("Drawn at random, not chosen.", soft=True)]
    for at, document in enumerate(job.documents.test[:_SAMPLES]):
        queries = [
            Html(f"<p><b>{_NAMES[row].capitalize()}:</b> {verdict(rows[row][at * count])}</p>")
            for row in ("before", "after")
        ]
        found.append(
            Html(f'<div class="sample">{paragraph(excerpt(document.full_text), soft=True)}{join(queries)}</div>')
        )
    return found


def verdict(line: Mapping[str, Any]) -> Html:
    """A judged query and what was said of it."""
    if not line["query"]:
        return Html(f'<span class="bad">{_NO_QUERY}</span>')
    query = escape(line["query"])
    if line["accepted"]:
        return Html(f'“{query}” <span class="good">accepted, rank {line["rank"]}, score {line["score"]:.2f}</span>')
    return Html(f'“{query}” <span class="bad">{escape(reason_text(line["reason"]))}</span>')


def reason_text(reason: str) -> str:
    """The sentence that explains a reason."""
    return REASONS.get(reason) or GENERATION_REASONS.get(reason) or reason.replace("_", " ")


def excerpt(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}…"
