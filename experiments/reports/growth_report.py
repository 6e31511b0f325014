"""How rankers grow with the number of queries, as a page, a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inpars_plus.experiments.judged_bench import MEASURE
from inpars_plus.experiments.reports.charts import Series, picture, series
from inpars_plus.experiments.reports.page import page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number, text_table

__all__ = ["TEMPLATES", "equal_share", "growth_picture", "growth_report", "growth_table"]

TEMPLATES = "templates"
"""The cheat that stands beside the generators."""

_SYSTEMS = {"fusion": "In the fusion", "dense": "Dense retrieval alone"}
"""What a query encoder is part of, as :class:`JudgedBench` names it, and in words."""
_ROUGHLY = 0.001
"""Of nDCG@10: as good as."""


def equal_share(better: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> float | None:
    """What share of the number of queries at which the other is best is enough for the better to be as good.

    Args:
        better: rows of one generator, by number of queries.
        other: those of another one.

    Returns:
        The share; ``None`` where none of the numbers is enough, or where the other's best is no better than no queries.
    """
    best = _best(other)
    if best is None:
        return None
    enough = next((row["queries"] for row in better if row["ndcg@10"] >= best["ndcg@10"] - _ROUGHLY), None)
    return None if enough is None else float(enough) / float(best["queries"])


def _best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The best of all numbers of queries, if it is better than none."""
    best = max(rows, key=lambda row: float(row["ndcg@10"]), default=None)
    return best if best is not None and best["gain"]["score"] > 0 else None


def _said(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """For each generator but the first, at what share of the first one's queries its own equal them."""
    first, *others = (name for name in generators if name != TEMPLATES or len(generators) == 1)
    if not generators[first] or not others:
        return []
    best = _best(generators[first])
    if best is None:
        return [f"No number of queries of {first} is better than none, so there is no share of them to tell."]
    told = f"{best['queries']:,} of {first}, its best number"
    found = []
    for name in others:
        share = equal_share(generators[name], generators[first])
        found.append(
            f"No number of queries of {name} is as good as {told}."
            if share is None
            else f"{share:.0%} as many queries of {name} are as good as {told}."
        )
    return found


def growth_report(results: Mapping[str, Any]) -> str:
    """A page: for each collection and system a picture, a table, and at what shares generators are alike.

    Args:
        results: collection → its part of the summary of ``measure_growth``; so below.
    """
    body = []
    for name, one in results.items():
        parts = [paragraph(_untrained(one))]
        for system, found in one["systems"].items():
            generators = found["generators"]
            lines = _lines(generators)
            title = f"{_SYSTEMS[system]}: gain over the same without queries, by number of queries"
            parts += [series(lines, title=title)] if lines else []
            parts.append(table(_head(found), _cells(generators), numbers={1, 2, 3, 4}))
            parts += [paragraph(said) for said in _said(generators)]
        body.append(section(name, parts))
    return page("Growth", "Query encoders that learned from generated queries alone, judged by people.", body)


def _lines(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Series]:
    return [
        Series(generator, [(row["queries"], row["gain"]["score"]) for row in rows])
        for generator, rows in generators.items()
        if rows
    ]


def growth_picture(results: Mapping[str, Any]) -> str:
    """All of it in one picture, a file of its own."""
    return picture(
        {
            f"{name}, {_SYSTEMS[system].lower()}": _lines(found["generators"])
            for name, one in results.items()
            for system, found in one["systems"].items()
            if any(found["generators"].values())
        }
    )


def growth_table(results: Mapping[str, Any]) -> str:
    """The same for a terminal, without pictures."""
    said = []
    for name, one in results.items():
        said += [f"{name}: {_untrained(one)}", ""]
        for system, found in one["systems"].items():
            rows = text_table(_head(found), _cells(found["generators"]), numbers={1, 2, 3, 4})
            said += [_SYSTEMS[system], rows, *_said(found["generators"]), ""]
    return "\n".join(said)


def _untrained(one: Mapping[str, Any]) -> str:
    return (
        f"the untrained system that choose-ranker picks, {one['chosen']}, has {number(one['untrained'])}, and "
        f"{number(one['smoothed'])} smoothed"
    )


def _head(found: Mapping[str, Any]) -> list[str]:
    first = next(iter(found["generators"]))
    return [
        "generator",
        "queries",
        MEASURE,
        f"less none, {number(found['without_queries'])}",
        f"less {first}, p (Holm)",
    ]


def _cells(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    cells = []
    for generator, rows in generators.items():
        for row in rows:
            less = row.get("less_first")
            compared = "" if less is None else f"{interval(less)}, {less['p_holm']:.3f}"
            cells.append([generator, f"{row['queries']:,}", number(row["ndcg@10"]), interval(row["gain"]), compared])
    return cells
