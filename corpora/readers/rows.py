"""One row of a table or one JSON object to one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.readers.languages import language_code
from inpars_plus.corpora.readers.records import ReadingOptions
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.texts import is_whole

__all__ = ["DOCUMENT_FIELDS", "document_of"]

DOCUMENT_FIELDS = ("doc_type", "id", "language", "text", "title")
"""The document fields that can be read from a column of another name."""

_ID_NAMES = ("_id", "id")


def document_of(row: Mapping[str, Any], options: ReadingOptions, *, source: str, line: int) -> Document:
    """Make a document of a row.

    The id is read from the column mapped to it, else from ``_id`` or ``id``; title, text, document type and language
    from theirs; every other column goes to the metadata, beside what an object in the column ``metadata`` holds. A
    text of ``null`` is an empty document; a missing text is an error, because it is most often a wrong column name.

    Args:
        row: column name to value.
        options: field mapping and defaults.
        source: the file, for errors.
        line: 1-based line where the row begins, for errors.

    Raises:
        CorpusError: a field is missing or not text.
    """
    place = f"{source}, line {line}"
    fields = options.fields
    id_column = fields.get("id") or next((name for name in _ID_NAMES if name in row), _ID_NAMES[0])
    columns = {field: fields.get(field, field) for field in DOCUMENT_FIELDS} | {"id": id_column}

    def value(field: str, *, required: bool = False) -> str | None:
        column = columns[field]
        # A title or a type may be missing from some rows even when a column is mapped to it: not so id and text.
        if column not in row:
            if required:
                raise _missing(field, column, row, place)
            return None
        return _text(row[column], column, place)

    identifier = value("id", required=True)
    if not identifier:
        raise CorpusError(f"the id in '{id_column}' is empty", place=place, remedy="Give every document an id")
    if not is_whole(identifier):
        raise CorpusError(
            f"the id {identifier!a} holds half of a character (a lone surrogate)",
            place=place,
            remedy="Replace it; it is most often an emoji that was cut in two",
        )
    text = value("text", required=True)
    title = value("title")
    stated_type = value("doc_type")
    used = {"metadata", *columns.values()}
    if language_code(row.get(columns["language"])) is None:
        used.discard(columns["language"])  # something else that is called so, such as a programming language
    metadata = {name: inner for name, inner in row.items() if name not in used} | _metadata(row, place)
    return Document(
        id=identifier,
        title=title or "",
        text=text or "",
        doc_type=options.type_of(stated_type or _string(metadata.get("doc_type"))),
        language=_language(row, metadata, columns["language"], options, place),
        metadata=metadata,
    )


def _text(value: Any, column: str, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    kind = {bool: "true or false", float: "a number", list: "a list", dict: "an object"}.get(type(value), "not text")
    raise CorpusError(f"the field '{column}' should be text and is {kind}", place=place, remedy="Write it as a string")


def _metadata(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    given = row.get("metadata")
    if given is None or given == "":
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):  # a column of a CSV file
        return {"metadata": given}
    raise CorpusError(
        "the field 'metadata' should be an object", place=place, remedy="Write it as {...} or leave it out"
    )


def _language(
    row: Mapping[str, Any], metadata: Mapping[str, Any], column: str, options: ReadingOptions, place: str
) -> str:
    if "language" in options.fields and row.get(column):
        code = language_code(row[column])
        if code is None:
            raise CorpusError(
                f"the field '{column}' holds no language code: {row[column]!r:.40}",
                place=place,
                remedy="Use two-letter codes (ISO 639-1) such as en, or do not map that column to the language",
            )
        return code
    stated = (row.get("language"), metadata.get("language"), metadata.get("lang"))
    return next((code for code in map(language_code, stated) if code), options.language)


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _missing(field: str, column: str, row: Mapping[str, Any], place: str) -> CorpusError:
    present = ", ".join(f"'{name}'" for name in list(row)[:12]) or "none"
    return CorpusError(
        f"the field '{column}' is missing (present: {present})",
        place=place,
        remedy=f"Add it, or say which field holds the {field}, such as {field}={next(iter(row), 'NAME')}",
    )
