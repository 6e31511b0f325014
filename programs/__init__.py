"""DSPy modules built from signatures, and the store that saves and loads compiled ones as JSON.

An application needs one name of it::

    from inpars_plus.programs import load_program

    program = load_program("compiled/faq.json", lm="embedded")
    program(source=Document(id="1", text="..."), number_of_queries=3).queries

Importing this package imports neither torch nor DSPy: what needs DSPy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpars_plus.programs.adaptive_generator import AdaptiveQueryGenerator, Assignment, programs_of
    from inpars_plus.programs.cards import MetricRecord, OptimizerRecord, ProgramCard, ProgramFileWarning, Scores
    from inpars_plus.programs.document_analyst import DocumentAnalyst
    from inpars_plus.programs.examples import example_of
    from inpars_plus.programs.key_terms import KeyTerms
    from inpars_plus.programs.query_generator import GENERATION_REASONS, QueryGenerator, RejectedCandidate
    from inpars_plus.programs.registry import REGISTRY
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
    "DocumentAnalyst",
    "KeyTerms",
    "MetricRecord",
    "OptimizerRecord",
    "ProgramCard",
    "ProgramFileWarning",
    "QueryGenerator",
    "RejectedCandidate",
    "Route",
    "Scores",
    "TypeRouter",
    "example_of",
    "list_programs",
    "load_program",
    "programs_of",
    "save_program",
]

_HOMES = {
    "AdaptiveQueryGenerator": "adaptive_generator",
    "Analyst": "routes",
    "Assignment": "adaptive_generator",
    "FORMAT_VERSION": "store",
    "GENERATION_REASONS": "query_generator",
    "REGISTRY": "registry",
    "ROUTE_REASONS": "routes",
    "DocumentAnalyst": "document_analyst",
    "KeyTerms": "key_terms",
    "MetricRecord": "cards",
    "OptimizerRecord": "cards",
    "ProgramCard": "cards",
    "ProgramFileWarning": "cards",
    "QueryGenerator": "query_generator",
    "RejectedCandidate": "query_generator",
    "Route": "routes",
    "Scores": "cards",
    "TypeRouter": "type_router",
    "example_of": "examples",
    "list_programs": "store",
    "load_program": "store",
    "programs_of": "adaptive_generator",
    "save_program": "store",
}


def __getattr__(name: str) -> Any:  # see the docstring: heavy imports wait
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
