"""Which documents a program is compiled on, and on which it is scored: by a hash of the id, which never changes."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from inpars_plus.corpora.chunking import parent_id_of
from inpars_plus.corpora.corpus import Corpus
from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["HALVES", "SplitName", "Splits", "half_of", "sample", "split_documents", "split_of"]

SplitName: TypeAlias = Literal["train", "validation", "test"]


HALVES = ("settings", "report")
"""Of judged queries: on one, settings are chosen; on the other, figures are reported."""


class Splits(NamedTuple):
    """Documents by split, each list in the order in which they came."""

    train: list[Document]
    validation: list[Document]
    test: list[Document]


def split_of(original_id: str, *, validation: float = 0.2, test: float = 0.2) -> SplitName:
    """The split that a document belongs to, from its id alone.

    The SHA-256 of the id is a point in [0, 1): the test documents are those below ``test``, then come the
    validation documents. So a grown corpus moves no document, and the test documents stay the same when
    ``validation`` is changed.

    Args:
        original_id: the id in the document's own corpus; a chunk's is its parent's, so that no document is split.
        validation: share of validation documents.
        test: share of test documents.

    Raises:
        ConfigurationError: the shares are negative or leave nothing to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise ConfigurationError(
            f"shares of {validation} for validation and {test} for test leave nothing to train on or are negative",
            place="splits",
            remedy="Give shares such as 0.2 and 0.2, below 1 together",
        )
    point = _hash(f"split {original_id}") / 2**64
    if point < test:
        return "test"
    return "validation" if point < test + validation else "train"


def half_of(query_id: str) -> str:
    """Which of :data:`HALVES` a judged query belongs to, from its id alone, for collections with one set of them."""
    return HALVES[_hash(f"half {query_id}") >> 63]


def split_documents(
    documents: Iterable[Document], corpus: Corpus | None = None, *, validation: float = 0.2, test: float = 0.2
) -> Splits:
    """Sort documents into splits; chunks of one document stay together.

    Args:
        documents: all or some documents of the corpus.
        corpus: what they come from, for their original ids; not needed for documents with ids of their own.
        validation: share of validation documents.
        test: share of test documents.

    Raises:
        ConfigurationError: as for :func:`split_of`.
    """
    splits = Splits([], [], [])
    lists = splits._asdict()
    for document in documents:
        parent = parent_id_of(document)
        original = parent if corpus is None else corpus.original_id(parent)
        lists[split_of(original, validation=validation, test=test)].append(document)
    return splits


def sample(documents: Iterable[Document], n: int, seed: int) -> list[Document]:
    """Draw ``n`` documents, or all if there are fewer; only ``n`` are held in memory.

    The draw is of the smallest hashes of seed and id. It depends on nothing else, not on the order of the documents,
    and a smaller sample is the beginning of a larger one.

    Args:
        documents: the documents, as a stream; ids are unique.
        n: how many to draw.
        seed: another one draws others.

    Returns:
        The documents in the order of their hashes, which is a random order.

    Raises:
        ConfigurationError: ``n`` is negative.
    """
    if n < 0:
        raise ConfigurationError(f"a sample cannot have {n} documents", place="sample", remedy="Give 0 or more")
    return heapq.nsmallest(n, documents, key=lambda document: (_hash(f"{seed} {document.id}"), document.id))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
