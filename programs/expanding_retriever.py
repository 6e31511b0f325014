"""Search with what a language model adds to the query; a retriever like any other."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import dspy
from pydantic import BaseModel, ConfigDict

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.kinds import is_listed
from inpars_plus.programs.asking import model_of
from inpars_plus.programs.inputs import check_program
from inpars_plus.programs.query_expanders import HypotheticalPassageWriter, QueryExpander
from inpars_plus.programs.together import together
from inpars_plus.programs.unread import UnreadReplies
from inpars_plus.retrieval.external import checked_retriever
from inpars_plus.retrieval.fusion import DEPTH
from inpars_plus.retrieval.hybrid import RRF_K
from inpars_plus.retrieval.protocol import Ranking, Retriever, check_k, check_queries

__all__ = ["ExpandingRetriever", "ExpansionReport"]


class ExpansionReport(BaseModel):
    """What happened while queries were expanded. Two of them add up with ``+``.

    Attributes:
        queries: how many were asked about, one call each.
        unreadable: replies that could not be read; these queries were searched as they are.
        unchanged: readable replies that added nothing; these queries were searched as they are.
        texts: that were searched for beside the queries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: int = 0
    unreadable: int = 0
    unchanged: int = 0
    texts: int = 0

    def __add__(self, other: ExpansionReport) -> ExpansionReport:
        names = ExpansionReport.model_fields
        return ExpansionReport(**{name: getattr(self, name) + getattr(other, name) for name in names})


class ExpandingRetriever:
    """Searches for a query and for what a program makes of it, and fuses the rankings.

    Rankings are fused by reciprocal ranks over their top 100, or top k where that is more: ``weight / (60 + rank)``,
    summed (Cormack et al. 2009, "Reciprocal Rank Fusion"); documents with the same sum stand in the order in which they
    were found. The query has as much weight as all that was added to it together, so that a bad expansion cannot
    outvote it. A query to which nothing was added is searched as it is. Where a single text is searched for, its
    ranking has the retriever's own scores. The first search none of whose replies can be read is told as a warning of
    the library's logger.

    Args:
        program: gives the further texts; asks its own model, or that of ``dspy.context`` around the search. One of your
            own is called with ``query`` and gives a prediction with ``texts`` and ``reason``, as these two do.
        retriever: searches.
        keep_query: whether the query itself is searched for too. Without it, only what was added is: one passage where
            HyDE as published (Gao et al. 2022) searches with the mean vector of several passages and the query.
        threads: calls at once.

    Attributes:
        asks_model: that each search is paid for; a ``MetadataFilter`` refuses what says so.
        report: what happened in all searches so far.

    Raises:
        ConfigurationError: there is not one thread, the program expands no queries, or the retriever cannot search.
    """

    asks_model: ClassVar[bool] = True

    def __init__(
        self,
        program: QueryExpander | HypotheticalPassageWriter | Callable[..., dspy.Prediction],
        retriever: Retriever,
        *,
        keep_query: bool = True,
        threads: int = 16,
    ) -> None:
        if threads < 1:
            raise ConfigurationError(f"queries cannot be expanded on {threads} threads", remedy="Give 1 or more")
        remedy = "Pass QueryExpander() or HypotheticalPassageWriter()"
        check_program(program, ["query"], lacks="expands no queries", remedy=remedy)
        self.program = program
        self.retriever = checked_retriever(retriever)
        self.keep_query = keep_query
        self.threads = threads
        self.report = ExpansionReport()
        self._unread = UnreadReplies("the queries are searched as they are")
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Search all queries at once.

        Args:
            queries: query texts; a blank one is not asked about and is searched as it is.
            k: how many documents to return at most, 1 or more.

        Raises:
            ConfigurationError: there is no language model, ``k`` is below 1, the queries are no list of texts, or
                a program of your own gives none.
            ModelError: the model is dead or its spending cap is reached.
        """
        check_queries(queries)
        check_k(k)
        asked = [at for at, query in enumerate(queries) if query.strip()]
        found = together(
            lambda at: self.program(query=queries[at]), asked, threads=self.threads, lm=model_of(self.program)
        )
        if not all(_says_what_to_search_for(one) for one in found):
            raise ConfigurationError(
                "the program's prediction does not say what to search for",
                place=f"program '{type(self.program).__name__}'",
                remedy="It needs texts, a list, and reason, which is None where the reply could be read",
            )
        added: dict[int, list[str]] = {at: one.texts for at, one in zip(asked, found, strict=True)}
        unreadable = sum(one.reason is not None for one in found)
        with self._lock:
            self.report += ExpansionReport(
                queries=len(asked),
                unreadable=unreadable,
                unchanged=sum(not texts for texts in added.values()) - unreadable,
                texts=sum(map(len, added.values())),
            )
        self._unread.look(len(asked), unreadable)
        searched = [self._searched(query, added.get(at, [])) for at, query in enumerate(queries)]
        rankings = iter(self.retriever.search([text for texts in searched for text in texts], max(k, DEPTH)))
        return [self._fused([next(rankings) for _ in texts], k) for texts in searched]

    def _searched(self, query: str, added: Sequence[str]) -> list[str]:
        return [query, *added] if self.keep_query or not added else [*added]

    def _fused(self, rankings: Sequence[Ranking], k: int) -> Ranking:
        if len(rankings) == 1:
            return Ranking(rankings[0].ids[:k], rankings[0].scores[:k])
        added = len(rankings) - self.keep_query
        weights = [1.0] * self.keep_query + [1 / added] * added
        sums: defaultdict[str, float] = defaultdict(float)
        for ranking, weight in zip(rankings, weights, strict=True):
            for rank, name in enumerate(ranking.ids, start=1):
                sums[name] += weight / (RRF_K + rank)
        best = sorted(sums, key=lambda name: -sums[name])[:k]
        return Ranking(tuple(best), tuple(sums[name] for name in best))


def _says_what_to_search_for(found: Any) -> bool:
    texts: Any = getattr(found, "texts", None)
    listed = is_listed(texts) and not isinstance(texts, str)
    return listed and all(isinstance(one, str) for one in texts) and hasattr(found, "reason")
