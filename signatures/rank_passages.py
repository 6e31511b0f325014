"""The task of putting numbered passages in order for a query, as a DSPy signature; and the repair of faulty orders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import dspy
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from inpars_plus.signatures.leniency import unwrapped, without_thoughts

__all__ = [
    "PassageOrder",
    "RankPassages",
    "RepairedOrder",
    "numbered",
    "order_of_count",
    "repair_order",
]

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,9}(?!\w|\.\d)")
# No "<", which turns the order round; no "-" and no "." close to a number, which make a range or a numbering of it.
_JOINT = r"[\s,;>|&=#→\"'*`]|->|(?<=\s)-(?=\s)|\b(?:then|and|passage|document)\b"
_BETWEEN = rf"(?:{_JOINT}|[\[\]])*"
# One number or several: of which only the last bracket was read, "[2 3] > [1]" would be turned round.
_BRACKETED = re.compile(rf"\[(\s*-?\d{{1,9}}(?:(?:{_JOINT})+-?\d{{1,9}})*)(?:\s*,)?\s*\]", re.IGNORECASE)
_SEPARATORS = re.compile(_BETWEEN, re.IGNORECASE)
_NEXT = re.compile(_BETWEEN + f"({_NUMBER.pattern})", re.IGNORECASE)
_END = re.compile(rf"{_BETWEEN}$|\s*[.;!(){{}}\n\]\"'*`]", re.IGNORECASE)
_NUMBERING = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]+(?=\S)", re.MULTILINE)
_CUT_NUMBER = re.compile(r"-?\d+$")
_PART = re.compile(r"\n|(?<=[.!?])\s+")
_BETTER = re.compile(r">|→")
_LABEL = re.compile(r"\b(?:ranking|order)\b[\s:*_\"'`]*$", re.IGNORECASE)
_MOST = 100


class PassageOrder(BaseModel):
    """Numbers of passages, best first.

    Lenient in reading, because a reply that says an order is worth more than its form: a list of numbers, or of texts
    that begin with numbers, or a text such as ``[2] > [1] > [3]`` with words around it. Where a text has numbers in
    brackets, only those count, but for a single one beside a row that is joined by ``>``. Others count where they stand
    in one row, with nothing between them but separators and the word passage (``2 > 1``, ``passage 2, then passage 1``,
    or a line each, with the lines numbered or not): elsewhere in a sentence a number may count anything. Where other
    sentences have numbers too, the first row of several counts that is joined by ``>``, or has nothing but ``Ranking:``
    before it in its sentence. Of a list that was cut off the last number is left out, because it may be half of one. A
    number with a decimal point is none. What is wrong with the numbers themselves is left to :func:`repair_order`. No
    number at all is refused.
    """

    model_config = ConfigDict(frozen=True)

    # Bounded in the schema only: a small model that decodes along it may otherwise never close the list.
    order: list[int] = Field(
        min_length=1,
        description="the numbers of all passages, the best one first",
        json_schema_extra={"maxItems": _MOST},
    )

    @model_validator(mode="before")
    @classmethod
    def _from_what_was_said(cls, value: Any) -> Any:
        value = unwrapped(value, "order")
        return {"order": _numbers(value)} if isinstance(value, str | list | tuple) else value


class RankPassages(dspy.Signature):
    """Put the numbered passages in order by how well they answer the query, the best one first."""

    query: str = dspy.InputField(desc="what a person typed into a search box")
    numbered_passages: str = dspy.InputField(desc="the passages, each behind its number in brackets")
    ranking: PassageOrder = dspy.OutputField(desc="the numbers of all passages, the best one first")


@dataclass(frozen=True)
class RepairedOrder:
    """An order that is one, and what was wrong with it.

    Attributes:
        positions: each position from 0 once, best first.
        repeated: numbers that had come before.
        out_of_range: numbers that no passage has.
        missing: passages that were not named.
    """

    positions: tuple[int, ...]
    repeated: int = 0
    out_of_range: int = 0
    missing: int = 0

    @property
    def was_faulty(self) -> bool:
        """Whether anything was repaired."""
        return bool(self.repeated or self.out_of_range or self.missing)


def repair_order(numbers: Sequence[int], count: int) -> RepairedOrder:
    """Make a permutation of what a model said, in the one way that this project has.

    Numbers outside 1 to ``count`` are dropped; of a number that comes several times the first occurrence counts; the
    passages that were not named follow at the end, in the order in which they were shown.

    Args:
        numbers: 1-based, best first.
        count: how many passages were shown.
    """
    known = [number for number in numbers if 1 <= number <= count]
    named = list(dict.fromkeys(known))
    missing = sorted(set(range(1, count + 1)) - set(named))
    return RepairedOrder(
        positions=tuple(number - 1 for number in (*named, *missing)),
        repeated=len(known) - len(named),
        out_of_range=len(numbers) - len(known),
        missing=len(missing),
    )


def numbered(passages: Sequence[str]) -> str:
    """Passages as the model reads them: each on one line, behind its number in brackets, from 1."""
    return "\n".join(f"[{number}] {' '.join(passage.split())}" for number, passage in enumerate(passages, start=1))


@lru_cache(maxsize=128)
def order_of_count(count: int) -> type[PassageOrder]:
    """A form of :class:`PassageOrder` whose schema asks for exactly ``count`` numbers from 1 to ``count``.

    The count is known only when the question is asked. Only the schema is stricter, for engines that decode along it:
    reading stays lenient.
    """
    schema: Any = {"minItems": count, "maxItems": count, "items": {"type": "integer", "enum": [*range(1, count + 1)]}}
    field = Field(min_length=1, description="the numbers of all passages, the best one first", json_schema_extra=schema)
    return create_model("PassageOrder", __base__=PassageOrder, order=(list[int], field))


def _numbers(value: str | Sequence[Any]) -> list[int]:
    if isinstance(value, str):
        return _numbers_of_text(value)
    if all(isinstance(item, str) for item in value):
        value = _without_numbering("\n".join(value)).split("\n")
    found = []
    for item in value:
        if isinstance(item, bool):
            continue
        if isinstance(item, int):
            found.append(item)
        elif isinstance(item, float) and item.is_integer():
            found.append(int(item))
        elif isinstance(item, str):
            found += _bracketed(item) or _numbers_in_front(item)
        elif isinstance(item, list | tuple):
            found += _numbers(item)
    return found


def _numbers_of_text(text: str) -> list[int]:
    text = without_thoughts(text)
    bracketed = _bracketed(text)
    if len(bracketed) > 1:
        return bracketed
    cut = any(text.count(opening) > text.count(closing) for opening, closing in ("[]", "{}"))
    text = _without_numbering(_CUT_NUMBER.sub("", text) if cut else text)
    if bracketed:  # it may be named in a sentence about the order
        return next(_rows(text, labelled=False), bracketed)
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return []
    before, after = text[: numbers[0].start()], text[numbers[-1].end() :]
    between = [text[one.end() : other.start()] for one, other in pairwise(numbers)]
    in_a_row = all(map(_SEPARATORS.fullmatch, between)) and _END.match(after)
    # A single number in a sentence mostly counts something, where several may be an order.
    alone = len(numbers) == 1 and not (_SEPARATORS.fullmatch(before) or before.rstrip().endswith("["))
    if in_a_row and not alone:
        return [int(one[0]) for one in numbers]
    return next(_rows(text, labelled=True), [])


def _rows(text: str, *, labelled: bool) -> Iterator[list[int]]:
    """Rows of numbers in single lines and sentences of a text that cannot be meant otherwise.

    Args:
        text: with other numbers too.
        labelled: take also a row with any separators that has its sentence for itself, but for a word for an order.
    """
    for part in _PART.split(text):
        rows: list[list[re.Match[str]]] = []
        for number in _NUMBER.finditer(part):
            if rows and _SEPARATORS.fullmatch(part, rows[-1][-1].end(), number.start()):
                rows[-1].append(number)
            else:
                rows.append([number])
        for row in rows:
            before = part[: row[0].start()]
            joined = all(_BETTER.search(part, one.end(), other.start()) for one, other in pairwise(row))
            alone = len(rows) == 1 and (_SEPARATORS.fullmatch(before) or _LABEL.search(before))
            clear = joined or (labelled and alone)
            if len(row) > 1 and clear and _END.match(part[row[-1].end() :]):
                yield [int(one[0]) for one in row]


def _bracketed(text: str) -> list[int]:
    return [int(found) for inside in _BRACKETED.findall(text) for found in _NUMBER.findall(inside)]


def _numbers_in_front(item: str) -> list[int]:
    """Numbers that an item of a list begins with: what follows them is about them."""
    found, at = [], 0
    while number := _NEXT.match(item, at):
        found.append(int(number[1]))
        at = number.end()
    return found


def _without_numbering(text: str) -> str:
    """A text without the numbers of its lines, if these count up from 1."""
    lines = [int(number) for number in _NUMBERING.findall(text)]
    return _NUMBERING.sub("", text) if lines == [*range(1, len(lines) + 1)] else text
