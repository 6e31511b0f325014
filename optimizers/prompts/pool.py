"""The documented pool of instructions and prompt forms, one file per kind of document.

A small completion model cannot write instructions for itself, so they are written here, in plain words: statements
about the text that follows rather than commands, because the model continues text. ``pools/*.json`` is the data. Each
file says which document types it serves; a type that no file names gets the general pool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

import dspy
from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["GENERAL", "Instruction", "InstructionPool", "SeedDemonstration", "pool_for", "pools"]

#: Name of the pool that serves every document type without a pool of its own.
GENERAL = "general"


class Instruction(BaseModel):
    """One instruction of the pool.

    Attributes:
        text: what stands above the documents in the prompt; one line.
        idea: why it is in the pool, in a few words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1)
    idea: str = Field(min_length=1)


class SeedDemonstration(BaseModel):
    """An invented document with a query, for the first harvest.

    Attributes:
        document: its text, made up for the pool.
        key_terms: the terms that the query is about.
        query: what a person might type to find it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: str = Field(min_length=1)
    key_terms: tuple[str, ...] = Field(min_length=1)
    query: str = Field(min_length=1)

    def example(self, document_type: str) -> dspy.Example:
        """As a demonstration of the program."""
        return dspy.Example(
            document=self.document,
            key_terms=list(self.key_terms),
            document_type=document_type,
            number_of_queries=1,
            queries=[SyntheticQuery(text=self.query)],
        )


class InstructionPool(BaseModel):
    """The instructions and prompt forms worth trying on one kind of document.

    Attributes:
        name: name of the pool.
        about: what its documents are and how people search for them.
        document_types: the document types that it serves.
        forms: names of prompt forms of a completion model, the most promising first.
        instructions: the instructions, in the order in which they are tried.
        demonstrations: invented ones. A small model without any demonstration writes too few good queries to learn
            from, so these stand in its prompt until it has written better ones itself.
        last_opening: the word that a query of such documents begins with where the model's earlier attempts gave
            nothing usable; empty for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str
    document_types: tuple[str, ...] = Field(min_length=1)
    forms: tuple[str, ...] = Field(min_length=1)
    instructions: tuple[Instruction, ...] = Field(min_length=2)
    demonstrations: tuple[SeedDemonstration, ...] = ()
    last_opening: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the instructions alone."""
        return tuple(instruction.text for instruction in self.instructions)


@cache
def pools() -> Mapping[str, InstructionPool]:
    """All pools by name, read from the package's data."""
    folder = resources.files(__package__) / "pools"
    found = [
        InstructionPool.model_validate(json.loads(file.read_text(encoding="utf-8")))
        for file in folder.iterdir()
        if file.name.endswith(".json")
    ]
    return {pool.name: pool for pool in sorted(found, key=lambda pool: pool.name)}


@cache
def _by_type() -> Mapping[str, InstructionPool]:
    served: dict[str, InstructionPool] = {}
    for pool in pools().values():
        for document_type in pool.document_types:
            other = served.setdefault(document_type, pool)
            if other is not pool:
                raise ConfigurationError(
                    f"The document type '{document_type}' is served by two pools, '{other.name}' and '{pool.name}'",
                    place="optimizers/prompts/pools",
                )
    return served


def pool_for(document_type: str) -> InstructionPool:
    """The pool that serves a document type.

    Args:
        document_type: such as ``scientific-abstract``; case, spaces and underscores do not matter.

    Returns:
        The pool that names this type, or the general one.
    """
    wanted = "-".join(document_type.casefold().replace("_", " ").replace("-", " ").split())
    return _by_type().get(wanted) or pools()[GENERAL]
