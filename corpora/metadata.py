"""What a document's metadata say of its source, authors, date and topics, as people type it in a query.

Metadata come from scrapers, catalogues and feeds, in every form there is. What is clear is read; the rest is left out,
because a wrong author makes a wrong query.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal

__all__ = ["MONTHS", "MONTH_NAMES", "YEAR", "Field", "named_in"]

Field = Literal["source", "author", "date", "topic"]

YEAR = r"(?:1[7-9]|20)\d\d"
"""The years that are read, in metadata and in queries: those of newspapers."""

MONTH_NAMES = tuple(
    "January February March April May June July August September October November December".split()  # in any locale
)
"""The months, in order."""

MONTHS: Mapping[str, int] = {
    **{name.lower(): number for number, name in enumerate(MONTH_NAMES, 1)},
    **{name.lower()[:3]: number for number, name in enumerate(MONTH_NAMES, 1)},
    "sept": 9,
}
"""A month's name in small letters, whole or short → its number."""

_KEYS: Mapping[Field, tuple[str, ...]] = {
    "source": ("source", "publisher"),
    "author": ("author", "authors"),
    "date": ("date", "published"),
    "topic": ("topic", "topics", "category"),
}
_SEVERAL_AUTHORS = re.compile(r"\s*(?:[;|]|\band\b|&)\s*")
_SEVERAL_TOPICS = re.compile(r"\s*[;|,]\s*")
_BY = re.compile(r"^by:?\s+", re.IGNORECASE)
_TITLES = frozenset({"jr", "jr.", "sr", "sr.", "ii", "iii", "phd", "ph.d.", "md", "m.d."})
_INITIAL = re.compile(r"[^\W\d_]\.?")
_ACRONYM = re.compile(r"[A-Z]{2,5}")
_ROLE = re.compile(r"\b(?:contributor|correspondent|editor|producer|reporter|staff|writer)s?\b", re.IGNORECASE)
_MOST_GIVEN_NAMES = 3
# "CNN (Web News)" and "New York Times - News" are typed as "CNN" and "New York Times".
_AFTER_NAME = re.compile(r"\s*\(.*$|\s+[-–—|]\s.*$")

_NUMERIC = re.compile(rf"({YEAR})(?:[-/.](\d\d?)(?:[-/.](\d\d?)(?!\d).*)?)?", re.DOTALL)
_COMPACT = re.compile(rf"({YEAR})(\d\d)(\d\d)(?:T.*)?")
_DAY = r"(\d\d?)(?:st|nd|rd|th)?"
_MONTH = rf"({'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
_MONTH_FIRST = re.compile(rf"(?:[a-z]+,\s*)?{_MONTH}(?:\s+{_DAY})?,?\s+({YEAR})(?!\d).*", re.IGNORECASE | re.DOTALL)
_DAY_FIRST = re.compile(rf"(?:[a-z]+,\s*)?{_DAY}\s+{_MONTH},?\s+({YEAR})(?!\d).*", re.IGNORECASE | re.DOTALL)
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?|\d{12,13}")
_MILLISECONDS_FROM = 1e11
_SAYS_SOMETHING = re.compile(r"[^\W_]")


def named_in(metadata: Mapping[str, Any]) -> dict[Field, list[str]]:
    """What metadata name, each field in order.

    Args:
        metadata: of a document.

    Returns:
        Field → names; for a date ``2018-06``, or the year alone. Empty where nothing clear is said.
    """
    found: dict[Field, list[str]] = {"source": [], "author": [], "date": [], "topic": []}
    for field, keys in _KEYS.items():
        for key in keys:
            # The first key that says anything usable: an unreadable "date" must not hide a good "published".
            found[field] = found[field] or _values(field, metadata.get(key), found["source"])
    return found


def _values(field: Field, value: object, sources: Collection[str]) -> list[str]:
    given = value if isinstance(value, list | tuple) else [value]
    texts = [
        " ".join(str(one).split())
        for one in given
        if isinstance(one, str) or (field == "date" and type(one) in (int, float))
    ]
    if field == "date":
        return [month for text in texts if (month := _month(text))]
    if field == "author":
        texts = [_BY.sub("", text) for text in texts]
        texts = [name for text in texts for part in _SEVERAL_AUTHORS.split(text) for name in _names(part, sources)]
    if field == "topic":
        # In a list, what a comma stands in is one topic: "economy, business and finance".
        split = _SEVERAL_TOPICS.split if isinstance(value, str) else lambda text: [text]
        texts = [topic.replace("_", " ") for text in texts for topic in split(text)]
    if field == "source":
        texts = [_AFTER_NAME.sub("", text) for text in texts]
    return [text for text in texts if _SAYS_SOMETHING.search(text)]


def _names(text: str, sources: Collection[str]) -> list[str]:
    """The names in a list with commas; "Smith, John" is one, and is typed as "John Smith"."""
    parts = [part.strip() for part in text.split(",")]
    parts = [part for part in parts if part and part.lower() not in _TITLES and not _ROLE.search(part)]
    papers = {name.casefold() for name in sources} if len(parts) > 1 else set()
    # Beside a whole name, a word in capitals is the paper: "Anderson Cooper, CNN".
    if any(" " in part and not part.isupper() for part in parts):
        papers |= {part.casefold() for part in parts if _ACRONYM.fullmatch(part)}
    people = [part for part in parts if part.casefold() not in papers]
    if len(people) == len(parts) == 2 and _is_surname_first(*people):
        return [f"{people[1]} {people[0]}"]
    return people


def _is_surname_first(before: str, behind: str) -> bool:
    """Whether a comma stands between surname and given names, and not between two people."""
    given = behind.split()
    if " " not in before:
        return len(given) <= _MOST_GIVEN_NAMES
    return all(_INITIAL.fullmatch(one) for one in given[1:])


def _month(text: str) -> str | None:
    """The year and month of a date, or the year alone where there is no more."""
    if (found := _NUMERIC.fullmatch(text) or _COMPACT.fullmatch(text)) is not None:
        year, month, day = found.groups()
    elif (found := _MONTH_FIRST.fullmatch(text)) is not None:
        name, day, year = found.groups()
        month = str(MONTHS[name.lower()])
    elif (found := _DAY_FIRST.fullmatch(text)) is not None:
        day, name, year = found.groups()
        month = str(MONTHS[name.lower()])
    elif _SECONDS.fullmatch(text):
        seconds = float(text) / (1000 if float(text) > _MILLISECONDS_FROM else 1)
        at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")
        return at if re.match(YEAR, at) else None
    else:
        return None
    if month is None:
        return str(year)
    try:
        return date(int(year), int(month), int(day or 1)).isoformat()[:7]
    except ValueError:
        return None
