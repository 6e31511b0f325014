"""Reading and writing queries and judgments in BEIR layout.

::

    <directory>/corpus.jsonl            {"_id", "title", "text", "doc_type", "language", "metadata"}
    <directory>/corpus-reference.json   or: which corpus the queries belong to
    <directory>/queries.jsonl           {"_id", "text", "metadata"}
    <directory>/qrels/<split>.tsv       query-id, corpus-id, score
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from inpars_plus.corpora.documents import Document, Judgment, Query
from inpars_plus.corpora.readers.tables import json_objects
from inpars_plus.corpora.readers.text_files import open_text
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.files import JSON, replacing, write_json
from inpars_plus.foundation.secrets import hide_secrets
from inpars_plus.foundation.texts import is_whole

__all__ = [
    "REFERENCE_FILE",
    "read_judgments",
    "read_queries",
    "write_beir",
    "write_documents",
    "write_judgments",
    "write_queries",
]

REFERENCE_FILE = "corpus-reference.json"
"""The file that says which corpus the queries of a directory belong to."""

_HEADER = ("query-id", "corpus-id", "score")
_BREAKING = re.compile(r"[\t\n\r]")


def read_queries(path: str | Path) -> list[Query]:
    """Read ``queries.jsonl`` (also ``.gz``).

    Raises:
        CorpusError: a line is malformed, a field is missing or not text, or an id is there twice.
    """
    file = Path(path)
    queries: dict[str, Query] = {}
    for number, row in json_objects(file):
        place = f"{file}, line {number}"
        identifier, text, metadata = row.get("_id"), row.get("text"), row.get("metadata") or {}
        if isinstance(identifier, int) and not isinstance(identifier, bool):
            identifier = str(identifier)
        for field, value in (("_id", identifier), ("text", text)):
            if not isinstance(value, str) or (field == "_id" and not value):
                raise CorpusError(
                    f"the field '{field}' is missing or not text",
                    place=place,
                    remedy='Write queries as {"_id": "1", "text": "..."}',
                )
        if not isinstance(metadata, dict):
            raise CorpusError("the field 'metadata' should be an object", place=place, remedy="Write it as {...}")
        if not is_whole(str(identifier)):
            raise CorpusError(
                f"the query id {identifier!a} holds half of a character (a lone surrogate)",
                place=place,
                remedy="Replace it; it is most often an emoji that was cut in two",
            )
        if identifier in queries:
            raise CorpusError(
                f"the query id '{identifier}' is there twice", place=place, remedy="Give every query an id of its own"
            )
        queries[str(identifier)] = Query(id=str(identifier), text=str(text), metadata=metadata)
    return list(queries.values())


def read_judgments(path: str | Path) -> list[Judgment]:
    """Read a file of judgments (``qrels/<split>.tsv``, also ``.gz``); a line that is there twice counts once.

    Raises:
        CorpusError: the file is missing (the message names the splits that are there), a line has not three columns,
            a grade is no whole number, or a pair is judged twice with different grades.
    """
    file = Path(path)
    if not file.is_file():
        there = sorted(other.name for other in file.parent.glob("*.tsv*"))
        raise CorpusError(
            "there is no such file of judgments",
            place=str(file),
            remedy=f"There are {', '.join(there)}" if there else "Check the path",
        )
    judgments: dict[tuple[str, str], Judgment] = {}
    with open_text(file, newline=None) as lines:
        for number, line in enumerate(lines, start=1):
            cells = line.rstrip("\n").split("\t")
            if not line.strip() or (number == 1 and tuple(cells) == _HEADER):
                continue
            judgment = _judgment(cells, f"{file}, line {number}")
            pair = (judgment.query_id, judgment.document_id)
            known = judgments.setdefault(pair, judgment)
            if known.grade != judgment.grade:
                raise CorpusError(
                    f"query '{pair[0]}' and document '{pair[1]}' are judged {known.grade} and {judgment.grade}",
                    place=f"{file}, line {number}",
                    remedy="Keep one of the two lines",
                )
    return list(judgments.values())


def write_documents(path: str | Path, documents: Iterable[Document]) -> int:
    """Write ``corpus.jsonl`` as a stream, in one step for its readers; returns the number of documents.

    Raises:
        RunError: the disk is full, or the path cannot be written.
    """
    return _write_rows(Path(path), (_document_row(document) for document in documents))


def write_queries(path: str | Path, queries: Iterable[Query]) -> int:
    """Write ``queries.jsonl`` in one step; returns the number of queries.

    Raises:
        RunError: the disk is full, or the path cannot be written.
    """
    return _write_rows(Path(path), (_query_row(query) for query in queries))


def write_judgments(path: str | Path, judgments: Iterable[Judgment]) -> int:
    """Write a file of judgments with BEIR's header in one step; returns the number of judgments.

    Raises:
        CorpusError: an id holds a tab or a line break.
        RunError: the disk is full, or the path cannot be written.
    """
    return _write_lines(Path(path), ("\t".join(cells) for cells in _judgment_cells(judgments))) - 1


def write_beir(
    directory: str | Path,
    *,
    documents: Iterable[Document] | None = None,
    queries: Iterable[Query],
    judgments: Iterable[Judgment],
    split: str = "train",
    corpus_reference: Mapping[str, JSON] | None = None,
) -> None:
    """Write a directory in BEIR layout that other tools train on. Each file is replaced in one step, judgments last.

    Args:
        directory: where; it is made when missing, and other files in it are left alone.
        documents: the corpus, to be written too; read as a stream.
        queries: the queries; their ids are unique.
        judgments: each of one of the queries.
        split: the name of the file of judgments.
        corpus_reference: which corpus the queries belong to, such as ``Corpus.reference()``, instead of or beside
            the documents.

    Raises:
        CorpusError: two queries have the same id, or a judgment is of another query.
        RunError: the disk is full, or the directory cannot be written.
    """
    folder = Path(directory)
    kept = list(queries)
    ids = {query.id for query in kept}
    if len(ids) != len(kept):
        raise CorpusError("two queries have the same id", place=str(folder), remedy="Give every query an id of its own")
    judged = list(judgments)
    stray = next((judgment for judgment in judged if judgment.query_id not in ids), None)
    if stray is not None:
        raise CorpusError(
            f"there is a judgment of the query '{stray.query_id}', which is not among the queries",
            place=str(folder),
            remedy="Give the query too, or leave its judgments out",
        )
    if documents is not None:
        write_documents(folder / "corpus.jsonl", documents)
    if corpus_reference is not None:
        write_json(folder / REFERENCE_FILE, corpus_reference)
    write_queries(folder / "queries.jsonl", kept)
    write_judgments(folder / "qrels" / f"{split}.tsv", judged)


def _judgment(cells: list[str], place: str) -> Judgment:
    if len(cells) != len(_HEADER) or not cells[0] or not cells[1]:
        raise CorpusError(
            "the line has not the three columns query-id, corpus-id and score",
            place=place,
            remedy="Write them with one tab between them",
        )
    try:
        grade = int(cells[2])
    except ValueError:
        raise CorpusError(
            f"the grade is no whole number: '{cells[2]:.20}'",
            place=place,
            remedy="Write 0 for not relevant, else 1 or more",
        ) from None
    return Judgment(query_id=cells[0], document_id=cells[1], grade=grade)


def _judgment_cells(judgments: Iterable[Judgment]) -> Iterator[tuple[str, str, str]]:
    yield _HEADER
    for judgment in judgments:
        for identifier in (judgment.query_id, judgment.document_id):
            if _BREAKING.search(identifier):
                raise CorpusError(
                    f"the id {identifier!r} holds a tab or a line break and cannot be written to a file of judgments",
                    remedy="Use another id",
                )
        yield judgment.query_id, judgment.document_id, str(judgment.grade)


def _document_row(document: Document) -> dict[str, Any]:
    return {
        "_id": document.id,
        "title": document.title,
        "text": document.text,
        "doc_type": document.doc_type,
        "language": document.language,
        "metadata": dict(document.metadata),
    }


def _query_row(query: Query) -> dict[str, Any]:
    row: dict[str, Any] = {"_id": query.id, "text": query.text}
    return row | {"metadata": dict(query.metadata)} if query.metadata else row


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    return _write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))


def _write_lines(path: Path, lines: Iterable[str]) -> int:
    number = 0
    # Half of a character, which models sometimes reply with, is written as \udXXX: in JSON that is the same.
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        for line in lines:
            file.write(hide_secrets(line) + "\n")
            number += 1
    return number
