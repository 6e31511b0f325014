"""The kinds of query generators by what a query asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from inpars_plus.corpora.constraints import ConstraintReader
from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.constrained_generator import ConstrainedQueryGenerator
from inpars_plus.programs.part_generators import PassageQueryGenerator, SentenceQueryGenerator
from inpars_plus.programs.query_generator import QueryGenerator

__all__ = ["GRANULARITIES", "Granularity", "granularity_of", "of_granularity"]

Granularity = Literal["document", "passage", "sentence", "constraint"]

GRANULARITIES: Mapping[Granularity, type[QueryGenerator]] = {
    "document": QueryGenerator,
    "passage": PassageQueryGenerator,
    "sentence": SentenceQueryGenerator,
    "constraint": ConstrainedQueryGenerator,
}
"""What a query asks for → its generator."""


def granularity_of(program: Any) -> Granularity:
    """The kind of a generator.

    Raises:
        ConfigurationError: it is no query generator.
    """
    kinds = {kind: name for name, kind in GRANULARITIES.items()}
    found = next((kinds[one] for one in type(program).__mro__ if one in kinds), None)
    if found is None:
        raise ConfigurationError(
            f"a {type(program).__name__} writes no queries", remedy="Give programs of compile-programs"
        )
    return found


def of_granularity(
    programs: Mapping[str, Any], granularity: Granularity | None, documents: Iterable[Document]
) -> dict[str, Any]:
    """What programs have learnt, in generators of the kind that is asked for.

    Args:
        programs: by any name.
        granularity: the kind; ``None`` leaves programs what they are.
        documents: of the whole corpus; read for the names that a constraint may state, if any program states one.

    Returns:
        Name → generator; those that state constraints know all names of the corpus.
    """
    made: dict[str, Any] = dict(programs)
    if granularity is not None:
        kind = GRANULARITIES[granularity]
        made = {name: kind.from_program(program) for name, program in programs.items()}
    constrained = [one for one in made.values() if isinstance(one, ConstrainedQueryGenerator)]
    if constrained:
        reader = ConstraintReader.fit(documents)
        for program in constrained:
            program.reader = reader
    return made
