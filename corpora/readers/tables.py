"""Readers of CSV, TSV and JSON Lines files, plain or gzipped, with a mapping of columns to document fields."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.corpora.readers.rows import document_of
from inpars_plus.corpora.readers.text_files import open_text
from inpars_plus.foundation.errors import CorpusError

__all__ = ["json_objects", "read_csv", "read_jsonl"]

# NaN and Infinity, which Python writes and JSON has not, are read as null: they cannot be written again.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def json_objects(path: Path, encoding: str = "utf-8") -> Iterator[tuple[int, dict[str, Any]]]:
    """Stream the JSON objects of a file that has one a line; blank lines are skipped.

    Yields:
        The 1-based line number and the object.

    Raises:
        CorpusError: the file cannot be read, or a line is not a JSON object.
    """
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                value = _DECODER.decode(line)
            except json.JSONDecodeError as problem:
                raise CorpusError(
                    f"the line is not valid JSON ({problem.msg} at character {problem.colno})",
                    place=place,
                    remedy="Correct or remove the line; each line holds one whole JSON object",
                ) from problem
            except (RecursionError, ValueError) as problem:
                raise CorpusError(
                    "the line is nested too deeply or holds a number that is too long", place=place, remedy="Remove it"
                ) from problem
            if not isinstance(value, dict):
                raise CorpusError(
                    "the line is not a JSON object", place=place, remedy='Write {"_id": ..., "text": ...} on each line'
                )
            yield number, value


def read_jsonl(path: Path, options: ReadingOptions) -> Iterator[Record]:
    """Stream the documents of a JSON Lines file; see :func:`~inpars_plus.corpora.readers.rows.document_of`.

    Raises:
        CorpusError: a line is malformed, or a field is missing or not text.
    """
    source = str(path)
    for number, row in json_objects(path, options.encoding):
        yield Record(document_of(row, options, source=source, line=number), source, number)


def read_csv(path: Path, options: ReadingOptions) -> Iterator[Record]:
    """Stream the documents of a CSV file (tabs in a ``.tsv`` file) whose first row names the columns.

    Raises:
        CorpusError: a row is malformed, has more or fewer cells than the header, or a field is missing.
    """
    source = str(path)
    tabs = ".tsv" in (suffix.lower() for suffix in path.suffixes[-2:])
    # The module's own limit of 128 kB a cell is shorter than a long document; it can be lifted only for the process.
    csv.field_size_limit(sys.maxsize)
    with open_text(path, options.encoding, newline="") as file:
        rows = csv.reader(file, delimiter="\t" if tabs else ",", strict=True)
        first = _next_row(rows, source)
        if first is None:
            return
        header = [name.strip() for name in first[1]]
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise CorpusError(
                f"the header names the column '{repeated[0]}' more than once",
                place=f"{source}, line {first[0]}",
                remedy="Give every column a name of its own",
            )
        while (numbered := _next_row(rows, source)) is not None:
            number, cells = numbered
            if len(cells) != len(header):
                raise CorpusError(
                    f"the row has {len(cells)} cells, and the header {len(header)}",
                    place=f"{source}, line {number}",
                    remedy='Put cells that hold the separator or a line break into double quotes, "like, this"',
                )
            document = document_of(dict(zip(header, cells, strict=True)), options, source=source, line=number)
            yield Record(document, source, number)


def _next_row(rows: Any, source: str) -> tuple[int, list[str]] | None:
    """The next row that is not blank, with the line it begins on; a quoted cell may span many lines."""
    while True:
        number = rows.line_num + 1
        try:
            cells = next(rows, None)
        except csv.Error as problem:
            raise CorpusError(
                f"the row is not valid CSV ({problem})",
                place=f"{source}, line {number}",
                remedy="Check the double quotes from this line on; write one inside a quoted cell twice",
            ) from problem
        if cells is None:
            return None
        if cells:
            return number, cells
