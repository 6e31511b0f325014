"""Documents, queries and judgments: where they come from, how they are split, and where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.corpora.documents import Document, Judgment, Query
from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.corpora.chunking import chunk_document, parent_id_of
    from inpars_plus.corpora.corpus import Corpus, Section
    from inpars_plus.corpora.judgments import (
        read_judgments,
        read_queries,
        write_beir,
        write_documents,
        write_judgments,
        write_queries,
    )
    from inpars_plus.corpora.ledger import Ledger, LedgerEntry
    from inpars_plus.corpora.sources import CorpusSource, open_corpus
    from inpars_plus.corpora.splits import Splits, sample, split_documents, split_of

__all__ = [
    "Corpus",
    "CorpusSource",
    "Document",
    "Judgment",
    "Ledger",
    "LedgerEntry",
    "Query",
    "Section",
    "Splits",
    "chunk_document",
    "open_corpus",
    "parent_id_of",
    "read_judgments",
    "read_queries",
    "sample",
    "split_documents",
    "split_of",
    "write_beir",
    "write_documents",
    "write_judgments",
    "write_queries",
]

# Readers and the splitter are loaded when they are used: an application that only loads a compiled program, whose
# inputs are documents, does not wait for them.
_HOMES = {
    "Corpus": "corpus",
    "CorpusSource": "sources",
    "Ledger": "ledger",
    "LedgerEntry": "ledger",
    "Section": "corpus",
    "Splits": "splits",
    "chunk_document": "chunking",
    "open_corpus": "sources",
    "parent_id_of": "chunking",
    "read_judgments": "judgments",
    "read_queries": "judgments",
    "sample": "splits",
    "split_documents": "splits",
    "split_of": "splits",
    "write_beir": "judgments",
    "write_documents": "judgments",
    "write_judgments": "judgments",
    "write_queries": "judgments",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
