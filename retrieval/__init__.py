"""Search: BM25, dense, hybrid and a person's own engine behind one batched protocol, indexes cached by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes
from inpars_plus.retrieval.protocol import Ranking, Retriever

if TYPE_CHECKING:
    from inpars_plus.retrieval.bm25 import Bm25Retriever
    from inpars_plus.retrieval.bm25_reference import RankBm25Retriever
    from inpars_plus.retrieval.dense import DenseRetriever
    from inpars_plus.retrieval.encoders import Encoder, load_encoder
    from inpars_plus.retrieval.hybrid import ConvexRetriever, RrfRetriever
    from inpars_plus.retrieval.loading import DEFAULT_RETRIEVER, RETRIEVERS, build_retriever
    from inpars_plus.retrieval.rankers import RankerSpec, hybrid_spec
    from inpars_plus.retrieval.ranks import ranks_of_sources
    from inpars_plus.retrieval.stack import Stack, build_stack, load_stack

__all__ = [
    "DEFAULT_RETRIEVER",
    "RETRIEVERS",
    "Bm25Retriever",
    "ConvexRetriever",
    "DenseRetriever",
    "Encoder",
    "RankBm25Retriever",
    "RankerSpec",
    "Ranking",
    "Retriever",
    "RrfRetriever",
    "Stack",
    "build_retriever",
    "build_stack",
    "hybrid_spec",
    "load_encoder",
    "load_stack",
    "ranks_of_sources",
]

# Imported when first asked for: what programs import must not bring indexes and models with it.
_HOMES = {
    "DEFAULT_RETRIEVER": "loading",
    "RETRIEVERS": "loading",
    "Bm25Retriever": "bm25",
    "ConvexRetriever": "hybrid",
    "DenseRetriever": "dense",
    "Encoder": "encoders",
    "RankBm25Retriever": "bm25_reference",
    "RankerSpec": "rankers",
    "RrfRetriever": "hybrid",
    "Stack": "stack",
    "build_retriever": "loading",
    "build_stack": "stack",
    "hybrid_spec": "rankers",
    "load_encoder": "encoders",
    "load_stack": "stack",
    "ranks_of_sources": "ranks",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
