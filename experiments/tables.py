"""Tables of figures for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["MEASURES", "interval", "number", "quality_table", "text_table"]

MEASURES = ("score", "accepted", "hit@10", "copy4", "top_opening")
"""The columns of a quality table, in order."""


def number(value: float | None) -> str:
    """A share or score with three digits; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def interval(difference: Mapping[str, float]) -> str:
    """A difference with its interval, such as ``+0.120 [+0.080, +0.161]``."""
    return f"{difference['score']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()) -> str:
    """A table with a ruled head; the columns in ``numbers`` are set flush right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([row(head), "  ".join("-" * width for width in widths), *map(row, rows)])


def quality_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a program or cheat, one column a measure.

    Args:
        rows: label → what :func:`inpars_plus.metrics.query_metric.summarize` gives.
    """
    head = ["", *(name.replace("_", " ") for name in MEASURES)]
    cells = [[label, *(number(row[name]) for name in MEASURES)] for label, row in rows.items()]
    return text_table(head, cells, numbers=set(range(1, len(head))))
