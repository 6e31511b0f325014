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
    from inpars_plus.programs.cards import MetricRecord, OptimizerRecord, ProgramCard, ProgramFileWarning, Scores
    from inpars_plus.programs.document_analyst import DocumentAnalyst
    from inpars_plus.programs.examples import example_of
    from inpars_plus.programs.instruction_adapter import InstructionAdapter
    from inpars_plus.programs.key_terms import KeyTerms
    from inpars_plus.programs.performance import measured_performance
    from inpars_plus.programs.query_generator import GENERATION_REASONS, QueryGenerator, RejectedCandidate
    from inpars_plus.programs.registry import REGISTRY
    from inpars_plus.programs.store import FORMAT_VERSION, list_programs, load_program, save_program

__all__ = [
    "FORMAT_VERSION",
    "GENERATION_REASONS",
    "REGISTRY",
    "DocumentAnalyst",
    "InstructionAdapter",
    "KeyTerms",
    "MetricRecord",
    "OptimizerRecord",
    "ProgramCard",
    "ProgramFileWarning",
    "QueryGenerator",
    "RejectedCandidate",
    "Scores",
    "example_of",
    "list_programs",
    "load_program",
    "measured_performance",
    "save_program",
]

_HOMES = {
    "FORMAT_VERSION": "store",
    "GENERATION_REASONS": "query_generator",
    "REGISTRY": "registry",
    "DocumentAnalyst": "document_analyst",
    "InstructionAdapter": "instruction_adapter",
    "KeyTerms": "key_terms",
    "MetricRecord": "cards",
    "OptimizerRecord": "cards",
    "ProgramCard": "cards",
    "ProgramFileWarning": "cards",
    "QueryGenerator": "query_generator",
    "RejectedCandidate": "query_generator",
    "Scores": "cards",
    "example_of": "examples",
    "list_programs": "store",
    "load_program": "store",
    "measured_performance": "performance",
    "save_program": "store",
}


def __getattr__(name: str) -> Any:  # see the docstring: heavy imports wait
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
