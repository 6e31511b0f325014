"""The three records that a test collection is made of: documents, queries and judgments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.files import digest

__all__ = ["Document", "Judgment", "Query", "documents_digest"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(_Record):
    """One document, or one chunk of a long one.

    Attributes:
        id: unique in its corpus; ``name/id`` when several corpora are read together.
        title: may be empty.
        text: may be empty; an empty document is kept, but no query is generated from it.
        doc_type: what kind of document it is, such as ``scientific-abstract``; programs are compiled per type.
        language: ISO 639-1 code.
        metadata: anything else that came with it; in a chunk, ``parent_id`` and ``chunk``; see
            :func:`~inpars_plus.corpora.chunking.chunk_document`.
    """

    id: str = Field(min_length=1)
    title: str = ""
    text: str = ""
    doc_type: str = "document"
    language: str = "en"
    metadata: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def full_text(self) -> str:
        """Title and text as one string: what retrieval indexes and what checks compare with."""
        return f"{self.title} {self.text}".strip() if self.title else self.text

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to generate a query from."""
        return not self.text.strip() and not self.title.strip()


class Query(_Record):
    """One query, written by a person or generated."""

    id: str = Field(min_length=1)
    text: str
    metadata: Mapping[str, Any] = Field(default_factory=dict)


class Judgment(_Record):
    """That a document answers a query to some grade (0 means not relevant), as in TREC's qrels."""

    query_id: str
    document_id: str
    grade: int = 1


def documents_digest(documents: Iterable[Document]) -> str:
    """The SHA-256 of what some documents say, in order and in hexadecimal; it is what jobs write into cards."""
    return digest([[one.id, one.title, one.text, one.doc_type, one.language] for one in documents])
