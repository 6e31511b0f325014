"""The programs that can be saved and loaded, by name.

A file can only name a program of this list: loading never imports anything that a file asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from inpars_plus.foundation.errors import ConfigurationError, ProgramFileError

if TYPE_CHECKING:
    import dspy

__all__ = ["REGISTRY", "is_query_generator", "name_of", "program_class"]

REGISTRY: dict[str, str] = {
    "AdaptiveQueryGenerator": "inpars_plus.programs.adaptive_generator:AdaptiveQueryGenerator",
    "ConstrainedQueryGenerator": "inpars_plus.programs.constrained_generator:ConstrainedQueryGenerator",
    "DocumentAnalyst": "inpars_plus.programs.document_analyst:DocumentAnalyst",
    "HypotheticalPassageWriter": "inpars_plus.programs.query_expanders:HypotheticalPassageWriter",
    "InstructionAdapter": "inpars_plus.programs.instruction_adapter:InstructionAdapter",
    "ListwiseReranker": "inpars_plus.programs.rerankers:ListwiseReranker",
    "PairwiseReranker": "inpars_plus.programs.rerankers:PairwiseReranker",
    "PassageQueryGenerator": "inpars_plus.programs.part_generators:PassageQueryGenerator",
    "PointwiseReranker": "inpars_plus.programs.rerankers:PointwiseReranker",
    "QueryExpander": "inpars_plus.programs.query_expanders:QueryExpander",
    "QueryGenerator": "inpars_plus.programs.query_generator:QueryGenerator",
    "SentenceQueryGenerator": "inpars_plus.programs.part_generators:SentenceQueryGenerator",
    "TypeRouter": "inpars_plus.programs.type_router:TypeRouter",
}
"""Name → ``module:class``, imported when first used.

A class is a ``dspy.Module`` with ``dump_settings() -> dict`` (JSON: what its constructor needs) and the class method
``from_settings(settings)``. The settings ``prompt_form`` and ``key_terms``, where a program has them, stand in the file
beside the others; ``from_settings`` gets all in one mapping.
"""


def program_class(name: str) -> Any:
    """The class of a registered program.

    Raises:
        ProgramFileError: no program of this name is registered; names come from files, which may be newer.
    """
    if name not in REGISTRY:
        raise ProgramFileError(
            f"the file is for the program {name!r}, but this version knows only {', '.join(sorted(REGISTRY))}",
            remedy="Use the version of inpars-plus that wrote it, or compile again",
        )
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module), attribute)


def is_query_generator(name: str) -> bool:
    """Whether programs of this name write queries for documents, of whatever kind."""
    return name in REGISTRY and issubclass(program_class(name), program_class("QueryGenerator"))


def name_of(program: dspy.Module) -> str:
    """The name under which a program's class is registered.

    Raises:
        ConfigurationError: if it is not.
    """
    home = f"{type(program).__module__}:{type(program).__qualname__}"
    names: Mapping[str, str] = {path: name for name, path in REGISTRY.items()}
    if home not in names:
        raise ConfigurationError(
            f"programs of the class {home} cannot be saved, because it is not registered",
            remedy="Add it to inpars_plus.programs.registry.REGISTRY",
        )
    return names[home]
