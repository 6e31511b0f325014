"""DSPy modules built from signatures, and the store that saves and loads compiled ones as JSON.

An application needs one name of it::

    from inpars_plus.programs import load_program

    program = load_program("compiled/faq.json", lm="embedded")
    program(source=Document(id="1", text="..."), number_of_queries=3).queries

Importing this package imports neither torch nor DSPy: what needs DSPy is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.programs.adaptive_generator import AdaptiveQueryGenerator, Assignment, programs_of
    from inpars_plus.programs.cards import MetricRecord, OptimizerRecord, ProgramCard, ProgramFileWarning, Scores
    from inpars_plus.programs.constrained_generator import ConstrainedQueryGenerator
    from inpars_plus.programs.document_analyst import DocumentAnalyst
    from inpars_plus.programs.examples import example_of
    from inpars_plus.programs.expanding_retriever import ExpandingRetriever, ExpansionReport
    from inpars_plus.programs.instruction_adapter import InstructionAdapter
    from inpars_plus.programs.key_terms import KeyTerms
    from inpars_plus.programs.likelihood_reranker import LikelihoodReranker
    from inpars_plus.programs.lm_reranker import LmReranker
    from inpars_plus.programs.outcomes import GENERATION_REASONS, RejectedCandidate
    from inpars_plus.programs.part_generators import PassageQueryGenerator, SentenceQueryGenerator
    from inpars_plus.programs.performance import measured_performance
    from inpars_plus.programs.query_expanders import HypotheticalPassageWriter, QueryExpander
    from inpars_plus.programs.query_generator import QueryGenerator
    from inpars_plus.programs.registry import REGISTRY
    from inpars_plus.programs.rerank_reports import RerankReport
    from inpars_plus.programs.rerankers import ListwiseReranker, PairwiseReranker, PointwiseReranker
    from inpars_plus.programs.routes import ROUTE_REASONS, Analyst, Route
    from inpars_plus.programs.store import FORMAT_VERSION, list_programs, load_program, save_program
    from inpars_plus.programs.type_router import TypeRouter

__all__ = [
    "FORMAT_VERSION",
    "GENERATION_REASONS",
    "REGISTRY",
    "ROUTE_REASONS",
    "AdaptiveQueryGenerator",
    "Analyst",
    "Assignment",
    "ConstrainedQueryGenerator",
    "DocumentAnalyst",
    "ExpandingRetriever",
    "ExpansionReport",
    "HypotheticalPassageWriter",
    "InstructionAdapter",
    "KeyTerms",
    "LikelihoodReranker",
    "ListwiseReranker",
    "LmReranker",
    "MetricRecord",
    "OptimizerRecord",
    "PairwiseReranker",
    "PassageQueryGenerator",
    "PointwiseReranker",
    "ProgramCard",
    "ProgramFileWarning",
    "QueryExpander",
    "QueryGenerator",
    "RejectedCandidate",
    "RerankReport",
    "Route",
    "Scores",
    "SentenceQueryGenerator",
    "TypeRouter",
    "example_of",
    "list_programs",
    "load_program",
    "measured_performance",
    "programs_of",
    "save_program",
]

_HOMES = {
    "FORMAT_VERSION": "store",
    "GENERATION_REASONS": "outcomes",
    "REGISTRY": "registry",
    "ROUTE_REASONS": "routes",
    "AdaptiveQueryGenerator": "adaptive_generator",
    "Analyst": "routes",
    "Assignment": "adaptive_generator",
    "ConstrainedQueryGenerator": "constrained_generator",
    "DocumentAnalyst": "document_analyst",
    "ExpandingRetriever": "expanding_retriever",
    "ExpansionReport": "expanding_retriever",
    "HypotheticalPassageWriter": "query_expanders",
    "InstructionAdapter": "instruction_adapter",
    "KeyTerms": "key_terms",
    "LikelihoodReranker": "likelihood_reranker",
    "ListwiseReranker": "rerankers",
    "LmReranker": "lm_reranker",
    "MetricRecord": "cards",
    "OptimizerRecord": "cards",
    "PairwiseReranker": "rerankers",
    "PassageQueryGenerator": "part_generators",
    "PointwiseReranker": "rerankers",
    "ProgramCard": "cards",
    "ProgramFileWarning": "cards",
    "QueryExpander": "query_expanders",
    "QueryGenerator": "query_generator",
    "RejectedCandidate": "outcomes",
    "RerankReport": "rerank_reports",
    "Route": "routes",
    "Scores": "cards",
    "SentenceQueryGenerator": "part_generators",
    "TypeRouter": "type_router",
    "example_of": "examples",
    "list_programs": "store",
    "load_program": "store",
    "measured_performance": "performance",
    "programs_of": "adaptive_generator",
    "save_program": "store",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
