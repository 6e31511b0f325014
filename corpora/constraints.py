"""Constraints on metadata in a query's words: ``CNN article about the tax reform``, ``news from June 2018 about ...``.

What is a constraint, and whether a document meets it, is defined here once: the check of generated queries and the
filter in front of a retriever read queries in the same way. English phrases only. What metadata say is read by
:mod:`inpars_plus.corpora.metadata`.

=========  =============================================  ==========================================
field      metadata read                                  said in a query
=========  =============================================  ==========================================
source     ``source``, ``publisher``                      from CNN · in the Guardian · CNN article
author     ``author``, ``authors``                        by Ann Lee · Ann Lee column
date       ``date``, ``published``: 2018, 2018-06, ...    from June 2018 · published in 2018 · 2018 report
topic      ``topic``, ``topics``, ``category``            immigration news · news on immigration
=========  =============================================  ==========================================

"The" before a name and a possessive s do not count. A name alone is no constraint: in ``immigration reform bill`` it is
what the query is about. Nor is one behind a "not": ``news not from CNN``. Of several of one field that are joined by a
comma, "and" or "or", any will do: ``CNN and Guardian articles``; of topics, only of those that are each stated:
``health news and sports news``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.metadata import MONTH_NAMES, MONTHS, YEAR, Field, named_in

__all__ = ["Constraint", "ConstraintReader", "constraints_of", "meets"]

_WORD = re.compile(r"[^\W_]+(?:[.&'’-][^\W_]+)*")
_POSSESSIVE = re.compile(r"'s$")
_PIECE = r"(?:article|story|stories|report|coverage|news|piece|column|post|interview|review)"
_PIECES = re.compile(rf"{_PIECE}s?")
_ENDS_IN_PIECE = re.compile(rf"\b{_PIECE}s?\s*$", re.IGNORECASE)
# "FBI report" is about the report; "FBI news" is a choice of topic.
_TOPIC_PIECES = re.compile(r"(?:article|story|stories|coverage|news)s?")
_BEFORE = frozenset({"from", "by"})
_DAY = r"\d\d?(?:st|nd|rd|th)?"
_MONTHS = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b"
_MONTH = rf"(?P<month>{_MONTHS})\.?"
_DATE = re.compile(
    rf"\b(?P<before>from|published(?:\s+(?:in|on))?|dated)?\s*\b(?:(?:{_DAY}\s+)?{_MONTH}(?:\s+{_DAY})?,?\s+)?"
    rf"(?P<year>{YEAR})\b(?P<after>\s+{_PIECE}s?\b)?",
    re.IGNORECASE,
)
_END = rf"(?:(?:{_DAY}\s+)?{_MONTHS}\.?\s+\d|{YEAR}\b)"
# "2018-19" is a range; in "from 2018 - 50 people killed" the dash is punctuation.
_RANGE = re.compile(
    rf"\s+(?:to|until|till)\s+(?:{_END}|\d\d)|\s*[-–—]\s*{_END}|[-–—]\d\d\b"
    r"|,?\s+(?:onwards?|or\s+(?:later|earlier|newer|older)|and\s+(?:later|earlier|after|before))\b",
    re.IGNORECASE,
)
_ENDS_IN_RANGE = re.compile(rf"\b{YEAR}\s*[-–—]\s*$")
_BOUND = frozenset({"to", "until", "till", "before", "after", "since", "between"})
_ON_TOPIC = frozenset({"on", "about"})
_NOT = frozenset({"not", "no", "except", "excluding", "without"})
_BEHIND_NOT = frozenset("a an the any for from by in on about published written dated".split())
# How far back is looked from a name or a date; looking at all of a long text for each would take its square.
_WORDS_BEFORE = 12
_CHARACTERS_BEFORE = 200
_AND = r"(?:,\s*(?:(?:and|or)\s+)?|\s+(?:and|or|&)\s+)"
_JOINT = re.compile(
    rf"(?:\s+{_PIECE}s?)?{_AND}(?:(?:from|by|in|on|about)\s+)?(?:the\s+)?",
    re.IGNORECASE,
)
_DIRECT_JOINT = re.compile(rf"{_AND}(?:the\s+)?", re.IGNORECASE)


class Constraint(BaseModel):
    """What a query asks of a document's metadata.

    Attributes:
        field: which part of them.
        value: a name as it is written; for a date its year and month (``2018-06``), or the year alone.
    """

    model_config = ConfigDict(frozen=True)

    field: Field
    value: str

    def __str__(self) -> str:
        return f"{self.field}: {self.words}"

    @property
    def words(self) -> str:
        """The value in words: ``June 2018``, ``white house``."""
        if self.field != "date" or "-" not in self.value:
            return self.value
        year, month = self.value.split("-")
        return f"{MONTH_NAMES[int(month) - 1]} {year}"

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
        None where the metadata say nothing of these, or nothing clear.
    """
    named = named_in(document.metadata)
    found = [Constraint(field=field, value=value) for field, values in named.items() for value in values]
    return list({constraint.key: constraint for constraint in found}.values())


def meets(document: Document, constraint: Constraint) -> bool:
    """Whether a document's metadata fulfil a constraint; a year is met by all of its months."""
    return any(_fulfils(own, constraint) for own in constraints_of(document))


def _fulfils(own: Constraint, asked: Constraint) -> bool:
    if own.field == asked.field == "date":
        return own.value.startswith(asked.value)
    return own.key == asked.key


@dataclass(frozen=True)
class _Place:
    """Where a query has a name or a date.

    Attributes:
        start: its first character.
        end: the character behind it.
        named: whose name it is.
        stated: those of them that the words around it make a constraint.
        denied: whether a "not" stands before it.
        bound: whether it is an end of a range.
    """

    start: int
    end: int
    named: tuple[Constraint, ...]
    stated: tuple[Constraint, ...]
    denied: bool
    bound: bool = False


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
        dates = [_dated(match, query) for match in _DATE.finditer(query)]
        found = [*_joined(self._places(query), query), *_joined(dates, query)]
        return list({tuple(one.key for one in either): either for either in found}.values())

    def _places(self, query: str) -> list[_Place]:
        """The names in a query: at each word the longest that is stated, or where none is, the longest."""
        spans = [(match.start(), match.end()) for match in _WORD.finditer(query)]
        text = _words(query)
        found: list[_Place] = []
        at = 0
        while at < len(text):
            lengths = [n for n in range(min(self._longest, len(text) - at), 0, -1) if text[at : at + n] in self._names]
            here = [self._place(text, spans, at, at + n) for n in lengths]
            stated = next((number for number, place in enumerate(here) if place.stated), None)
            if here:
                found.append(here[stated or 0])
            at += 1 if stated is None else lengths[stated]
        near = self._longest  # names that start further apart cannot overlap
        return [
            one
            for number, one in enumerate(found)
            if not any(_hides(other, one) for other in found[max(0, number - near) : number + near + 1])
        ]

    def _place(self, text: Sequence[str], spans: Sequence[tuple[int, int]], at: int, end: int) -> _Place:
        named = tuple(self._names[tuple(text[at:end])])
        stated = tuple(one for one in named if _is_stated(one.field, text, at, end))
        return _Place(spans[at][0], spans[end - 1][1], named, stated, _is_denied(text[max(0, at - _WORDS_BEFORE) : at]))


def _hides(one: _Place, other: _Place) -> bool:
    """Whether a name that is not stated gives way to one that it overlaps: a stated one, or one that it is part of."""
    if other.stated or one is other or one.end <= other.start or other.end <= one.start:
        return False
    return bool(one.stated) or (one.start <= other.start and other.end <= one.end)


def _joined(places: Sequence[_Place], query: str) -> list[tuple[Constraint, ...]]:
    """What is stated, with names of one field that are joined by "and" taken together."""
    groups: list[list[_Place]] = []
    for place in places:
        if groups and _JOINT.fullmatch(query[groups[-1][-1].end : place.start]):
            groups[-1].append(place)
        else:
            groups.append([place])
    found: list[tuple[Constraint, ...]] = []
    for group in groups:
        stated = [place.stated for place in group if place.stated]
        if not stated or group[0].denied or any(place.bound for place in group):
            continue
        fields = set.intersection(*({one.field for one in either} for either in stated))
        beside = _beside_stated(group, query)
        together = tuple(
            one
            for place, is_beside in zip(group, beside, strict=True)
            for one in place.named
            if one.field in fields and (one in place.stated or _is_carried(one.field, is_beside))
        )
        found += [together] if together else stated
    return found


def _beside_stated(group: Sequence[_Place], query: str) -> list[bool]:
    """Of each place, whether only commas, "and" and "or" join it to one that is stated."""
    runs: list[list[_Place]] = [[group[0]]]
    for before, place in pairwise(group):
        if not _DIRECT_JOINT.fullmatch(query[before.end : place.start]):
            runs.append([])
        runs[-1].append(place)
    return [any(place.stated for place in run) for run in runs for _ in run]


def _is_carried(field: Field, is_beside: bool) -> bool:
    """Whether a name or date that is not stated itself is taken with one that is.

    Topics are common words: the first of "hello world, health news" is not one.
    """
    return field == "date" or (field != "topic" and is_beside)


def _is_stated(field: Field, text: Sequence[str], at: int, end: int) -> bool:
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


def _is_denied(before: Sequence[str]) -> bool:
    """Whether the words before a name or a date end in a "not", with only such words as "articles from" behind it."""
    last = next((one for one in reversed(before) if one not in _BEHIND_NOT and not _PIECES.fullmatch(one)), "")
    return last in _NOT or last.endswith("n't")


def _dated(match: re.Match[str], query: str) -> _Place:
    month = match["month"]
    value = match["year"] + (f"-{MONTHS[month.lower()]:02d}" if month else "")
    named = (Constraint(field="date", value=value),)
    start = match.end() - len(match[0].lstrip())
    front = query[max(0, start - _CHARACTERS_BEFORE) : start]
    before = _words(front)
    # A range is no month and no year; half of one would let the wrong documents through.
    begun = not _BOUND.isdisjoint(before[-1:]) or _ENDS_IN_RANGE.search(front) is not None
    bound = begun or _RANGE.match(query, match.end()) is not None
    stated = named if _is_dated(match, query) else ()
    return _Place(start, match.end(), named, stated, _is_denied(before), bound)


def _is_dated(match: re.Match[str], query: str) -> bool:
    """Whether a month or year is that of publication: "samples from 2000 patients" is not from 2000."""
    if match["after"]:
        return True
    if not match["before"]:
        return False
    bare = match["month"] is None and match["before"].lower() == "from"
    front = query[max(0, match.start() - _CHARACTERS_BEFORE) : match.start()]
    return not bare or _WORD.search(query, match.end()) is None or _ENDS_IN_PIECE.search(front) is not None


def _words(text: str) -> tuple[str, ...]:
    return tuple(_POSSESSIVE.sub("", word.lower().replace("’", "'")) for word in _WORD.findall(text))
