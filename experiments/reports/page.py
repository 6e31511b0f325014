"""The page around a report, and the pieces that it is put together from; every text is escaped here."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

from inpars_plus.foundation import LmUsage

__all__ = ["COLOURS", "DRAWING", "Html", "cards", "details", "facts", "join", "page", "paragraph", "section", "table"]


class Html(str):
    """Text that is HTML already; anything else gets escaped."""

    __slots__ = ()


COLOURS = """
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6577;--line:#d9dee7;--paper:#fff;--panel:#f5f7fa;
--a:#1f5fbf;--b:#b3541e;--c:#2b8a57;--d:#7b4bb3;--e:#8a7a1f;--f:#a3316f;--bad:#b02a37;--good:#1e7d45}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8f0;--soft:#9aa5b8;--line:#343c4b;--paper:#141821;--panel:#1c222d;
--a:#7db0ff;--b:#f0a070;--c:#6fd09c;--d:#c3a0f0;--e:#d9c76a;--f:#f08cc0;--bad:#ff8a94;--good:#6fd09c}}
"""
"""Of a page, and of a picture that stands alone; by day and by night."""
DRAWING = """
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft);font-size:12px}
svg .rule{stroke:var(--line)}svg .own{fill:currentColor}
.k0{color:var(--a)}.k1{color:var(--b)}.k2{color:var(--c)}.k3{color:var(--d)}.k4{color:var(--e)}.k5{color:var(--f)}
"""
"""Of what is drawn in either."""
_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:54rem;margin:0 auto;padding:1.2rem 1rem 4rem}
h1{font-size:1.5rem;line-height:1.25;margin:.4rem 0}h2{font-size:1.25rem;margin:2.6rem 0 .4rem;
border-top:1px solid var(--line);padding-top:1.2rem}h3{font-size:1rem;margin:1.6rem 0 .3rem}
p{margin:.4rem 0 .8rem}.soft{color:var(--soft);font-size:.9rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0}
.card{background:var(--panel);border-radius:.5rem;padding:.6rem .8rem}.card b{display:block;font-size:1.35rem;
font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:.82rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.4rem 0 1rem}
th,td{text-align:left;padding:.3rem .55rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.strong td{font-weight:600}tr.weak td{color:var(--soft)}
svg{display:block;width:100%;max-width:38rem;height:auto;margin:.4rem 0}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.82rem;margin:0 0 .8rem}
.sample{background:var(--panel);border-radius:.5rem;padding:.7rem .9rem;margin:.7rem 0}
.sample p{margin:.25rem 0;overflow-wrap:anywhere}.sample .soft{font-size:.85rem}
.good{color:var(--good)}.bad{color:var(--bad)}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--soft)}pre{white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--panel);padding:.7rem;border-radius:.5rem;font-size:.8rem}code{font-size:.88em;overflow-wrap:anywhere}
"""


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def join(parts: Sequence[Html]) -> Html:
    """Pieces one after the other."""
    return Html("\n".join(parts))


def page(title: str, lead: str, body: Sequence[Html]) -> str:
    """A whole file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{COLOURS}{_STYLE}{DRAWING}</style></head>\n<body><main>\n"
        f'<h1>{_safe(title)}</h1>\n<p class="soft">{_safe(lead)}</p>\n{join(body)}\n</main></body></html>\n'
    )


def section(title: str, body: Sequence[Html], *, level: int = 2) -> Html:
    """A heading and what follows."""
    return Html(f"<h{level}>{_safe(title)}</h{level}>\n{join(body)}")


def paragraph(text: str, *, soft: bool = False) -> Html:
    """A paragraph."""
    return Html(f"<p{' class=soft' if soft else ''}>{_safe(text)}</p>")


def cards(figures: Sequence[tuple[str, str]]) -> Html:
    """Headline figures: (value, what it is)."""
    inner = "".join(
        f'<div class="card"><b>{_safe(value)}</b><span>{_safe(name)}</span></div>' for value, name in figures
    )
    return Html(f'<div class="cards">{inner}</div>')


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numbers: Collection[int] = (),
    strong: Collection[int] = (),
    weak: Collection[int] = (),
) -> Html:
    """A table.

    Args:
        head: names of the columns.
        rows: cells.
        numbers: columns set flush right.
        strong: rows that stand out.
        weak: rows that stand back.
    """

    def cell(tag: str, column: int, value: object) -> str:
        return f"<{tag}{' class=n' if column in numbers else ''}>{_safe(value)}</{tag}>"

    def style(at: int) -> str:
        return " class=strong" if at in strong else " class=weak" if at in weak else ""

    first = "".join(cell("th", column, name) for column, name in enumerate(head))
    rest = "".join(
        f"<tr{style(at)}>{''.join(cell('td', column, value) for column, value in enumerate(row))}</tr>"
        for at, row in enumerate(rows)
    )
    return Html(f'<div class="scroll"><table><thead><tr>{first}</tr></thead><tbody>{rest}</tbody></table></div>')


def details(title: str, value: Any) -> Html:
    """Something that is folded away: a text, or JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return Html(f"<details><summary>{_safe(title)}</summary><pre>{escape(text)}</pre></details>")


def facts(
    settings: Mapping[str, Any], hashes: Mapping[str, str], lm: LmUsage, seconds: float, peak_memory_mb: int
) -> Html:
    """How a run came about: settings, hashes, what was spent."""
    cost = "" if lm.cost_usd is None else f", {lm.cost_usd:.4f} US dollars"
    spent = (
        f"{lm.calls:,} language model calls, {lm.prompt_tokens:,} tokens sent, "
        f"{lm.completion_tokens:,} received{cost}; "
        f"{seconds:,.0f} seconds; at most {peak_memory_mb:,} MB of memory."
    )
    shown = [
        [Html(f"<code>{escape(name)}</code>"), Html(f"<code>{escape(value)}</code>")] for name, value in hashes.items()
    ]
    return join(
        [
            paragraph(spent),
            details("Settings", dict(settings)),
            Html(f"<details><summary>Hashes (SHA-256)</summary>{table(['of', 'digest'], shown)}</details>"),
        ]
    )
