"""What every reader yields: a document, and the place it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from inpars_plus.corpora.documents import Document

__all__ = ["ReadingOptions", "Record"]


class Record(NamedTuple):
    """One document with its place, so that a later check can name it.

    Attributes:
        document: what was read.
        source: the file, or another name of where it came from.
        line: 1-based line where the document begins, for files that hold many.
    """

    document: Document
    source: str
    line: int | None = None

    @property
    def place(self) -> str:
        """Where the document stands, in words: ``corpus.jsonl, line 7``."""
        return self.source if self.line is None else f"{self.source}, line {self.line}"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What a person can say about a corpus before it is read.

    Attributes:
        default_type: the document type of documents that do not state one.
        forced_type: the document type of all documents, whatever they state; ``None`` lets them.
        language: ISO 639-1 code of documents that do not state theirs.
        encoding: of text files.
        fields: document field (``id``, ``title``, ``text``, ``doc_type``, ``language``) to the name of its column.
    """

    default_type: str = "document"
    forced_type: str | None = None
    language: str = "en"
    encoding: str = "utf-8"
    fields: Mapping[str, str] = field(default_factory=dict)

    def type_of(self, stated: str | None = None) -> str:
        """The document type of a document that states ``stated``."""
        return self.forced_type or stated or self.default_type
