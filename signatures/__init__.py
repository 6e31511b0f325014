"""What a language model is asked: typed DSPy signatures and their pydantic output types, one file a task."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpars_plus.signatures.analyze_document import AnalyzeDocument, DocumentAnalysis
    from inpars_plus.signatures.generate_constrained_queries import GenerateConstrainedQueries
    from inpars_plus.signatures.generate_passage_queries import GeneratePassageQueries
    from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery, normalize_query
    from inpars_plus.signatures.generate_sentence_queries import GenerateSentenceQueries

__all__ = [
    "AnalyzeDocument",
    "DocumentAnalysis",
    "GenerateConstrainedQueries",
    "GeneratePassageQueries",
    "GenerateQueries",
    "GenerateSentenceQueries",
    "SyntheticQuery",
    "normalize_query",
]

_HOMES = {
    "AnalyzeDocument": "analyze_document",
    "DocumentAnalysis": "analyze_document",
    "GenerateConstrainedQueries": "generate_constrained_queries",
    "GeneratePassageQueries": "generate_passage_queries",
    "GenerateQueries": "generate_queries",
    "GenerateSentenceQueries": "generate_sentence_queries",
    "SyntheticQuery": "generate_queries",
    "normalize_query": "generate_queries",
}


def __getattr__(name: str) -> Any:  # importing DSPy takes most of a second, so it waits until a signature is used
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
