"""The readable text of an HTML page, one block (paragraph, heading, list item, table row) a line."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from inpars_plus.corpora.readers.html_depth import without_depth
from inpars_plus.corpora.readers.text_files import check_encoding
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["declared_encoding", "html_to_text"]

_UNREADABLE = "script, style, noscript, template, svg, head"
_BLOCKS = (
    "address, article, aside, blockquote, br, caption, dd, div, dl, dt, figcaption, footer, form, h1, h2, h3, h4, h5, "
    "h6, header, hr, li, main, nav, ol, option, p, pre, section, table, td, th, tr, ul"
)
# A line break in the source means nothing in HTML, so breaks that do are marked by a character that text has not.
_BREAK = "\x1e"
_QUICK = 8_000
"""Tags of a page that a parser reads in a fraction of a second, however deep its blocks lie; with others it may not."""
_BREAKING = frozenset(_BLOCKS.split(", "))
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)


def html_to_text(html: str) -> tuple[str, str]:
    """The title and the readable text of a page.

    Scripts, styles and the like are left out; line breaks inside ``<pre>`` are kept. Where a page has more than 8,000
    tags, blocks more than 512 deep, as where none is closed, are read flat, because a parser looks at all open ones for
    each tag: their text is kept and they begin new lines, but they are nothing else, neither a heading for the title
    nor ``<pre>``. Inline elements, which change neither text nor lines, are not looked at there.

    Args:
        html: the source; broken markup is read as a browser reads it.

    Returns:
        The title (``<title>``, else the first ``<h1>`` or ``<h2>``, else empty) and the text.
    """
    html = html.replace(_BREAK, " ")
    if html.count("<") > _QUICK:
        html = "".join(without_depth(html, breaking=_BREAKING, line_break=_BREAK))
    tree = LexborHTMLParser(html)
    title_node = tree.css_first("head > title") or tree.css_first("h1") or tree.css_first("h2")
    title = " ".join(title_node.text().split()) if title_node is not None else ""
    for node in tree.css(_UNREADABLE):
        node.decompose()
    for node in tree.css("pre"):
        node.replace_with(_BREAK + node.text().replace("\n", _BREAK) + _BREAK)
    for node in tree.css(_BLOCKS):
        node.insert_before(_BREAK)
        node.insert_after(_BREAK)
    root = tree.body or tree.root
    lines = (" ".join(line.split()) for line in (root.text() if root is not None else "").split(_BREAK))
    return title, "\n".join(line for line in lines if line)


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
