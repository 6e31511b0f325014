"""From the name of a retriever to the retriever, its index built or taken from the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.files import default_cache_directory
from inpars_plus.retrieval.protocol import Retriever

__all__ = ["DEFAULT_RETRIEVER", "RETRIEVERS", "DocumentSource", "build_retriever"]

DEFAULT_RETRIEVER = "hybrid"

RETRIEVERS = {
    "hybrid": "BM25 and dense scores, half and half; hybrid:0.7 gives the dense scores a weight of 0.7",
    "rrf": "BM25 and dense ranks, by reciprocal rank fusion",
    "bm25": "BM25 alone, over bm25s",
    "dense": "dense alone: all-MiniLM-L6-v2 over FAISS",
    "rank-bm25": "BM25 over rank-bm25, slow, to compare with",
    "package.module:factory": "your own search engine: what the factory returns when called with the documents",
}
"""Each name that :func:`build_retriever` knows, and what it means in one line."""


@runtime_checkable
class DocumentSource(Protocol):
    """What holds documents and gives them out as often as asked: a corpus."""

    def documents(self) -> Iterator[Document]:
        """The documents, in order, from the beginning."""
        ...


def build_retriever(
    name: str | Retriever,
    documents: Iterable[Document] | DocumentSource,
    *,
    cache_directory: Path | None = None,
    encoder: str | None = None,
) -> Retriever:
    """Index documents, title and text, for search.

    Indexes are kept in the cache directory by the content that they were computed from; in memory only, with a
    warning, where that directory cannot be written.

    Args:
        name: one of :data:`RETRIEVERS`; ``hybrid:0.7`` sets the weight of the dense scores. Or a search engine of your
            own, an object with ``search``: what it finds is checked, and nothing is indexed.
        documents: the corpus.
        cache_directory: ``None`` means ``$INPARS_PLUS_CACHE``, or ``~/.cache/inpars-plus``.
        encoder: for dense retrieval, a directory or a model id; ``None`` is the embedded all-MiniLM-L6-v2.

    Raises:
        ConfigurationError: no retriever has this name, or a person's own one is not what it should be.
        CorpusError: there is no document, or two have the same id.
        MissingPartError: a package or model is not installed; the remedy is the command that installs it.
        RunError: the disk of the cache directory is full, or its path is that of a file.
    """
    kind, weight = _parse(name) if isinstance(name, str) else ("own", 0.0)
    records = list(documents.documents() if isinstance(documents, DocumentSource) else documents)
    _check_ids(records)
    if not isinstance(name, str):
        from inpars_plus.retrieval.external import checked_retriever

        return checked_retriever(name, {record.id for record in records})
    if kind == "external":
        from inpars_plus.retrieval.external import load_external

        return load_external(name, records)
    ids = [record.id for record in records]
    texts = [record.full_text for record in records]
    if kind == "rank-bm25":
        from inpars_plus.retrieval.bm25_reference import RankBm25Retriever

        return RankBm25Retriever(ids, texts)

    from inpars_plus.retrieval.bm25 import Bm25Retriever

    cache = cache_directory or default_cache_directory()
    if kind == "bm25":
        return Bm25Retriever(ids, texts, cache_directory=cache)

    from inpars_plus.retrieval.dense import DenseRetriever
    from inpars_plus.retrieval.encoders import load_encoder
    from inpars_plus.retrieval.hybrid import ConvexRetriever, RrfRetriever

    dense = DenseRetriever(ids, texts, load_encoder(encoder), cache_directory=cache)
    if kind == "dense":
        return dense
    lexical = Bm25Retriever(ids, texts, cache_directory=cache)
    return RrfRetriever(lexical, dense) if kind == "rrf" else ConvexRetriever(lexical, dense, weight=weight)


def _parse(name: str) -> tuple[str, float]:
    kind, colon, rest = name.partition(":")
    if kind == "hybrid" and colon:
        try:
            weight = float(rest)
        except ValueError:
            weight = -1.0
        if not 0.0 <= weight <= 1.0:
            raise ConfigurationError(
                f"the weight of the dense scores is a number between 0 and 1, not '{rest}'",
                place=f"retriever '{name}'",
                remedy="Such as hybrid:0.7",
            )
        return "hybrid", weight
    if colon:
        return "external", 0.0
    if name in RETRIEVERS:
        return name, 0.5
    raise ConfigurationError(f"no retriever has the name '{name}'", remedy=f"Choose one of {', '.join(RETRIEVERS)}")


def _check_ids(records: list[Document]) -> None:
    if not records:
        raise CorpusError("there is no document to search")
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise CorpusError("two documents have this id", place=f"document '{record.id}'")
        seen.add(record.id)
