"""What reports say of judged queries: how well each program did, and samples to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from inpars_plus.corpora import Document
from inpars_plus.experiments.reports.charts import Dot
from inpars_plus.experiments.reports.page import Html, join, paragraph, table
from inpars_plus.experiments.tables import MEASURES, number
from inpars_plus.metrics.checks import REASONS
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.programs import GENERATION_REASONS

__all__ = ["NO_QUERY", "Lines", "excerpt", "mean_scores", "quality", "reason_text", "samples", "verdict"]

Lines = Sequence[Mapping[str, Any]]
"""Judged queries, as :func:`inpars_plus.experiments.workbench.judged_row` writes them."""

NO_QUERY = "no reply passed"
"""What is said where a model gave no query."""

_EXCERPT = 260


def mean_scores(rows: Mapping[str, Lines], *, seed: int) -> list[Dot]:
    """The mean score of each row with its interval.

    Args:
        rows: label → judged queries.
        seed: of the intervals.
    """
    found = []
    for label, lines in rows.items():
        scores = [float(line["score"]) for line in lines]
        mean = paired_bootstrap([0.0] * len(scores), scores, seed=seed)
        found.append(Dot(label, mean.score, mean.low, mean.high))
    return found


def quality(
    rows: Sequence[tuple[str, Mapping[str, Any]]], cheats: Mapping[str, Mapping[str, Any]], *, best: int
) -> Html:
    """The quality table.

    Args:
        rows: label and measures, in order.
        cheats: name → measures; they stand below.
        best: place of the row that the report is about.
    """
    labelled = [*rows, *((f"cheat: {name.replace('_', ' ')}", row) for name, row in cheats.items())]
    cells = [[label, *(number(row[measure]) for measure in MEASURES)] for label, row in labelled]
    head = ["", "score", "accepted", "hit@10", "copied 4-grams", "top opening"]
    return table(head, cells, numbers=set(range(1, 6)), strong={best}, weak=set(range(len(rows), len(cells))))


def samples(documents: Sequence[Document], rows: Mapping[str, Lines]) -> list[Html]:
    """Documents with their queries and what was said of them.

    Args:
        documents: to show; they were drawn at random before.
        rows: label → a judged query for each document, in the same order; more are passed over.
    """
    found = [paragraph("Drawn at random, not chosen.", soft=True)]
    for at, document in enumerate(documents):
        queries = [Html(f"<p><b>{label.capitalize()}:</b> {verdict(lines[at])}</p>") for label, lines in rows.items()]
        found.append(
            Html(f'<div class="sample">{paragraph(excerpt(document.full_text), soft=True)}{join(queries)}</div>')
        )
    return found


def verdict(line: Mapping[str, Any]) -> Html:
    """A judged query and what was said of it."""
    if not line["query"]:
        return Html(f'<span class="bad">{NO_QUERY}</span>')
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
