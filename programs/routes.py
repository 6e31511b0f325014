"""What analysts say about documents: a known type, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, model_validator

from inpars_plus.corpora.documents import Document

__all__ = ["ROUTE_REASONS", "Analyst", "Route"]

ROUTE_REASONS: Mapping[str, str] = {
    "empty_document": "there is nothing in the document to tell its type by",
    "no_analysis": "the call for the analysis failed, so the document is not done with, and no program writes for it",
    "no_program_for_type": "the type is known, but no program is compiled for it",
    "unknown_type": "the document is unlike those of every known type",
    "unreadable_analysis": "the language model's analysis could not be read",
}
"""Why a document is not written for by the program of its type."""


class Route(BaseModel):
    """What an analyst says about one document.

    Attributes:
        document_type: one of the types that the analyst knows; ``None`` if it is of none, and ``reason`` says why.
        reason: a key of :data:`ROUTE_REASONS`; ``None`` if and only if there is a type.
        confidence: probability of the nearest type in [0, 1]; ``None`` where the analyst gives none.
        nearest: the type that comes nearest, also where the document is too far from it to be of it.
    """

    model_config = ConfigDict(frozen=True)

    document_type: str | None
    reason: str | None = None
    confidence: float | None = None
    nearest: str | None = None

    @model_validator(mode="after")
    def _has_a_type_or_a_reason(self) -> Route:
        if (self.document_type is None) == (self.reason is None):
            raise ValueError("a route has either a type or a reason why it has none")
        return self


@runtime_checkable
class Analyst(Protocol):
    """Anything that tells the types of documents, such as ``TypeRouter`` and ``DocumentAnalyst``."""

    def route(self, documents: Sequence[Document]) -> list[Route]:
        """One route a document, in order. What cannot be told is a route with a reason, never an error."""
        ...
