"""Other people's engines in a choice between rankers: what they are asked, and what they answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from inpars_plus.corpora.documents import documents_digest
from inpars_plus.foundation import ConfigurationError, digest, say
from inpars_plus.optimizers.rankers.choosing import System, score_system
from inpars_plus.optimizers.rankers.training_queries import (
    HeldOut,
    TrainingQuery,
    queries_digest,
    write_training_queries,
)
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import read_run

__all__ = ["Selection", "without_set_aside"]

_TAG = 8


class Selection:
    """What engines that are not ours are asked, in BEIR's layout.

    Ids of queries begin with a digest of queries and documents, so that a run over another selection, in which other
    lines are taken out of other documents, answers none of them.

    Args:
        held_out: queries, and the corpus that they are asked of.
        directory: where it is written.
    """

    def __init__(self, held_out: HeldOut, directory: Path) -> None:
        self.held_out = held_out
        self.directory = directory

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Of the queries, in order."""
        tag = digest(queries_digest(self.held_out.queries), documents_digest(self.held_out.documents))[:_TAG]
        return tuple(f"{tag}-{number}" for number, _ in enumerate(self.held_out.queries, start=1))

    def write(self) -> None:
        """Write what to index and what to ask."""
        asked = [replace(query, id=name) for name, query in zip(self.ids, self.held_out.queries, strict=True)]
        write_training_queries(self.directory, asked, documents=self.held_out.documents, split="test")

    def systems(self, given: Sequence[str], *, taken: Sequence[str]) -> list[System]:
        """Run files as systems to choose from.

        Args:
            given: each ``NAME=FILE``.
            taken: names of other systems.

        Raises:
            ConfigurationError: the form is another, a name is taken, or a run is not over this selection.
            CorpusError: a file is no run.
        """
        found: list[System] = []
        for one in given:
            name, equals, path = one.partition("=")
            if not (name and equals and path) or name in {*taken, *(other.name for other in found)}:
                raise ConfigurationError(f"'{one}' is not of the form NAME=FILE with a name of its own", place="--run")
            found.append(self._system(name, path))
        return found

    def _system(self, name: str, path: str) -> System:
        rankings, queries = read_run(Path(path).expanduser()), self.held_out.queries
        missing = sum(one not in rankings for one in self.ids)
        if missing == len(queries):
            raise ConfigurationError(
                "the run answers none of the queries",
                place=path,
                remedy=f"Run your engine over {self.directory}, which changes with documents, rankers, count and seed",
            )
        if missing:
            say(f"{path}: {missing:,} of {len(queries):,} queries have no result and count 0")
        found = [rankings.get(one, Ranking((), ())) for one in self.ids]
        return score_system(name, without_set_aside(found, queries), queries, preference=-9)


def without_set_aside(rankings: Sequence[Ranking], queries: Sequence[TrainingQuery]) -> list[Ranking]:
    """Rankings without the documents that count neither as right nor as wrong; one a query, in order."""
    return [ranking.without(query.set_aside) for ranking, query in zip(rankings, queries, strict=True)]
