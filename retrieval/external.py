"""A person's own search engine, or its ``package.module:factory``, checked so that a mistake is named where it is."""

from __future__ import annotations

import importlib
import math
import numbers
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, InParsError
from inpars_plus.foundation.kinds import kind_of
from inpars_plus.retrieval.protocol import Ranking, Retriever, check_k, check_queries

__all__ = ["CheckedRetriever", "checked_retriever", "load_external", "retriever_key"]

_CONTRACT = "It needs a method search(queries: Sequence[str], k: int) -> list[Ranking]"


class CheckedRetriever:
    """Passes searches on to somebody's retriever and checks what comes back.

    Empty queries are not passed on: they get an empty ranking.

    Args:
        retriever: what searches.
        name: how a person named it, for messages.
        ids: of the documents that it searches; ``None`` where these are not known, and any id will do.

    Attributes:
        asks_model: whether it says that each search is paid for.
    """

    def __init__(self, retriever: Retriever, name: str, ids: Collection[str] | None) -> None:
        self._retriever = retriever
        self._name = name
        self._ids = None if ids is None else frozenset(ids)
        self.asks_model = bool(getattr(retriever, "asks_model", False))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """Search all queries at once; see :class:`~inpars_plus.retrieval.protocol.Retriever`.

        Raises:
            ConfigurationError: ``k`` is below 1, the queries are no list of texts, the search failed, or its result is
                not one ranking a query, of at most ``k`` documents of the corpus, each once, with scores that are
                finite and never rise.
        """
        check_queries(queries)
        check_k(k)
        asked = [row for row, query in enumerate(queries) if query.strip()]
        rankings = [Ranking((), ())] * len(queries)
        if asked:
            try:
                found: Any = self._retriever.search([queries[row] for row in asked], k)
            except InParsError:
                raise
            except Exception as problem:
                raise ConfigurationError(
                    f"search failed for {len(asked):,} queries ({_said(problem)})",
                    place=f"retriever '{self._name}'",
                    remedy="Mend it and run the same command again; what is finished is kept",
                ) from problem
            self._check(found, len(asked), k)
            for row, ranking in zip(asked, found, strict=True):
                rankings[row] = ranking
        return rankings

    def _check(self, found: Any, queries: int, k: int) -> None:
        problem = None
        if not isinstance(found, Sequence) or isinstance(found, str):
            problem = f"search returned {kind_of(found)} instead of a list of rankings"
        elif len(found) != queries:
            problem = f"search returned {len(found)} rankings for {queries} queries"
        else:
            for ranking in found:
                if not isinstance(ranking, Ranking):
                    problem = f"search returned a list with {kind_of(ranking)} in it instead of a Ranking"
                elif len(ranking) > k:
                    problem = f"search returned {len(ranking)} documents for a query when {k} were asked for"
                else:
                    problem = self._problem(ranking)
                if problem:
                    break
        if problem:
            raise ConfigurationError(problem, place=f"retriever '{self._name}'", remedy=_CONTRACT)

    def _problem(self, ranking: Any) -> str | None:
        seen: set[str] = set()
        before = math.inf
        for document_id, score in zip(ranking.ids, ranking.scores, strict=True):
            if not isinstance(document_id, str):
                return "search returned a document id that is not a string"
            if self._ids is not None and document_id not in self._ids:
                return f"search returned the id '{document_id}', which no document of the corpus has"
            if document_id in seen:
                return f"search returned the document '{document_id}' twice for one query"
            if not isinstance(score, numbers.Real) or not math.isfinite(score):
                return f"search returned the score {score!r} for the document '{document_id}', not a finite number"
            if float(score) > before:
                return f"search returned the document '{document_id}' with a better score than the one ranked before it"
            seen.add(document_id)
            before = float(score)
        return None


def checked_retriever(retriever: Any, ids: Collection[str] | None = None) -> Retriever:
    """Somebody's retriever behind checks; one of this package is given back as it is.

    Args:
        retriever: an object that searches.
        ids: of the documents that it searches, where they are known.

    Raises:
        ConfigurationError: it cannot search.
    """
    if isinstance(retriever, type) or not callable(getattr(retriever, "search", None)):
        raise ConfigurationError(f"{kind_of(retriever)} has no search method", place="retriever", remedy=_CONTRACT)
    if type(retriever).__module__.startswith("inpars_plus."):
        own: Retriever = retriever
        return own
    return CheckedRetriever(retriever, type(retriever).__name__, ids)


def load_external(name: str, documents: Sequence[Document]) -> CheckedRetriever:
    """Build the retriever that ``package.module:factory`` names.

    The module is looked for among the installed ones, then in the working directory.

    Args:
        name: module and factory, such as ``my_engine.client:build``.
        documents: what the factory is called with.

    Raises:
        ConfigurationError: there is no such module or factory, the factory fails, or what it returns cannot search.
    """
    place = f"retriever '{name}'"
    with _working_directory_on_path():
        factory = _factory(name)
        called = name.partition(":")[2]
        try:
            retriever: Any = factory(documents)
        except InParsError:
            raise
        except Exception as problem:
            raise ConfigurationError(
                f"'{called}' failed for {len(documents)} documents ({_said(problem)})", place=place
            ) from problem
    if isinstance(retriever, type) or not callable(getattr(retriever, "search", None)):
        raise ConfigurationError(
            f"'{called}' returned {kind_of(retriever)} without a search method", place=place, remedy=_CONTRACT
        )
    return CheckedRetriever(retriever, name, {document.id for document in documents})


def retriever_key(name: str) -> str:
    """What results of a search depend on beside the documents, to be written into the inputs of steps.

    Changed code behind a name cannot be told from outside, so a factory may say it: where it has an attribute
    ``digest``, a string, steps run again when that changes. It is of the factory, because steps that are done are
    skipped without building what searches.

    Args:
        name: as for :func:`~inpars_plus.retrieval.loading.build_retriever`.

    Returns:
        The name, and the digest where there is one.

    Raises:
        ConfigurationError: there is no such module or factory, or its digest is no string.
    """
    if ":" not in name or name.startswith("hybrid:"):
        return name
    with _working_directory_on_path():
        stated = getattr(_factory(name), "digest", None)
    if stated is not None and not isinstance(stated, str):
        raise ConfigurationError("the digest of the factory is not a string", place=f"retriever '{name}'")
    return name if stated is None else f"{name}, digest {stated}"


def _factory(name: str) -> Callable[[Sequence[Document]], Any]:
    place = f"retriever '{name}'"
    module_name, _, factory_name = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or not factory_name.isidentifier():
        raise ConfigurationError(
            "the name is not of the form package.module:factory", place=place, remedy="Such as my_engine:build"
        )
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        raise ConfigurationError(
            f"the module '{module_name}' cannot be imported ({_said(problem)})",
            place=place,
            remedy="Install it, or run the command in the directory that holds it",
        ) from problem
    factory: Callable[[Sequence[Document]], Any] | None = getattr(module, factory_name, None)
    if not callable(factory):
        lacks = "has no" if factory is None else "has no function"
        raise ConfigurationError(f"the module '{module_name}' {lacks} '{factory_name}'", place=place)
    return factory


@contextmanager
def _working_directory_on_path() -> Iterator[None]:
    # An installed command does not look there, other than `python -m`. At the end, where it shadows nothing.
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _said(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
