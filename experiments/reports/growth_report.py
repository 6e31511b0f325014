"""How rankers grow with the number of queries, as a page, a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inpars_plus.experiments.reports.charts import Series, picture, series
from inpars_plus.experiments.reports.page import page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number, text_table

__all__ = ["SHARES", "TEMPLATES", "enough_queries", "growth_picture", "growth_report", "growth_table"]

TEMPLATES = "templates"
"""The cheat that stands beside the generators."""
SHARES = ("feedback", "smoothing")
"""What a fusion does beside summing."""

_SYSTEMS = {"fusion": "In the fusion", "dense": "Dense retrieval alone"}
"""What a query encoder is part of, as ``JudgedBench.encoder_learned`` names it, and in words."""
_ROUGHLY = 0.001
"""Of nDCG@10: as good as."""
_NUMBERS = {1, 2, 3, 4, 5}
_NOTE = (
    "Intervals and tests are over people's queries, of means over the seeds; p is adjusted for the generators of one "
    "number of queries."
)

_Rows = Sequence[Mapping[str, Any]]


def growth_report(results: Mapping[str, Any], *, unchecked: bool) -> str:
    """A page: for each collection and system a picture, a table, and how many queries are as good as how many.

    Args:
        results: collection → its part of the summary of ``measure_growth``; so below.
        unchecked: the first query that was written for each document counted.
    """
    body = []
    for name, one in results.items():
        parts = [paragraph(_about(one))]
        for system, found in one["systems"].items():
            lines = _lines(found["generators"])
            title = f"{_SYSTEMS[system]}: gain in nDCG@10 over the same without queries, by number of queries"
            parts += [series(lines, title=title)] if lines else []
            parts.append(table(_head(system, found), _cells(found["generators"]), numbers=_NUMBERS))
            parts += [paragraph(said) for said in _said(one, found)]
        body.append(section(name, parts))
    return page("Growth", f"{_lead(unchecked)} {_NOTE}", body)


def growth_picture(results: Mapping[str, Any]) -> str:
    """All of it in one picture, a file of its own."""
    panels = {
        f"{name}, {_SYSTEMS[system].lower()}": _lines(found["generators"])
        for name, one in results.items()
        for system, found in one["systems"].items()
        if any(found["generators"].values())
    }
    return picture(panels, title="Gain in nDCG@10 over no queries, by number of generated queries")


def growth_table(results: Mapping[str, Any], *, unchecked: bool) -> str:
    """The same for a terminal, without pictures."""
    said = [_lead(unchecked), _NOTE, ""]
    for name, one in results.items():
        said += [f"{name}: {_about(one)}", ""]
        for system, found in one["systems"].items():
            rows = text_table(_head(system, found), _cells(found["generators"]), numbers=_NUMBERS)
            said += [rows, *_said(one, found), ""]
    return "\n".join(said)


def enough_queries(better: _Rows, best: Mapping[str, Any], without: float) -> int | None:
    """The fewest queries of a generator that are as good, by the mean, as another one's best number.

    Args:
        better: rows of the generator, by number of queries.
        best: the other's row.
        without: nDCG@10 without queries; what is below is not as good as anything.

    Returns:
        The number; ``None`` where none that was tried is enough.
    """
    goal = max(best["ndcg@10"] - _ROUGHLY, without)
    return next((int(row["queries"]) for row in better if row["ndcg@10"] >= goal), None)


def _said(one: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Who has too few queries; for each generator but the cheat, how many are as good as the first one's best."""
    generators = found["generators"]
    first, *others = (name for name in generators if name != TEMPLATES or len(generators) == 1)
    tried = max((row["queries"] for rows in generators.values() for row in rows), default=0)
    few = [
        f"There are only {one['numbers'][name]:,} queries of {name}."
        for name, rows in generators.items()
        if not rows or rows[-1]["queries"] < tried
    ]
    if not generators[first] or not others:
        return few
    best = max(generators[first], key=lambda row: float(row["ndcg@10"]))
    most = best["queries"]
    sure = best["gain"]["low"] > 0
    said = [
        f"The best number of {first} is {most:,}, "
        + ("better than none." if sure else "which is not better than none beyond chance.")
    ]
    for name in others:
        rows = generators[name]
        enough = enough_queries(rows, best, found["without_queries"])
        if rows and enough is None:
            said.append(f"No number of {name} that was tried is as good as these, by the mean.")
        elif rows and enough is not None:
            at_most = "at most " if enough == rows[0]["queries"] else ""
            said.append(
                f"{enough:,} of {name} are as good as these, by the mean: {at_most}{enough / most:.0%} as many."
            )
    return [*few, *said]


def _lines(generators: Mapping[str, _Rows]) -> list[Series]:
    return [
        Series(generator, [(row["queries"], row["gain"]["score"]) for row in rows])
        for generator, rows in generators.items()
        if rows
    ]


def _lead(unchecked: bool) -> str:
    which = "the first that was written for each document, kept or dropped" if unchecked else "those that were kept"
    return f"Query encoders that learned from generated queries alone ({which}), judged by people."


def _about(one: Mapping[str, Any]) -> str:
    untrained = (
        f"The untrained system that choose-ranker picks, {one['chosen']}, has {number(one['untrained'])}, and "
        f"{number(one['smoothed'])} smoothed."
    )
    fusion = one["fusion"]
    if fusion is None:
        return f"{untrained} Documents have too few lines to spare for learning the weights of a fusion."
    weights = [f"{part['kind']} {part['weight']:.2f}" for part in fusion["components"]]
    shares = [f"{name} {fusion[name]:g}" for name in SHARES]
    return f"{untrained} The fusion: {', '.join([*weights, *shares])}."


def _head(system: str, found: Mapping[str, Any]) -> list[str]:
    first = next(iter(found["generators"]))
    return [
        _SYSTEMS[system],
        "queries",
        "nDCG@10",
        f"less none, {number(found['without_queries'])}",
        f"less {first}",
        "p (Holm)",
    ]


def _cells(generators: Mapping[str, _Rows]) -> list[list[str]]:
    cells = []
    for generator, rows in generators.items():
        for row in rows:
            compared = row.get("p_holm") is not None
            less = [interval(row["less_first"]), number(row["p_holm"])] if compared else ["", ""]
            cells.append([generator, f"{row['queries']:,}", number(row["ndcg@10"]), interval(row["gain"]), *less])
    return cells
