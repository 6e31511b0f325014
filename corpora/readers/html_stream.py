"""The text of an HTML page that is too large for a tree: tag by tag, with the parser of Python's library."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["BLOCKS", "LINE_BREAK", "StreamedPage"]

BLOCKS = (
    "address article aside blockquote br caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol optgroup option p pre search "
    "section select summary table td th tr ul"
).split()
"""Elements that begin and end a line."""

LINE_BREAK = "\x1e"
"""A line break in the source means nothing in HTML, so breaks that do are marked by a character that text has not."""

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN = ("style", "template", "svg")
# The library takes such a number for an integer, of which Python reads 4,300 digits; no character has eight.
_NO_CHARACTER = re.compile(r"&#0*\d{8,}")


class StreamedPage(HTMLParser):
    """A page without comments, scripts and ``<noscript>``, once it was given to :meth:`read`."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self._titles: dict[str, str] = {}
        self._open: dict[str, list[int]] = {
            name: [] for name in (*_HIDDEN, "foreignobject", "pre", "title", "h1", "h2")
        }
        """Where those begin that still lack their end. Only an end takes text away: what has none hides nothing."""

    def read(self, html: str) -> tuple[str, str]:
        """The title and the text, with marked line breaks."""
        self.feed(_NO_CHARACTER.sub("\ufffd", html))
        self.close()
        self._end_headings()
        return next((self._titles[one] for one in ("title", "h1", "h2") if one in self._titles), ""), "".join(
            self._pieces
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Follow a tag."""
        if tag in BLOCKS:
            self._pieces.append(LINE_BREAK)
            if not self._open["foreignobject"]:
                self._open["svg"].clear()  # a drawing holds no block, so its end is missing
        if tag in _HEADINGS:
            self._end_headings()
        if tag in self._open:
            self._open[tag].append(len(self._pieces))
            self._pieces.append("")  # what is opened inside begins later

    def handle_endtag(self, tag: str) -> None:
        """Follow a tag."""
        if tag in _HEADINGS:
            self._end_headings()
        elif self._open.get(tag):
            begun = self._open[tag].pop()
            if tag == "title" and not self._hidden:
                self._titles.setdefault(tag, self._text_from(begun))
            if tag == "title" or tag in _HIDDEN:
                del self._pieces[begun:]
                for positions in self._open.values():
                    while positions and positions[-1] > begun:
                        positions.pop()
        if tag in BLOCKS:
            self._pieces.append(LINE_BREAK)

    def handle_data(self, data: str) -> None:
        """Keep a piece of text."""
        self._pieces.append(data.replace("\n", LINE_BREAK) if self._open["pre"] else data)

    @property
    def _hidden(self) -> bool:
        return any(self._open[one] for one in _HIDDEN)

    def _text_from(self, begun: int) -> str:
        return " ".join("".join(self._pieces[begun:]).replace(LINE_BREAK, " ").split())

    def _end_headings(self) -> None:
        """No heading lies in another one, so the next tag of one ends it too."""
        for one in ("h1", "h2"):
            if self._open[one]:
                if not self._hidden:
                    self._titles.setdefault(one, self._text_from(self._open[one][0]))
                self._open[one].clear()
