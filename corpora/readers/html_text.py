"""The readable text of an HTML page, one block (paragraph, heading, list item, table row) a line.

Text and lines need no tree. One takes time with the square of the elements that are left open (selectolax, with which
this was begun, 14 seconds for 60,000), and what broken markup puts in the wrong place is lost with it: after
``<noscript><p>x</noscript>`` that was the rest of the page. The ``html.parser`` of Python takes minutes where quotation
marks are left open, and reads comments and titles differently from one patch release to the next.
"""

from __future__ import annotations

import re
from html import unescape

from inpars_plus.corpora.readers.text_files import check_encoding
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["declared_encoding", "html_to_text"]

_BLOCKS = frozenset(
    "address article aside blockquote br caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol optgroup option p pre search "
    "section select summary table td th tr ul".split()
)
_HIDDEN = frozenset({"noscript", "svg", "template"})
# A line break in the source means nothing in HTML, so breaks that do are marked by a character that text has not.
_BREAK = "\x1e"
# Each alternative ends at the end of the page if nothing else ends it: no part of a page is looked at twice. An element
# that ends in itself, as ``<title/>`` in a drawing, has nothing inside.
_TAG = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(?:[!?][^>]*|/(?:[^a-z>][^>]*)?)(?:>|\Z)"
    r"|<(?P<raw>script|style|title|textarea|xmp|iframe|noembed|noframes)(?=[\s/>])[^>]*(?<!/)>"
    r"(?P<inside>.*?)(?:</(?P=raw)(?=[\s/>])[^>]*(?:>|\Z)|\Z)"
    r"""|<(?P<end>/?)(?P<name>[a-z][^\s/>]*)(?:[^>=]+|=\s*"[^"]*(?:"|\Z)|=\s*'[^']*(?:'|\Z)|=)*+(?:>|\Z)""",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)


def html_to_text(html: str) -> tuple[str, str]:
    """The title and the readable text of a page.

    Scripts, styles and the like are left out; line breaks inside ``<pre>`` are kept. Tags are followed one by one, so
    that a page whose elements are never closed loses no text and takes no longer than another. Comments, tags and
    quotation marks that are never closed go to the end of the page, as in a browser.

    Args:
        html: the source.

    Returns:
        The title (``<title>``, else the first ``<h1>`` or ``<h2>`` with text, else empty) and the text.
    """
    page, at = _Page(), 0
    html = html.replace(_BREAK, " ")
    for tag in _TAG.finditer(html):
        page.text(unescape(html[at : tag.start()]))
        at = tag.end()
        name = (tag["raw"] or tag["name"] or "").lower()
        if tag["raw"]:
            page.raw(name, tag["inside"])
        elif tag["end"]:
            page.end(name)
        elif name not in _HIDDEN or not tag[0].endswith("/>"):
            page.start(name)
    page.text(unescape(html[at:]))
    lines = (" ".join(line.split()) for line in "".join(page.pieces).split(_BREAK))
    return page.title, "\n".join(line for line in lines if line)


class _Page:
    """What was read of a page so far."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._titles: dict[str, str] = {}
        self._headings: dict[str, int] = {}
        self._hidden: dict[str, list[int]] = {name: [] for name in _HIDDEN}
        """Where those that are open begin. What is in one is taken out when it ends, and stays if it never does."""
        self._began = False
        self._pre = 0

    @property
    def title(self) -> str:
        return next(filter(None, map(self._titles.get, ("title", "h1", "h2"))), "")

    @property
    def _in_hidden(self) -> bool:
        return any(self._hidden.values())

    def text(self, text: str) -> None:
        if text:
            self._began = self._began or not (text.isspace() or self._in_hidden)
            self.pieces.append(text.replace("\n", _BREAK) if self._pre else text)

    def raw(self, name: str, text: str) -> None:
        """An element in which nothing is a tag."""
        if name == "title" and not self._began and not self._in_hidden:
            self._titles[name] = self._titles.get(name) or " ".join(unescape(text).split())
        elif name not in ("script", "style"):
            self.text(unescape(text) if name in ("title", "textarea") else text)

    def start(self, name: str) -> None:
        if name in _BLOCKS:
            self.pieces.append(_BREAK)
        if name in _HIDDEN:
            self._hidden[name].append(len(self.pieces))
        elif name in ("h1", "h2") and not self._in_hidden:
            self._headings[name] = len(self.pieces)
        elif name == "pre":
            self._pre += 1

    def end(self, name: str) -> None:
        if self._hidden.get(name):
            begun = self._hidden[name].pop()
            del self.pieces[begun:]
            for inner in self._hidden.values():
                while inner and inner[-1] > begun:
                    inner.pop()
        elif name in self._headings and not self._titles.get(name) and not self._in_hidden:
            self._titles[name] = " ".join("".join(self.pieces[self._headings.pop(name) :]).split())
        elif name == "pre":
            self._pre = max(0, self._pre - 1)
        if name in _BLOCKS:
            self.pieces.append(_BREAK)


def declared_encoding(head: bytes) -> str | None:
    """The encoding that a page declares in its first bytes, if Python knows it as one of text.

    A declaration that can be read as ASCII is not in UTF-16 or UTF-32, whatever it says: such a page is UTF-8, as for
    browsers.
    """
    found = _CHARSET.search(head)
    if found is None:
        return None
    try:
        name = check_encoding(found[1].decode("ascii"))
    except ConfigurationError:
        return None
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else name
