"""Pictures as inline SVG: dots with whiskers, gains around 0, the history of trials, bars."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log

from inpars_plus.experiments.reports.page import COLOURS, DRAWING, Html
from inpars_plus.optimizers.prompts import Trial

__all__ = ["Dot", "Series", "bars", "curve", "dots", "gains", "history", "picture", "series", "waterfall"]

_WIDTH = 480
_LABEL_CHARACTERS = 24
_COLOURS = 6
_LINE = 14.0
_SERIES_HEIGHT = 220
_SMALL = 0.02
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that a file of XML must not have (XML 1.0, production 2)."""


@dataclass(frozen=True)
class Dot:
    """A value with its interval.

    Attributes:
        label: what it is of.
        value: the mean.
        low: lower end of the interval.
        high: upper end.
    """

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """A named line.

    Attributes:
        label: what it is of.
        points: (x, y), x above 0 and rising.
    """

    label: str
    points: Sequence[tuple[float, float]]


def dots(rows: Sequence[Dot], *, title: str) -> Html:
    """One line a row: a dot at the value, a whisker over its interval, on a common scale from 0."""
    left, right, row_height = 150, 52, 30
    top = _nice(max((row.high for row in rows), default=1.0))
    height = row_height * len(rows) + 26

    def x(value: float) -> float:
        return left + max(0.0, min(1.0, value / top)) * (_WIDTH - left - right)

    parts = []
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line class="rule" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="4" y2="{height - 22}"/>'
            f'<text class="soft" x="{x(value):.1f}" y="{height - 6}" text-anchor="middle">{value:.2f}</text>'
        )
    for at, row in enumerate(rows):
        y = row_height * at + 20
        low, high = f"{x(row.low):.1f}", f"{x(row.high):.1f}"
        whisker = f"M{low} {y}H{high}M{low} {y - 5}V{y + 5}M{high} {y - 5}V{y + 5}"
        parts.append(
            f'<g class="k{at % _COLOURS}"><text x="0" y="{y + 4}">{_short(row.label)}</text>'
            f'<path d="{whisker}" stroke="currentColor" stroke-width="2"/>'
            f'<circle cx="{x(row.value):.1f}" cy="{y}" r="5" fill="currentColor"/>'
            f'<text x="{_WIDTH}" y="{y + 4}" text-anchor="end">{row.value:.3f}</text></g>'
        )
    return _svg(height, parts, title)


def gains(rows: Sequence[Dot], *, title: str) -> Html:
    """One line a row: a difference with its interval, on a common scale around 0."""
    left, right, row_height = 190, 62, 28
    reach = max((abs(end) for row in rows for end in (row.low, row.high, row.value)), default=0.0) or 1.0
    height = row_height * len(rows) + 26

    def x(value: float) -> float:
        return left + (value / reach + 1) / 2 * (_WIDTH - left - right)

    parts = []
    for value in (-reach, -reach / 2, 0.0, reach / 2, reach):
        dash = "" if value == 0 else ' stroke-dasharray="2 4"'
        parts.append(
            f'<line class="rule" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="4" y2="{height - 22}"{dash}/>'
            f'<text class="soft" x="{x(value):.1f}" y="{height - 6}" text-anchor="middle">'
            f"{_signed(value, reach)}</text>"
        )
    for at, row in enumerate(rows):
        y = row_height * at + 18
        # Green and red only where the interval leaves 0 out.
        colour = "good" if row.low > 0 else "bad" if row.high < 0 else "soft"
        low, high = f"{x(row.low):.1f}", f"{x(row.high):.1f}"
        parts.append(
            f'<g><text x="0" y="{y + 4}">{_short(row.label, 30)}</text><g class="{colour}">'
            f'<path d="M{low} {y}H{high}M{low} {y - 4}V{y + 4}M{high} {y - 4}V{y + 4}" stroke="currentColor" '
            f'stroke-width="2"/><circle cx="{x(row.value):.1f}" cy="{y}" r="4.5" fill="currentColor"/></g>'
            f'<text x="{_WIDTH}" y="{y + 4}" text-anchor="end">{row.value:+.3f}</text></g>'
        )
    return _svg(height, parts, title)


def waterfall(values: Sequence[float], *, title: str) -> Html:
    """Differences of queries, the greatest win first: how many are touched, and how much."""
    left, right, height, bottom = 44, 8, 150, 22
    ordered = sorted(values, reverse=True)
    reach = max((abs(value) for value in ordered), default=0.0) or 1.0
    width = (_WIDTH - left - right) / max(1, len(ordered))

    def y(value: float) -> float:
        return 8 + (1 - value / reach) / 2 * (height - bottom - 8)

    parts = [
        f'<line class="rule" x1="{left}" x2="{_WIDTH - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="soft" x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_signed(value, reach)}</text>'
        for value in (reach, 0.0, -reach)
    ]
    for name, better in (("good", True), ("bad", False)):
        path = "".join(
            f"M{left + (at + 0.5) * width:.1f} {y(0):.1f}V{y(value):.1f}"
            for at, value in enumerate(ordered)
            if value and (value > 0) == better
        )
        parts.append(
            f'<path class="{name}" d="{path}" stroke="currentColor" stroke-width="{max(0.6, width * 0.85):.2f}"/>'
        )
    wins, losses = sum(value > 0 for value in ordered), sum(value < 0 for value in ordered)
    parts.append(f'<text class="soft" x="{left}" y="{height - 4}">{wins:,} better</text>')
    parts.append(f'<text class="soft" x="{_WIDTH - right}" y="{height - 4}" text-anchor="end">{losses:,} worse</text>')
    same = len(ordered) - wins - losses
    parts.append(f'<text class="soft" x="{_WIDTH / 2}" y="{height - 4}" text-anchor="middle">{same:,} the same</text>')
    return _svg(height, parts, title)


def history(trials: Sequence[Trial], *, title: str) -> Html:
    """A dot a trial, coloured by stage and larger for more documents, and a line for the best of each stage so far."""
    if not trials:
        return Html("")
    left, right, height, bottom = 44, 8, 220, 30
    top = _nice(max(trial.score for trial in trials))
    stages = list(dict.fromkeys(trial.stage for trial in trials))
    most = max(trial.documents for trial in trials)
    last = max(len(trials) - 1, 1)

    def x(at: int) -> float:
        return left + 6 + at / last * (_WIDTH - left - right - 12)

    def y(value: float) -> float:
        return 8 + (1 - min(1.0, value / top)) * (height - bottom - 8)

    parts = [
        f'<line class="rule" x1="{left}" x2="{_WIDTH - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="soft" x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        for value in (top * step / 4 for step in range(5))
    ]
    best, path = 0.0, ""
    for at, trial in enumerate(trials):
        # Stages see different numbers of documents, and a mean over few is high by luck: the line begins anew in each.
        begins = at == 0 or trials[at - 1].stage != trial.stage
        best = trial.score if begins else max(best, trial.score)
        path += f"M{x(at):.1f} {y(best):.1f}" if begins else f"H{x(at):.1f}V{y(best):.1f}"
    parts.append(f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".45" stroke-width="1.5"/>')
    for at, trial in enumerate(trials):
        radius = 2 + 3.5 * (trial.documents / most) ** 0.5
        hint = escape(f"trial {trial.number}, {trial.stage}: {trial.score:.3f} on {trial.documents} documents")
        parts.append(
            f'<circle class="k{stages.index(trial.stage) % _COLOURS}" cx="{x(at):.1f}" cy="{y(trial.score):.1f}" '
            f'r="{radius:.1f}" fill="currentColor" fill-opacity=".8"><title>{hint}</title></circle>'
        )
    parts.append(f'<text class="soft" x="{left}" y="{height - 8}">trial 1</text>')
    parts.append(f'<text class="soft" x="{_WIDTH - right}" y="{height - 8}" text-anchor="end">{len(trials)}</text>')
    legend = "".join(f'<span class="k{at % _COLOURS}">● {escape(stage)}</span>' for at, stage in enumerate(stages))
    return Html(
        f'{_svg(height, parts, title)}<div class="legend">{legend}<span>— best of the stage so far</span></div>'
    )


def bars(counts: Mapping[str, int], *, title: str, whole: int | None = None) -> Html:
    """One bar a name, with its count and its share of the whole."""
    if not counts:
        return Html("")
    left, right, row_height = 150, 84, 24
    most = max(1, *counts.values())
    whole = whole or sum(counts.values()) or 1
    parts = []
    for at, (name, count) in enumerate(counts.items()):
        y = row_height * at + 4
        width = count / most * (_WIDTH - left - right)
        text = f"{count:,} ({count / whole:.0%})"
        parts.append(
            f'<text x="0" y="{y + 13}">{_short(name.replace("_", " "))}</text>'
            f'<rect class="k{2 if name == "accepted" else 1}" x="{left}" y="{y}" width="{width:.1f}" height="16" '
            f'rx="2" fill="currentColor"/><text x="{left + width + 6:.1f}" y="{y + 13}">{text}</text>'
        )
    return _svg(row_height * len(counts) + 6, parts, title)


def curve(points: Sequence[tuple[float, float]], *, title: str) -> Html:
    """A line through (x, y) points, on scales of their own ranges."""
    left, right, height, bottom = 52, 8, 140, 22
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(0.0, *ys), max(*ys, 0.0)
    across, up = (max(xs) - min(xs)) or 1.0, (high - low) or 1.0

    def x(value: float) -> float:
        return left + (value - min(xs)) / across * (_WIDTH - left - right)

    def y(value: float) -> float:
        return 8 + (high - value) / up * (height - bottom - 8)

    parts = [
        f'<line class="rule" x1="{left}" x2="{_WIDTH - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="soft" x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in (low, (low + high) / 2, high)
    ]
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    parts.append(f'<polyline class="k0" points="{path}" fill="none" stroke="currentColor" stroke-width="1.8"/>')
    parts.append(f'<text class="soft" x="{left}" y="{height - 4}">step {xs[0]:g}</text>')
    parts.append(f'<text class="soft" x="{_WIDTH - right}" y="{height - 4}" text-anchor="end">{xs[-1]:g}</text>')
    return _svg(height, parts, title)


def series(lines: Sequence[Series], *, title: str, beside: Sequence[Series] = ()) -> Html:
    """Named lines over a logarithmic x; each point is marked, and 0 is always in sight.

    Args:
        lines: at least one.
        title: read to whoever cannot see it.
        beside: lines of other pictures, whose scales are to be the same.
    """
    left, right, height, bottom = 58, 120, _SERIES_HEIGHT, 26
    points = [point for line in (*lines, *beside) for point in line.points]
    xs, ys = sorted({x for x, _ in points}), [0.0, *(y for _, y in points)]
    low, high = min(ys), max(ys)
    across, up = (log(xs[-1]) - log(xs[0])) or 1.0, (high - low) or 1.0

    def x(value: float) -> float:
        return left + (log(value) - log(xs[0])) / across * (_WIDTH - left - right)

    def y(value: float) -> float:
        return 10 + (high - value) / up * (height - bottom - 18)

    parts = [
        f'<line class="rule" x1="{left}" x2="{_WIDTH - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="soft" x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+.3f}</text>'
        for value in (0.0, *(end for end in (low, high) if abs(y(end) - y(0.0)) >= _LINE))
    ]
    parts += [
        f'<text class="soft" x="{x(value):.1f}" y="{height - 4}" text-anchor="middle">{value:,g}</text>' for value in xs
    ]
    ends = _apart({line.label: y(line.points[-1][1]) + 4 for line in lines}, last=height - bottom)
    for at, line in enumerate(lines):
        path = " ".join(f"{x(one):.1f},{y(value):.1f}" for one, value in line.points)
        marks = "".join(
            f'<circle cx="{x(one):.1f}" cy="{y(value):.1f}" r="3.5" fill="currentColor"/>' for one, value in line.points
        )
        # All in one column, where no other line passes through the label of one that ends early.
        name = f'<text class="own" x="{_WIDTH - right + 8}" y="{ends[line.label]:.1f}">{_short(line.label, 16)}</text>'
        parts.append(
            f'<g class="k{at % _COLOURS}"><polyline points="{path}" fill="none" stroke="currentColor" '
            f'stroke-width="1.8"/>{marks}{name}</g>'
        )
    return _svg(height, parts, title)


def _apart(wanted: Mapping[str, float], *, last: float) -> dict[str, float]:
    """Where labels of lines that end alike go: a line's height apart, none lower than the last place."""
    names = sorted(wanted, key=lambda name: wanted[name])
    places = dict[str, float]()
    free = -_LINE
    for name in names:
        places[name] = free = max(free + _LINE, wanted[name])
    free = last + _LINE
    for name in reversed(names):
        places[name] = free = min(free - _LINE, places[name])
    return places


def picture(panels: Mapping[str, Sequence[Series]], *, title: str) -> str:
    """A file of its own: under its title, :func:`series` of each panel, two beside each other, on the same scales.

    Args:
        panels: title → at least one line.
        title: what all of them show.
    """
    head, top = 30, 34
    beside = [line for lines in panels.values() for line in lines]
    parts = [f'<text x="12" y="22" style="font-size:14px">{escape(title)}</text>']
    for at, (name, lines) in enumerate(panels.items()):
        x, y = at % 2 * _WIDTH, top + at // 2 * (_SERIES_HEIGHT + head)
        chart = series(lines, title=name, beside=beside).removeprefix("<svg ")
        parts.append(
            f'<text x="{x + 12}" y="{y + 20}" style="font-weight:600">{escape(name)}</text>'
            f'<svg x="{x}" y="{y + head}" width="{_WIDTH}" height="{_SERIES_HEIGHT}" {chart}'
        )
    width, height = 2 * _WIDTH, top + -(-len(panels) // 2) * (_SERIES_HEIGHT + head)
    drawn = _NO_XML.sub("", "".join(parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
        f'<style>{COLOURS}{DRAWING}</style><rect width="{width}" height="{height}" style="fill:var(--paper)"/>'
        f"{drawn}</svg>\n"
    )


def _svg(height: int, parts: Sequence[str], title: str) -> Html:
    return Html(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _short(label: str, longest: int = _LABEL_CHARACTERS) -> str:
    cut = label if len(label) <= longest else f"{label[: longest - 1]}…"
    return escape(cut)


def _signed(value: float, reach: float) -> str:
    """A number of an axis around 0, with as many digits as tell it from the others."""
    return f"{value:+.3f}" if reach < _SMALL else f"{value:+.2f}"


def _nice(value: float) -> float:
    """The end of a scale a little above a share."""
    return next((top for top in (0.04, 0.08, 0.2, 0.4, 0.6, 0.8, 1.0) if value <= top), 1.0)
