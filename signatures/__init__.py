"""What a language model is asked: typed DSPy signatures and their pydantic output types, one file a task."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpars_plus.signatures.adapt_instruction import AdaptInstruction, RevisedInstruction
    from inpars_plus.signatures.analyze_document import AnalyzeDocument, DocumentAnalysis
    from inpars_plus.signatures.diagnose_failures import (
        DiagnoseFailures,
        FailedQuery,
        FailureDiagnosis,
        MeasuredPerformance,
    )
    from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery, normalize_query

__all__ = [
    "AdaptInstruction",
    "AnalyzeDocument",
    "DiagnoseFailures",
    "DocumentAnalysis",
    "FailedQuery",
    "FailureDiagnosis",
    "GenerateQueries",
    "MeasuredPerformance",
    "RevisedInstruction",
    "SyntheticQuery",
    "normalize_query",
]

_HOMES = {
    "AdaptInstruction": "adapt_instruction",
    "AnalyzeDocument": "analyze_document",
    "DiagnoseFailures": "diagnose_failures",
    "DocumentAnalysis": "analyze_document",
    "FailedQuery": "diagnose_failures",
    "FailureDiagnosis": "diagnose_failures",
    "GenerateQueries": "generate_queries",
    "MeasuredPerformance": "diagnose_failures",
    "RevisedInstruction": "adapt_instruction",
    "SyntheticQuery": "generate_queries",
    "normalize_query": "generate_queries",
}


def __getattr__(name: str) -> Any:  # importing DSPy takes most of a second, so it waits until a signature is used
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
