"""The task of describing a document by a few constrained labels, as a DSPy signature."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

import dspy
from pydantic import BaseModel, ConfigDict, Field, create_model

__all__ = ["AnalyzeDocument", "Audience", "Complexity", "DocumentAnalysis", "Domain", "analysis_of_types"]

Domain = Literal[
    "medicine-and-biology",
    "natural-science",
    "engineering",
    "software",
    "mathematics",
    "business-and-finance",
    "law-and-politics",
    "society-and-culture",
    "sports-and-leisure",
    "everyday-life",
    "other",
]
Complexity = Literal["introductory", "intermediate", "advanced"]
Audience = Literal["general-public", "practitioners", "developers", "students", "researchers"]


class DocumentAnalysis(BaseModel):
    """What a document is and for whom, in labels from closed lists (topics excepted)."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    doc_type: str = Field(min_length=1, description="the one of the given document types that fits best")
    domain: Domain = Field(description="the field that the document belongs to")
    # The length is bounded, because a small model that decodes along the schema may otherwise never close a topic.
    topics: list[Annotated[str, Field(min_length=2, max_length=60)]] = Field(
        min_length=1, max_length=5, description="1 to 5 topics, a few words each, main one first"
    )
    complexity: Complexity = Field(description="how much a reader must know already")
    audience: Audience = Field(description="whom the document is written for")


class AnalyzeDocument(dspy.Signature):
    """Say what kind of document this is, what it is about, how demanding it is, and for whom it was written."""

    document: str = dspy.InputField(desc="the document, or its beginning")
    document_types: list[str] = dspy.InputField(desc="the document types to choose from")
    analysis: DocumentAnalysis = dspy.OutputField(desc="the labels; doc_type is one of the given document types")


@lru_cache(maxsize=64)
def analysis_of_types(document_types: tuple[str, ...]) -> type[DocumentAnalysis]:
    """A form of :class:`DocumentAnalysis` whose ``doc_type`` can only be one of the given types.

    The list is known only when the question is asked, and only a constraint in the model is enforced: in the parsed
    reply, and by engines that decode along a JSON schema.
    """
    choice: Any = Literal[document_types]
    return create_model(
        "DocumentAnalysis",
        __base__=DocumentAnalysis,
        doc_type=(choice, Field(description="the one of these document types that fits best")),
    )
