"""The generator of queries that state a constraint on a document's metadata: its source, author, date or topic.

Each query is asked for with one constraint that the document meets, in turn over its fields. A completion model, which
cannot be told to, is given the words of the constraint as its query's opening (``Guardian article about``). Only a
query that states what was asked for, and nothing that its document does not meet, is good; how a query is read is
defined in :mod:`inpars_plus.corpora.constraints`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import dspy

from inpars_plus.corpora.constraints import Constraint, ConstraintReader, constraints_of, meets
from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.files import digest
from inpars_plus.programs.outcomes import Turn
from inpars_plus.programs.query_generator import QueryGenerator
from inpars_plus.signatures.generate_constrained_queries import GenerateConstrainedQueries

__all__ = ["ConstrainedQueryGenerator", "check_constraint"]


class ConstrainedQueryGenerator(QueryGenerator):
    """Writes queries that state where, by whom, when or on what a document was written.

    Called as :class:`~inpars_plus.programs.query_generator.QueryGenerator` is, with the same prediction. A document
    whose metadata say none of this is not asked about, and the reason is ``no_metadata``.

    Args:
        reader: knows the names in the collection's metadata, so that a query which also states another name is
            noticed. It is not saved with the program. Without one, only the document's own names and dates are read.
        settings: as of :class:`~inpars_plus.programs.query_generator.QueryGenerator`.
    """

    signature: ClassVar[type[dspy.Signature]] = GenerateConstrainedQueries
    one_query_a_turn: ClassVar[bool] = True
    nothing_to_ask: ClassVar[str] = "no_metadata"

    def __init__(self, *, reader: ConstraintReader | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.reader = reader

    def _turns(self, source: Document, per_ask: int) -> list[Turn]:
        """A turn a constraint, one field after the other, beginning with another field for each document.

        Constraints whose own words are not read as what they say are left out.
        """
        known = constraints_of(source)
        reader = self.reader or ConstraintReader(known)
        checks = {one: partial(check_constraint, document=source, constraint=one, reader=reader) for one in known}
        # Names that can be read in two ways would be paid for and refused.
        asked = [one for one, check in checks.items() if check(one.opening) is None]
        windows = self._windows(source, per_ask)
        return [
            Turn(
                source,
                windows[at % len(windows)],
                self._foremost(source),
                extra={"constraint": str(constraint)},
                opening=constraint.opening,
                check=checks[constraint],
            )
            for at, constraint in enumerate(_alternating(asked, int(digest(source.id, source.text)[:8], 16)))
        ]


def check_constraint(query: str, *, document: Document, constraint: Constraint, reader: ConstraintReader) -> str | None:
    """Whether a query states a constraint, and none that its document does not meet.

    Returns:
        ``constraint_not_stated``, ``constraint_not_met`` or ``None``; keys of
        :data:`~inpars_plus.programs.outcomes.GENERATION_REASONS`.
    """
    stated = reader.stated_in(query)
    if not any(one.key == constraint.key for either in stated for one in either):
        return "constraint_not_stated"
    if not all(any(meets(document, one) for one in either) for either in stated):
        return "constraint_not_met"
    return None


def _alternating(constraints: Sequence[Constraint], first: int) -> list[Constraint]:
    """One of each field, then the second of each, and so on: seven authors are not seven queries.

    Which field comes first follows from ``first``, any number.
    """
    fields = list(dict.fromkeys(one.field for one in constraints))
    by_field = [[one for one in constraints if one.field == field] for field in fields]
    start = first % max(1, len(by_field))
    in_order = by_field[start:] + by_field[:start]
    deepest = max(map(len, by_field), default=0)
    return [found[at] for at in range(deepest) for found in in_order if at < len(found)]
