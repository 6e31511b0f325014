"""The three records that a test collection is made of: documents, queries and judgments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.kinds import kind_of

__all__ = ["Document", "Judgment", "Query", "documents_digest", "each_document"]


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


def each_document(documents: Any) -> Iterator[Document]:
    """Documents one after the other, whether they come as a list, as a stream or by id.

    Args:
        documents: a mapping to documents, or what goes through them.

    Raises:
        ConfigurationError: it is neither, or something in it is no document.
    """
    if isinstance(documents, Document):  # it could be gone through too, field by field
        raise ConfigurationError("several documents are wanted, not one Document", remedy="Pass [document]")
    if isinstance(documents, str | type) or not isinstance(documents, Iterable):
        raise ConfigurationError(f"documents are wanted, not {kind_of(documents)}", remedy="Pass a list of Document")
    pairs: Iterable[tuple[Any, Any]] = documents.items() if isinstance(documents, Mapping) else enumerate(documents)
    for name, document in pairs:
        if not isinstance(document, Document):
            raise ConfigurationError(
                f"a Document is wanted, not {kind_of(document)}",
                place=f"documents[{name!r}]",
                remedy="Pass Document(id=..., text=...) of inpars_plus.corpora",
            )
        yield document
