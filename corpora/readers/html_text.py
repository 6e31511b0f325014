"""The readable text of an HTML page, one block (paragraph, heading, list item, table row) a line."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from inpars_plus.corpora.readers.html_stream import BLOCKS, LINE_BREAK, StreamedPage
from inpars_plus.corpora.readers.text_files import check_encoding
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["declared_encoding", "html_to_text"]

_QUICK = 8_000
"""Tags of a page of which a tree is made in a fraction of a second, whatever is left open in it."""
_UNREADABLE = "style, template, svg, head"
# Taken out first: in a tree the end of ``<noscript>`` ends nothing while a
# paragraph is open in it, and what follows is hidden with it.
_UNREAD = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(script|noscript)(?=[\s/>]).*?(?:</\1(?=[\s/>])[^>]*(?:>|\Z)|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)


def html_to_text(html: str) -> tuple[str, str]:
    """The title and the readable text of a page.

    Scripts, styles and the like are left out; line breaks inside ``<pre>`` are kept. A page of more than 8,000 tags is
    read tag by tag, because a tree takes time with the square of the elements that are never closed: what stands in the
    wrong place, as text in a table between its cells, then stays there.

    Args:
        html: the source; broken markup is read as a browser reads it.

    Returns:
        The title (``<title>``, else the first ``<h1>`` or ``<h2>``, else empty) and the text.
    """
    html = _UNREAD.sub("", html.replace(LINE_BREAK, " "))
    title, text = StreamedPage().read(html) if html.count("<") > _QUICK else _of_tree(LexborHTMLParser(html))
    lines = (" ".join(line.split()) for line in text.split(LINE_BREAK))
    return title, "\n".join(line for line in lines if line)


def _of_tree(tree: LexborHTMLParser) -> tuple[str, str]:
    """The title and the text, with marked line breaks."""
    title = tree.css_first("head > title") or tree.css_first("h1") or tree.css_first("h2")
    named = " ".join(title.text().split()) if title is not None else ""
    for node in tree.css(_UNREADABLE):
        node.decompose()
    for node in tree.css(", ".join(BLOCKS)):
        node.insert_before(LINE_BREAK)
        node.insert_after(LINE_BREAK)
    for node in tree.css("pre"):
        node.replace_with(node.text().replace("\n", LINE_BREAK))
    root = tree.body or tree.root
    return named, root.text() if root is not None else ""


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
