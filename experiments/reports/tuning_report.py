"""The report of ``tune-generator``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document
from inpars_plus.experiments.reports.charts import bars, curve, dots
from inpars_plus.experiments.reports.page import Html, cards, details, facts, join, page, paragraph, section
from inpars_plus.experiments.reports.quality import Lines, mean_scores, quality, samples
from inpars_plus.experiments.tables import interval
from inpars_plus.foundation import Summary, read_lines
from inpars_plus.metrics.words import words

__all__ = ["tuning_report", "tuning_rows"]

_ROWS = {
    "before": "before",
    "before_with_openings": "before, given openings",
    "after": "after",
    "before_sampled": "before, sampled",
    "after_sampled": "after, sampled",
}

_SAMPLES = 10
_CURVES = {
    "loss": "Loss a step",
    "margin": "Margin: how much likelier the preferred query is, times beta",
    "reward": "Reward on validation documents",
    "kl": "Distance to the base (KL, nats a token)",
}


def tuning_rows(compare: Sequence[str], *, offer_cheats: bool) -> dict[str, str]:
    """The rows of the quality table and what they are called, from the settings of the run."""
    rows = _ROWS | {f"compared_{number}": f"compared: {name}" for number, name in enumerate(compare, 1)}
    return rows | ({"first_try": "after, first tries"} if offer_cheats else {})


def tuning_report(summary: Summary, documents: Sequence[Document]) -> str:
    """The whole report as HTML.

    Args:
        summary: of the run, with one document type.
        documents: the test documents, in the order of the score files.
    """
    out = Path(summary.settings["out"])
    ((doc_type, result),) = summary.results.items()
    test = result["test"]
    rows = tuning_rows(summary.settings["compare"], offer_cheats=summary.settings["offer_cheats"])
    lines = {row: [line for _, line in read_lines(out / "scores" / f"{row}.jsonl")] for row in rows}
    first = {_ROWS[row]: lines[row] for row in ("before", "after")}
    before, after, dense = test["before"], test["after"], test["dense"]
    body = [
        cards(
            [
                (f"{before['accepted']:.0%} → {after['accepted']:.0%}", "queries accepted, before → after"),
                (f"{before['top_opening']:.0%} → {after['top_opening']:.0%}", "begin with the most frequent word"),
                (f"{dense['before']:.0%} → {dense['after']:.0%}", "found by the encoder alone, top 10"),
                (str(after["documents"]), "test documents"),
            ]
        ),
        dots(
            mean_scores({name: lines[row] for row, name in rows.items()}, seed=summary.seed),
            title="Mean score on test documents, with 95 % intervals",
        ),
        quality([(name, test[row]) for row, name in rows.items()], test["cheats"], best=[*rows].index("after")),
        paragraph(
            f"Score, after less before: {interval(test['difference'])}; sampled at temperature 0.7: "
            f"{interval(test['difference_sampled'])}. Found in the top 10 by the encoder alone, which no reward has "
            f"seen: {interval(dense['difference'])}."
        ),
        paragraph(
            "Before, given openings: the model as it was, asked with the same beginnings as the tuned one. What that "
            "row has is not the training's merit. Cheats work without a language model; a metric that they win is "
            "worthless.",
            soft=True,
        ),
        section("How the queries begin", _openings(lines), level=3),
        section("Training", [_round(out, at, one) for at, one in enumerate(result["rounds"], 1)], level=3),
        section("Samples to read", samples(documents[:_SAMPLES], first), level=3),
    ]
    how = section(
        "How it was made",
        [facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)],
    )
    lead = (
        "A language model tuned on the queries that retrieval rewards, in the compiled program that it was tuned for, "
        "on test documents that nothing was compiled or tuned on."
    )
    return page("Tuned query generator", lead, [section(doc_type, body), how])


def _openings(lines: Mapping[str, Lines]) -> list[Html]:
    parts = []
    for row in ("before", "after"):
        # As in the table: the first words of the queries that came.
        first = [words(line["query"] or "")[:1] for line in lines[row]]
        counts = Counter(word for one in first for word in one)
        parts.append(paragraph(f"{_ROWS[row].capitalize()}:", soft=True))
        parts.append(bars(dict(counts.most_common(10)), title=f"First words, {row}", whole=counts.total()))
    return parts


def _round(out: Path, at: int, result: Mapping[str, Any]) -> Html:
    log = [line for _, line in read_lines(out / "rounds" / str(at) / "training" / "train.jsonl")]
    sampled, pairs, training = result["sampled"], result["pairs"], result["training"]
    parts = [
        paragraph(
            f"Round {at} ({result['loss']}): {sampled['candidates']:,} candidates for {sampled['documents']:,} "
            f"documents, {sampled['accepted']:.0%} accepted; {pairs['pairs']:,} pairs; {training['steps']} steps, "
            f"weights of step {training['best_step']} kept."
        )
    ]
    for key, title in _CURVES.items():
        points = [(float(line["step"]), float(line[key])) for line in log if key in line]
        if len(points) > 1:
            parts += [paragraph(f"{title}:", soft=True), curve(points, title=f"{title}, round {at}")]
    parts.append(details(f"Round {at} in figures", dict(result)))
    return join(parts)
