"""Constraints on metadata in a query's words: ``CNN article about the tax reform``, ``news from June 2018 about ...``.

What is a constraint, and whether a document meets it, is defined here once: the check of generated queries and the
filter in front of a retriever read queries in the same way. English phrases only.

=========  =============================================  ==========================================
field      metadata read                                  said in a query
=========  =============================================  ==========================================
source     ``source``, ``publisher``                      from CNN · in the Guardian · CNN article
author     ``author``, ``authors``                        by Ann Lee · Ann Lee column
date       ``date``, ``published``: 2018, 2018-06, ...    from June 2018 · published in 2018 · 2018 report
topic      ``topic``, ``topics``, ``category``            immigration news · news on immigration
=========  =============================================  ==========================================

"The" before a name and a possessive s do not count. A name alone is no constraint: in ``immigration reform bill`` it is
what the query is about.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from inpars_plus.corpora.documents import Document

__all__ = ["Constraint", "ConstraintReader", "constraints_of", "meets"]

_Field = Literal["source", "author", "date", "topic"]

_KEYS: Mapping[_Field, tuple[str, ...]] = {
    "source": ("source", "publisher"),
    "author": ("author", "authors"),
    "date": ("date", "published"),
    "topic": ("topic", "topics", "category"),
}
_SEVERAL = re.compile(r"\s*(?:[;|]|\band\b|&)\s*")
_TITLES = frozenset({"jr", "jr.", "sr", "sr.", "ii", "iii", "phd", "ph.d.", "md", "m.d."})
_ISO_MONTH = re.compile(r"((?:19|20)\d\d)(?:-(0[1-9]|1[0-2]))?")
# "CNN (Web News)" and "New York Times - News" are typed as "CNN" and "New York Times".
_AFTER_NAME = re.compile(r"\s*\(.*$|\s+[-–—|]\s.*$")
_WORD = re.compile(r"[^\W_]+(?:[.&'’-][^\W_]+)*")
_POSSESSIVE = re.compile(r"'s$")
_PIECE = r"(?:article|story|stories|report|coverage|news|piece|column|post|interview|review)"
_PIECES = re.compile(rf"{_PIECE}s?")
_ENDS_IN_PIECE = re.compile(rf"\b{_PIECE}s?\s*$", re.IGNORECASE)
# "FBI report" is about the report; "FBI news" is a choice of topic.
_TOPIC_PIECES = re.compile(r"(?:article|story|stories|coverage|news)s?")
_BEFORE = frozenset({"from", "by"})
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_DATE = re.compile(
    rf"\b(?P<before>from|published\s+in|dated)?\s*\b(?:(?P<month>{'|'.join(_MONTHS)})\s+)?(?P<year>(?:19|20)\d\d)\b"
    rf"(?P<after>\s+{_PIECE}s?\b)?",
    re.IGNORECASE,
)
_ON_TOPIC = frozenset({"on", "about"})


class Constraint(BaseModel):
    """What a query asks of a document's metadata.

    Attributes:
        field: which part of them.
        value: a name as it is written; for a date its year and month (``2018-06``), or the year alone.
    """

    model_config = ConfigDict(frozen=True)

    field: _Field
    value: str

    def __str__(self) -> str:
        return f"{self.field}: {self.words}"

    @property
    def words(self) -> str:
        """The value in words: ``June 2018``, ``white house``."""
        if self.field != "date" or "-" not in self.value:
            return self.value
        year, month = self.value.split("-")
        return f"{calendar.month_name[int(month)]} {year}"

    @property
    def opening(self) -> str:
        """How a query that states the constraint may begin."""
        if self.field == "author":
            return f"article by {self.words} about"
        return f"{self.words} {'news' if self.field == 'topic' else 'article'} about"

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Equal for constraints that differ only in case, punctuation, a possessive s or a leading "the"."""
        words = _words(self.value)
        return self.field, words[1:] if len(words) > 1 and words[0] == "the" else words


def constraints_of(document: Document) -> list[Constraint]:
    """All constraints that a document's metadata give: source, authors, month, topics, in this order.

    Returns:
        None where the metadata say nothing of these; a date that is no ISO date is left out.
    """
    found: list[Constraint] = []
    for field, keys in _KEYS.items():
        # The first key that says anything usable: an unreadable "date" must not hide a good "published".
        values = next((read for key in keys if (read := _values(field, document.metadata.get(key)))), [])
        found += [Constraint(field=field, value=one) for one in values]
    return list({constraint.key: constraint for constraint in found}.values())


def meets(document: Document, constraint: Constraint) -> bool:
    """Whether a document's metadata fulfil a constraint; a year is met by all of its months."""
    return any(_fulfils(own, constraint) for own in constraints_of(document))


def _fulfils(own: Constraint, asked: Constraint) -> bool:
    if own.field == asked.field == "date":
        return own.value.startswith(asked.value)
    return own.key == asked.key


class ConstraintReader:
    """Reads constraints out of queries, by the names that occur in a collection's metadata.

    Immutable; deep copies, which optimizers make of all they hold, are the reader itself.

    Args:
        names: constraints that may be stated; those of dates need no list.
    """

    def __init__(self, names: Iterable[Constraint]) -> None:
        self._names: dict[tuple[str, ...], list[Constraint]] = defaultdict(list)
        for constraint in {one.key: one for one in names if one.field != "date"}.values():
            self._names[constraint.key[1]].append(constraint)
        self._longest = max(map(len, self._names), default=0)

    @classmethod
    def fit(cls, documents: Iterable[Document]) -> ConstraintReader:
        """A reader that knows all names in the documents' metadata."""
        return cls(constraint for document in documents for constraint in constraints_of(document))

    def __deepcopy__(self, memo: object) -> ConstraintReader:
        return self

    def stated_in(self, query: str) -> list[tuple[Constraint, ...]]:
        """The constraints that a query states, dates last, without repeats.

        Returns:
            A tuple for each; of several where one name is that of an author and of a source, and either will do.
        """
        text = _words(query)
        found: list[tuple[Constraint, ...]] = []
        at = 0
        while at < len(text):
            end = next((at + n for n in range(self._longest, 0, -1) if text[at : at + n] in self._names), at)
            named = self._names.get(text[at:end], ())
            found.append(tuple(one for one in named if _is_stated(one.field, text, at, end)))
            at = max(end, at + 1)
        found += [(_date_of(match),) for match in _DATE.finditer(query) if _is_dated(match, query)]
        return list({tuple(one.key for one in either): either for either in found if either}.values())


def _is_stated(field: _Field, text: Sequence[str], at: int, end: int) -> bool:
    """Whether the words around a name make it a constraint."""
    pieces = _TOPIC_PIECES if field == "topic" else _PIECES
    if end < len(text) and pieces.fullmatch(text[end]):
        return True
    before = text[max(0, at - 2) : at]
    if field == "topic":
        return len(before) > 1 and before[-1] in _ON_TOPIC and pieces.fullmatch(before[-2]) is not None
    if before[-1:] == ("the",):
        return before[0] in _BEFORE or before[0] == "in"
    return bool(before) and before[-1] in _BEFORE


def _is_dated(match: re.Match[str], query: str) -> bool:
    """Whether a month or year is that of publication: "samples from 2000 patients" is not from 2000."""
    if match["after"]:
        return True
    if not match["before"]:
        return False
    bare = match["month"] is None and match["before"].lower() == "from"
    at_the_end = not _words(query[match.end() :])
    return not bare or at_the_end or _ENDS_IN_PIECE.search(query[: match.start()]) is not None


def _date_of(match: re.Match[str]) -> Constraint:
    month = match["month"]
    return Constraint(field="date", value=match["year"] + (f"-{_MONTHS[month.lower()]:02d}" if month else ""))


def _values(field: _Field, value: object) -> list[str]:
    given = value if isinstance(value, list | tuple) else [value]
    texts = [str(one).strip() for one in given if isinstance(one, str) or (field == "date" and type(one) is int)]
    if field == "date":
        return [month for text in texts if (month := _month(text))]
    if field == "author":
        texts = [name for text in texts for part in _SEVERAL.split(text) for name in _names(part)]
    if field == "topic":
        texts = [text.replace("_", " ") for text in texts]
    if field == "source":
        texts = [_AFTER_NAME.sub("", text) for text in texts]
    return [text for text in texts if _words(text)]


def _names(text: str) -> list[str]:
    """The names in a list with commas; "Smith, John" is one, and is typed as "John Smith"."""
    parts = [part.strip() for part in text.split(",")]
    parts = [part for part in parts if part and part.lower() not in _TITLES]
    if len(parts) == 2 and len(parts[0].split()) == 1:
        first, *rest = parts[1].split()
        if all(len(initial.rstrip(".")) == 1 for initial in rest):
            return [f"{' '.join([first, *rest])} {parts[0]}"]
    return parts


def _month(text: str) -> str | None:
    """The year and month of an ISO date, or what there is of them."""
    short = _ISO_MONTH.fullmatch(text)
    if short:
        return text
    try:
        return date.fromisoformat(text[:10]).isoformat()[:7]
    except ValueError:
        return None


def _words(text: str) -> tuple[str, ...]:
    return tuple(_POSSESSIVE.sub("", word.lower().replace("’", "'")) for word in _WORD.findall(text))
