"""DSPy modules built from signatures, and the store that saves and loads compiled ones as JSON.

Importing this package imports neither torch nor DSPy: what needs DSPy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpars_plus.programs.examples import example_of
    from inpars_plus.programs.key_terms import KeyTerms
    from inpars_plus.programs.query_generator import QueryGenerator, RejectedCandidate

__all__ = ["KeyTerms", "QueryGenerator", "RejectedCandidate", "example_of"]

_HOMES = {
    "KeyTerms": "key_terms",
    "QueryGenerator": "query_generator",
    "RejectedCandidate": "query_generator",
    "example_of": "examples",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
