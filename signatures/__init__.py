"""What a language model is asked: typed DSPy signatures and their pydantic output types, one file a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.signatures.adapt_instruction import AdaptInstruction, RevisedInstruction
    from inpars_plus.signatures.analyze_document import AnalyzeDocument, DocumentAnalysis
    from inpars_plus.signatures.compare_passages import ComparePassages, PassagePreference
    from inpars_plus.signatures.diagnose_failures import (
        DiagnoseFailures,
        FailedQuery,
        FailureDiagnosis,
        MeasuredPerformance,
    )
    from inpars_plus.signatures.expand_query import (
        ExpandQuery,
        HypotheticalPassage,
        QueryExpansion,
        WriteHypotheticalPassage,
    )
    from inpars_plus.signatures.generate_constrained_queries import GenerateConstrainedQueries
    from inpars_plus.signatures.generate_passage_queries import GeneratePassageQueries
    from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery, normalize_query
    from inpars_plus.signatures.generate_sentence_queries import GenerateSentenceQueries
    from inpars_plus.signatures.judge_relevance import JudgeRelevance, RelevanceGrade
    from inpars_plus.signatures.rank_passages import PassageOrder, RankPassages

__all__ = [
    "AdaptInstruction",
    "AnalyzeDocument",
    "ComparePassages",
    "DiagnoseFailures",
    "DocumentAnalysis",
    "ExpandQuery",
    "FailedQuery",
    "FailureDiagnosis",
    "GenerateConstrainedQueries",
    "GeneratePassageQueries",
    "GenerateQueries",
    "GenerateSentenceQueries",
    "HypotheticalPassage",
    "JudgeRelevance",
    "MeasuredPerformance",
    "PassageOrder",
    "PassagePreference",
    "QueryExpansion",
    "RankPassages",
    "RelevanceGrade",
    "RevisedInstruction",
    "SyntheticQuery",
    "WriteHypotheticalPassage",
    "normalize_query",
]

# Importing DSPy takes most of a second, so it waits until a signature is used.
_HOMES = {
    "AdaptInstruction": "adapt_instruction",
    "AnalyzeDocument": "analyze_document",
    "ComparePassages": "compare_passages",
    "DiagnoseFailures": "diagnose_failures",
    "DocumentAnalysis": "analyze_document",
    "ExpandQuery": "expand_query",
    "FailedQuery": "diagnose_failures",
    "FailureDiagnosis": "diagnose_failures",
    "GenerateConstrainedQueries": "generate_constrained_queries",
    "GeneratePassageQueries": "generate_passage_queries",
    "GenerateQueries": "generate_queries",
    "GenerateSentenceQueries": "generate_sentence_queries",
    "HypotheticalPassage": "expand_query",
    "JudgeRelevance": "judge_relevance",
    "MeasuredPerformance": "diagnose_failures",
    "PassageOrder": "rank_passages",
    "PassagePreference": "compare_passages",
    "QueryExpansion": "expand_query",
    "RankPassages": "rank_passages",
    "RelevanceGrade": "judge_relevance",
    "RevisedInstruction": "adapt_instruction",
    "SyntheticQuery": "generate_queries",
    "WriteHypotheticalPassage": "expand_query",
    "normalize_query": "generate_queries",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
