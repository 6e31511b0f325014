"""The report of ``evaluate-runs``: tables, gains with intervals, and what happens query by query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inpars_plus.experiments.reports.charts import Dot, gains, waterfall
from inpars_plus.experiments.reports.generation_report import verdicts
from inpars_plus.experiments.reports.page import Html, details, facts, join, page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number
from inpars_plus.foundation import Summary
from inpars_plus.metrics.evaluation import Evaluation, shown_measures

__all__ = ["evaluation_report", "remarks"]

_SHOWN = 8
_ALPHA = 0.05
_CUTOFF = re.compile(r"(?:@|cutoff\s*=)\s*(\d+)")


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
        several = len({result["baseline"] for result in results.values()}) > 1
        other = "its collection's baseline" if several else "the baseline"
        body += [
            paragraph(f"{measure} less that of {other}, with 95 % intervals over queries:"),
            gains(rows, title=f"Gain in {measure} by system"),
        ]
    odd = remarks(results)
    body += [
        section(name, _collection(result, odd[name], evaluations[name], texts[name], measure))
        for name, result in results.items()
    ]
    how = facts(summary.settings, summary.hashes, summary.lm, summary.seconds, summary.peak_memory_mb)
    lead = (
        "Search systems on human judgments. Every system is compared with the baseline on the same queries; p is of a "
        "paired randomisation test, adjusted by Holm's method for the number of systems."
    )
    return page("Search systems compared", lead, [*body, section("How it was made", [how])])


def remarks(results: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """What explains a figure that is lower than its system deserves, in sentences for terminal and report.

    Args:
        results: of the evaluation, by collection.

    Returns:
        Collection → a sentence for each thing that is odd; none where nothing is.
    """
    everywhere = dict.fromkeys(system for result in results.values() for system in result["systems"])
    several = len({result["baseline"] for result in results.values()}) > 1
    said = dict[str, list[str]]()
    for name, result in results.items():
        said[name] = []
        if several:
            said[name].append(
                f"No system has a run for every collection, so the baseline of this one is {result['baseline']}."
            )
        missing = [system for system in everywhere if system not in result["systems"]]
        if missing:
            said[name].append(f"{', '.join(missing)}: no run for this collection.")
        if result.get("seen_queries_left_out"):
            said[name].append(
                f"{result['seen_queries_left_out']:,} queries that were trained on or shown are left out."
            )
        said[name] += [*_self_matches(result), *_of_systems(result)]
    return said


def _self_matches(result: Mapping[str, Any]) -> list[str]:
    judgments = result["judgments_of_the_query_itself"]
    dropped = [f"{judgments:,} judgments"] if judgments else []
    for name, row in result["systems"].items():
        if row["results_of_the_query_itself"]:
            dropped.append(f"{row['results_of_the_query_itself']:,} results of {name}")
    if not dropped:
        return []
    return [
        f"Not counted, since the document has the id of its query: {', '.join(dropped)}. If ids of queries and "
        "documents are alike by chance, as numbers are, rename one kind."
    ]


def _of_systems(result: Mapping[str, Any]) -> list[str]:
    """What is odd about runs; those of which the same is said share a line."""
    names: dict[str, list[str]] = {}
    for name, row in result["systems"].items():
        for what in _of_system(row, result["queries"], shown_measures(result["measure"])):
            names.setdefault(what, []).append(name)
    return [f"{', '.join(of)}: {what}" for what, of in names.items()]


def _of_system(row: Mapping[str, Any], queries: int, measures: tuple[str, ...]) -> list[str]:
    without, beside, deepest = row["queries_without_result"], row["queries_not_evaluated"], row["deepest"]
    said = []
    if without:
        said.append(f"no result for {without:,} of {queries:,} queries; they count 0.")
    if beside:
        said.append(f"results for {beside:,} queries that are not judged or are left out.")
    if not row["finds_a_judged_document"]:
        said.append(
            "no document that it found is judged for any query; check that the document ids are those of the judgments."
        )
    if row["constant_scores"]:
        said.append("all documents of a query have the same score, so the order of the file decides.")
    # What is 1 already would be no more with more documents.
    deeper = [one for one in measures if row[one] != 1 and (cut := _CUTOFF.search(one)) and int(cut[1]) > deepest]
    if deeper:
        said.append(
            f"at most {deepest:,} results for a query, so {', '.join(deeper)} may be too low, unless there are no more "
            "documents."
        )
    return said


def _ends(difference: Mapping[str, float]) -> dict[str, float]:
    return {"value": difference["score"], "low": difference["low"], "high": difference["high"]}


def _collection(
    result: Mapping[str, Any], odd: list[str], evaluation: Evaluation, texts: Mapping[str, str], measure: str
) -> list[Html]:
    baseline = result["baseline"]
    parts = [paragraph(_said(result)), *(paragraph(one, soft=True) for one in odd), _table(result, measure)]
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
        ("repeated_queries", "queries have the text of another one; all count"),
        ("relevant_documents_unknown", "relevant documents are not in the corpus; they count as not found"),
    ):
        if result.get(key):
            said += f" {result[key]:,} {what}."
    return said


def _table(result: Mapping[str, Any], measure: str) -> Html:
    measures = shown_measures(measure)
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
