"""What programs refuse before they ask anything: a text where a list is wanted, and what is no document.

A string is a list of its letters to Python, and a call a letter would be paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["check_document", "check_passages", "check_queries"]


def check_queries(queries: Sequence[str]) -> None:
    """Refuse one string in the place of a list of queries.

    Raises:
        ConfigurationError: it is one.
    """
    if isinstance(queries, str):
        raise ConfigurationError("search takes a list of queries, not one string", remedy="Pass [query]")


def check_passages(passages: Sequence[str]) -> None:
    """Refuse one string in the place of a list of passages, and passages that are no text.

    Raises:
        ConfigurationError: it is one, or some are none.
    """
    if isinstance(passages, str):
        raise ConfigurationError("a re-ranker takes a list of passages, not one string", remedy="Pass [passage, ...]")
    for at, passage in enumerate(passages):
        if not isinstance(passage, str):
            raise ConfigurationError(
                f"a passage is a text, not a {type(passage).__name__}",
                place=f"passages[{at}]",
                remedy="Pass the full_text of documents",
            )


def check_document(source: Any) -> None:
    """Refuse what is no document.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(source, Document):
        raise ConfigurationError(
            f"a program for documents takes a Document, not a {type(source).__name__}",
            place="source",
            remedy="Pass Document(id=..., text=...) of inpars_plus.corpora",
        )
