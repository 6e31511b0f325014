"""The kinds of query generators by what a query asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from inpars_plus.corpora.constraints import ConstraintReader
from inpars_plus.corpora.documents import Document
from inpars_plus.programs.constrained_generator import ConstrainedQueryGenerator
from inpars_plus.programs.part_generators import PassageQueryGenerator, SentenceQueryGenerator
from inpars_plus.programs.query_generator import QueryGenerator

__all__ = ["GRANULARITIES", "Granularity", "of_granularity"]

Granularity = Literal["document", "passage", "sentence", "constraint"]

GRANULARITIES: Mapping[Granularity, type[QueryGenerator]] = {
    "document": QueryGenerator,
    "passage": PassageQueryGenerator,
    "sentence": SentenceQueryGenerator,
    "constraint": ConstrainedQueryGenerator,
}
"""What a query asks for → its generator."""


def of_granularity(
    programs: Mapping[str, Any], granularity: Granularity, documents: Iterable[Document]
) -> dict[str, Any]:
    """What programs have learnt, in generators of the kind that is asked for.

    Args:
        programs: by any name.
        granularity: the kind; ``document`` leaves programs what they are, those of another kind too.
        documents: of the whole corpus; read for the names that a constraint may state.

    Returns:
        Name → generator.
    """
    if granularity == "document":
        return dict(programs)
    kind = GRANULARITIES[granularity]
    made: dict[str, Any] = {name: kind.from_program(program) for name, program in programs.items()}
    if granularity == "constraint":
        reader = ConstraintReader.fit(documents)
        for program in made.values():
            program.reader = reader
    return made
