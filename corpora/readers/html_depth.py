"""Tags that are left out of a large HTML page, so that a parser reads it in time.

A parser looks at all open elements for each tag that begins a block, and opens formatting elements anew in each block
that leaves some unclosed. So inline elements are left out, which change nothing of the text or its lines, and blocks
that lie too deep. How deep a block lies is told as the HTML standard has it, where most ends need not be written:
https://html.spec.whatwg.org/multipage/parsing.html#parsing-main-inbody
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Set

__all__ = ["DEEPEST", "without_depth"]

DEEPEST = 512
"""Blocks open at once; browsers end at this number too."""

# Each alternative ends at the end of the page if nothing else ends it: no part of a page is looked at twice.
_COMMENT = r"<!--(?:-?>|.*?(?:--!?>|\Z))"
_RAW = r"<(?P<raw>script|style|title|textarea|xmp|iframe|noembed|noframes)(?=[\s/>]).*?(?:</(?P=raw)(?=[\s/>])|\Z)"
_TAG = r"""<(?P<end>/?)(?P<name>[a-z][^\s/>]*)(?:[^>=]+|=\s*"[^"]*(?:"|\Z)|=\s*'[^']*(?:'|\Z)|=)*+(?:>|\Z)"""
_FLAGS = re.IGNORECASE | re.DOTALL | re.ASCII
_IN_HTML = re.compile(f"{_COMMENT}|{_RAW}|{_TAG}", _FLAGS)
_IN_SVG = re.compile(f"{_COMMENT}|{_TAG}", _FLAGS)
"""Nothing is raw text there: ``<title/>`` is an empty element."""

_NEVER_OPEN = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_AS_THEY_ARE = _NEVER_OPEN | {"html", "head", "body", "select"}
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_ROWS = frozenset({"tbody", "thead", "tfoot"})
_IN_TABLES = _ROWS | {"caption", "colgroup", "tr", "td", "th"}
_HIDDEN = frozenset({"noscript", "svg", "template"})
"""Text in these is not for readers, however deep they lie."""
_END_P = _HEADINGS | frozenset(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "header hgroup hr li listing main menu nav ol p pre search section summary table ul".split()
)
_OPENED = (
    (_END_P - {"hr"}) | _IN_TABLES | _HIDDEN | {"applet", "button", "foreignobject", "marquee", "object", "option"}
)
_END_SVG = _HEADINGS | frozenset(
    "b big blockquote body br center code dd div dl dt em embed head hr i img li listing menu meta nobr ol p pre ruby "
    "s small span strike strong sub sup table tt u ul var".split()
)
_SCOPE = frozenset({"applet", "caption", "foreignobject", "marquee", "object", "table", "td", "template", "th"})
"""What these lie in is not ended by a tag inside of them."""

# What a tag ends, and what it never reaches out of: where that is everything, it ends the innermost block at most.
_Ends = tuple[Set[str], Set[str]]
_STARTS: dict[str, list[_Ends]] = {name: [({"p"}, _SCOPE | {"button"})] for name in _END_P}
for _name, _ended in {"li": {"li"}, "dd": {"dd", "dt"}, "dt": {"dd", "dt"}}.items():
    _STARTS[_name].insert(0, (_ended, _OPENED - {"address", "div", "p"}))
for _name in _HEADINGS:
    _STARTS[_name].append((_HEADINGS, _OPENED))
_STARTS |= {"option": [({"option"}, _OPENED)], "button": [({"button"}, _SCOPE)]}
_ENDS: dict[str, _Ends] = {name: ({name}, _SCOPE) for name in _OPENED}
_ENDS |= dict.fromkeys(_HEADINGS, (_HEADINGS, _SCOPE))
_ENDS |= {name: ({name}, {"table", "template"}) for name in _IN_TABLES}
_ENDS |= {"table": ({"table"}, {"template"}), "template": ({"template"}, set())}
_ENDS |= {"p": ({"p"}, _SCOPE | {"button"}), "li": ({"li"}, _SCOPE | {"ol", "ul"}), "option": ({"option"}, _OPENED)}


def without_depth(html: str, *, breaking: Set[str], line_break: str) -> Iterator[str]:
    """The page in pieces, without the tags of inline elements and of blocks that lie deeper than the deepest.

    Args:
        html: the source.
        breaking: elements that begin and end a line.
        line_break: stands for a tag of these that is left out.
    """
    opened = _Opened()
    done = at = 0
    while (tag := (_IN_SVG if opened.in_svg else _IN_HTML).search(html, at)) is not None:
        at = tag.end()
        name = (tag["name"] or "").lower()
        in_svg = opened.in_svg
        if not name or (opened.ends(name) if tag["end"] else opened.starts(name, empty=tag[0].endswith("/>"))):
            continue
        yield html[done : tag.start()]
        yield "</svg>" if in_svg and not opened.in_svg else ""  # the tag would have ended it
        yield line_break if name in breaking else ""
        done = at
    yield html[done:]


class _Opened:
    """The blocks that a parser has open, which is given only the tags that are kept."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._there: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        """Those in the innermost block whose end is still to come."""

    @property
    def in_svg(self) -> bool:
        """Whether tags are those of a drawing."""
        return self._there["svg"] > self._there["foreignobject"]

    def starts(self, name: str, *, empty: bool) -> bool:
        """Follow a start tag; whether it is kept."""
        if name in _END_SVG:
            self._end({"svg"}, {"foreignobject"})
        if self.in_svg and name not in ("foreignobject", "svg"):
            return True
        for ended, inside in _STARTS.get(name, ()):
            self._end(ended, inside)
        if name not in _OPENED:
            return name in _AS_THEY_ARE
        if name in _IN_TABLES and not self._begins_in_table(name):
            return not self._left_out["table"]
        if (name == "svg" and empty) or (name == "form" and self._there["form"]):
            return True
        if len(self._names) >= DEEPEST and (name not in _HIDDEN or any(self._there[one] for one in _HIDDEN)):
            self._left_out[name] += 1
            return False
        self._names.append(name)
        self._there[name] += 1
        return True

    def ends(self, name: str) -> bool:
        """Follow an end tag; whether it is kept."""
        if name not in _OPENED:
            return self.in_svg or name in _AS_THEY_ARE
        if self._left_out[name]:
            self._left_out[name] -= 1
            return False
        if name in _IN_TABLES and self._left_out["table"]:
            return False
        if name == "form":
            self._end_form()
        else:
            self._end(*_ENDS[name])
        return True

    def _begins_in_table(self, name: str) -> bool:
        """Make room for a part of a table; whether there is a table."""
        if self._left_out["table"] or not self._there["table"]:
            return False
        around = {"table", "template"}
        if name in ("tr", "td", "th"):
            around |= _ROWS
        if name in ("td", "th"):
            around.add("tr")
        at = len(self._names)
        while at and self._names[at - 1] not in around:
            at -= 1
        self._cut(at)
        return True

    def _end(self, names: Set[str], inside: Set[str]) -> None:
        """End the innermost of these with all that is in it; not where it lies outside of one of the others."""
        if not any(self._there[one] for one in names):
            return
        for at in range(len(self._names) - 1, -1, -1):
            if self._names[at] in names:
                self._cut(at)
                return
            if self._names[at] in inside:
                return

    def _end_form(self) -> None:
        """A form ends alone: blocks in it that are open stay open."""
        if self._there["form"]:
            at = len(self._names) - 1 - self._names[::-1].index("form")
            inner = self._names[at + 1 :]
            while inner and inner[-1] in ("p", "li", "dd", "dt", "option"):
                inner.pop()
            self._cut(at)
            self._names += inner
            self._there.update(inner)

    def _cut(self, at: int) -> None:
        self._there.subtract(self._names[at:])
        del self._names[at:]
        if len(self._names) < DEEPEST:
            self._left_out.clear()
