"""The report of ``evaluate-runs``: tables, gains with intervals, and what happens query by query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inpars_plus.experiments.reports.charts import Dot, gains, waterfall
from inpars_plus.experiments.reports.generation_report import verdicts
from inpars_plus.experiments.reports.page import Html, details, facts, join, page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number
from inpars_plus.foundation import Summary
from inpars_plus.metrics.evaluation import MEASURES, Evaluation

__all__ = ["evaluation_report"]

_SHOWN = 8
_ALPHA = 0.05


def evaluation_report(
    summary: Summary, evaluations: Mapping[str, Evaluation], texts: Mapping[str, Mapping[str, str]]
) -> str:
    """The page.

    Args:
        summary: of the evaluation.
        evaluations: collection → the values behind it.
        texts: collection → query id → text.
    """
    results = summary.results
    measure = next(iter(results.values()))["measure"]
    rows = [
        Dot(f"{collection}: {name}" if len(results) > 1 else name, **_ends(row["compared"]["difference"]))
        for collection, result in results.items()
        for name, row in result["systems"].items()
        if "compared" in row
    ]
    body = []
    if rows:
        body += [
            paragraph(f"{measure} less that of the baseline, with 95 % intervals over queries:"),
            gains(rows, title=f"Gain in {measure} by system"),
        ]
    body += [
        section(name, _collection(result, evaluations[name], texts[name], measure)) for name, result in results.items()
    ]
    how = facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)
    lead = (
        "Search systems on human judgments. Every system is compared with the baseline on the same queries; p is of a "
        "paired randomisation test, adjusted by Holm's method for the number of systems."
    )
    return page("Search systems compared", lead, [*body, section("How it was made", [how])])


def _ends(difference: Mapping[str, float]) -> dict[str, float]:
    return {"value": difference["score"], "low": difference["low"], "high": difference["high"]}


def _collection(
    result: Mapping[str, Any], evaluation: Evaluation, texts: Mapping[str, str], measure: str
) -> list[Html]:
    baseline = result["baseline"]
    parts = [paragraph(_said(result)), _table(result, measure)]
    for name, row in result["systems"].items():
        if "compared" in row:
            before, after = evaluation.values[baseline][measure], evaluation.values[name][measure]
            deltas = [new - old for old, new in zip(before, after, strict=True)]
            parts.append(
                section(
                    f"{name} less {baseline}, query by query",
                    [
                        waterfall(deltas, title=f"{measure} of {name} less {baseline} by query"),
                        _extremes(evaluation.queries, deltas, before, after, texts, (baseline, name)),
                    ],
                    level=3,
                )
            )
    if "candidates" in result:
        told = paragraph(
            "What became of every candidate of the generation that systems were trained on, and why it was dropped.",
            soft=True,
        )
        candidates = result["candidates"]
        learned = [told, verdicts(candidates["accepted"], candidates["reasons"])]
        parts.append(section("The queries that were learned from", learned, level=3))
    return parts


def _said(result: Mapping[str, Any]) -> str:
    said = f"{result['queries']:,} queries with a relevant document."
    for key, what in (
        ("queries_without_a_relevant_document", "queries without one are left out"),
        ("judged_queries_without_text", "judged queries have no text and are left out"),
        ("seen_queries_left_out", "queries that were trained on or shown are left out"),
        ("repeated_queries", "queries have the text of another one; all count"),
        ("relevant_documents_unknown", "relevant documents are not in the corpus; they count as not found"),
    ):
        if result.get(key):
            said += f" {result[key]:,} {what}."
    return said


def _table(result: Mapping[str, Any], measure: str) -> Html:
    measures = tuple(dict.fromkeys((measure, *MEASURES)))
    rows, strong, weak = [], set[int](), set[int]()
    for at, (name, row) in enumerate(result["systems"].items()):
        compared = row.get("compared")
        cells = [name, *(number(row[one]) for one in measures)]
        if compared is None:
            cells += ["baseline", "", ""]
        else:
            better = compared["difference"]["score"] > 0
            cells += [interval(compared["difference"]), f"{compared['p']:.4f}", f"{compared['p_holm']:.4f}"]
            if compared["p_holm"] < _ALPHA:
                (strong if better else weak).add(at)
        rows.append([*cells, f"{row['queries_without_result']:,}" if row["queries_without_result"] else ""])
    head = ["", *measures, f"{measure} less {result['baseline']}", "p", "p (Holm)", "queries without result"]
    return table(head, rows, numbers=set(range(1, len(head))), strong=strong, weak=weak)


def _extremes(
    queries: tuple[str, ...],
    deltas: list[float],
    before: tuple[float, ...],
    after: tuple[float, ...],
    texts: Mapping[str, str],
    names: tuple[str, str],
) -> Html:
    order = sorted(range(len(queries)), key=lambda at: (-deltas[at], queries[at]))
    wins = [at for at in order if deltas[at] > 0][:_SHOWN]
    losses = [at for at in reversed(order) if deltas[at] < 0][:_SHOWN]
    head = ["query", *names, "difference"]

    def rows(chosen: list[int]) -> list[list[object]]:
        return [
            [texts.get(queries[at], queries[at]), number(before[at]), number(after[at]), f"{deltas[at]:+.3f}"]
            for at in chosen
        ]

    shown = [
        join([paragraph(title, soft=True), table(head, rows(chosen), numbers={1, 2, 3})])
        for title, chosen in (("Where it wins most:", wins), ("Where it loses most:", losses))
        if chosen
    ]
    every = {queries[at]: round(deltas[at], 4) for at in order if deltas[at]}
    return join([*shown, details("Every query that differs", every)])
