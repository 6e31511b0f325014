"""Search whose first results a language model puts in order; a retriever like any other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar, Self

import dspy

from inpars_plus.corpora.documents import Document, each_document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.kinds import is_listed
from inpars_plus.programs.asking import model_of
from inpars_plus.programs.inputs import check_program
from inpars_plus.programs.likelihood_reranker import LikelihoodReranker
from inpars_plus.programs.rerank_reports import RerankReport
from inpars_plus.programs.reranking import Reranker
from inpars_plus.programs.together import together
from inpars_plus.programs.unread import UnreadReplies
from inpars_plus.retrieval.external import checked_retriever
from inpars_plus.retrieval.protocol import Ranking, Retriever, check_k, check_queries

__all__ = ["LmReranker"]


class LmReranker:
    """Searches with another retriever and re-ranks the first documents of each ranking.

    What is below ``depth`` stays below, in its order. The scores are those of the first stage, dealt out anew from the
    highest down, so that they never increase along a ranking and keep their unit; the order is what is new.

    The program asks its own model (``set_lm``) or that of ``dspy.context`` around the search. Queries are asked about
    at the same time. The first search none of whose replies can be read is told as a warning of the library's logger.
    A copy is the same object: indexes are never copied.

    Args:
        program: a pointwise, pairwise or listwise re-ranker, compiled or not; or one by likelihood. One of your own is
            called and answers as :meth:`inpars_plus.programs.reranking.Reranker.forward` does.
        retriever: the first stage.
        documents: those that the retriever finds, by id or one after the other; or what gives one for its id, such as
            ``stack.document``.
        depth: how many documents of a ranking are re-ranked, at least 1.
        calls: of the model for one query at most; with fewer than the program needs, fewer documents are re-ranked.
            ``None`` allows what ``program.calls_for(depth)`` says.
        threads: calls at once.

    Attributes:
        asks_model: that each search is paid for; a ``MetadataFilter`` refuses what says so.
        report: what happened in all searches so far.

    Raises:
        ConfigurationError: a setting makes no sense, the program re-ranks no passages, the retriever cannot search, or
            what is given are no documents.
        CorpusError: two documents have the same id.
    """

    asks_model: ClassVar[bool] = True

    def __init__(
        self,
        program: Reranker | LikelihoodReranker | Callable[..., dspy.Prediction],
        retriever: Retriever,
        documents: Mapping[str, Document] | Iterable[Document] | Callable[[str], Document | None],
        *,
        depth: int = 20,
        calls: int | None = None,
        threads: int = 16,
    ) -> None:
        if depth < 1 or threads < 1 or (calls is not None and calls < 0):
            raise ConfigurationError(
                f"documents cannot be re-ranked to a depth of {depth} with {calls} calls and {threads} threads",
                remedy="Give a depth and threads of 1 or more, and calls of 0 or more",
            )
        check_program(
            program,
            ["query", "passages", "calls", "threads"],
            lacks="re-ranks no passages",
            remedy="Pass a re-ranker, such as PointwiseReranker()",
        )
        self.program = program
        self.retriever = checked_retriever(retriever)
        self.depth = depth
        self.calls = calls
        self.threads = threads
        self.report = RerankReport()
        self._unread = UnreadReplies("the documents keep their order")
        self._find = _finder(documents)
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Search all queries at once, and re-rank.

        Args:
            queries: query texts; an empty one gets an empty ranking.
            k: how many documents to return at most, 1 or more. The first ``depth`` are re-ranked, whatever k is.

        Raises:
            ConfigurationError: there is no language model, ``k`` is below 1, the queries are no list of texts, or a
                program of your own gives no order.
            CorpusError: a document that was found is not among the documents.
            ModelError: the model is dead or its spending cap is reached.
        """
        check_queries(queries)
        check_k(k)
        found = self.rerank(queries, self.retriever.search(queries, max(k, self.depth)))
        return [Ranking(ranking.ids[:k], ranking.scores[:k]) for ranking in found]

    def rerank(self, queries: Sequence[str], rankings: Sequence[Ranking]) -> list[Ranking]:
        """Re-rank what was found before.

        Args:
            queries: query texts.
            rankings: one a query.

        Returns:
            The rankings in full length, only their first ``depth`` in another order.

        Raises:
            InParsError: as :meth:`search`.
        """
        check_queries(queries)
        if len(queries) != len(rankings):
            raise ConfigurationError(f"{len(rankings)} rankings were given for {len(queries)} queries")
        work = [(query, ranking) for query, ranking in zip(queries, rankings, strict=True) if len(ranking)]
        at_once = max(1, min(self.threads, len(work)))
        # What a single query is left of the threads, it uses for its own asks.
        done = together(
            lambda one: self._one(*one, self.threads // at_once), work, threads=at_once, lm=model_of(self.program)
        )
        self._unread.look(sum(report.calls for _, report in done), sum(report.unreadable for _, report in done))
        ranked = iter([ranking for ranking, _ in done])
        return [next(ranked) if len(ranking) else ranking for ranking in rankings]

    def _one(self, query: str, ranking: Ranking, threads: int) -> tuple[Ranking, RerankReport]:
        head, tail = ranking.ids[: self.depth], ranking.ids[self.depth :]
        passages = [self._document(name).full_text for name in head]
        found = self.program(query=query, passages=passages, calls=self.calls, threads=threads)
        order, report = _positions(getattr(found, "order", None)), getattr(found, "report", None)
        if sorted(order) != [*range(len(head))] or not isinstance(report, RerankReport):
            raise ConfigurationError(
                "the program's prediction does not say how the passages are to stand",
                place=f"program '{type(self.program).__name__}'",
                remedy="It needs order, a list with the position of each passage once, and report, a RerankReport",
            )
        with self._lock:
            self.report += report
        return Ranking((*(head[position] for position in order), *tail), ranking.scores), report

    def _document(self, name: str) -> Document:
        try:
            found = self._find(name)
        except KeyError:
            found = None
        if found is None:
            raise CorpusError(
                "search found a document that is not among the documents to re-rank",
                place=f"document '{name}'",
                remedy="Give the documents that the retriever was built from",
            )
        return next(each_document({name: found}))


def _positions(order: Any) -> list[int]:
    """The whole numbers that a program gave; none where it gave something else too."""
    given = list(order) if is_listed(order) and not isinstance(order, str | bytes) else []
    return given if all(isinstance(one, Integral) and not isinstance(one, bool) for one in given) else []


def _finder(
    documents: Mapping[str, Document] | Iterable[Document] | Callable[[str], Document | None],
) -> Callable[[str], Document | None]:
    if isinstance(documents, Mapping):
        return documents.__getitem__
    if callable(documents) and not isinstance(documents, type):
        return documents
    by_id: dict[str, Document] = {}
    for document in each_document(documents):
        if by_id.setdefault(document.id, document) is not document:
            raise CorpusError("two documents have this id", place=f"document '{document.id}'")
    return by_id.get
