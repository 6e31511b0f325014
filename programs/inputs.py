"""What programs refuse before they ask anything: one text or document where a list is wanted, and what is neither.

A string is a list of its letters to Python, and a call a letter would be paid for.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import dspy

from inpars_plus.corpora.documents import Document, each_document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import kind_of

__all__ = ["check_document", "check_documents", "check_number_of_queries", "check_passages", "check_program"]


def check_passages(passages: Any) -> None:
    """Refuse what is no list of texts: positions in a set mean nothing, and a stream is empty when it was looked at.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(passages, str):
        raise ConfigurationError("a re-ranker takes a list of passages, not one string", remedy="Pass [passage, ...]")
    if not isinstance(passages, Sequence):
        raise ConfigurationError(f"a re-ranker takes a list of passages, not {kind_of(passages)}", remedy="Pass a list")
    for at, passage in enumerate(passages):
        if not isinstance(passage, str):
            raise ConfigurationError(
                f"a passage is a text, not {kind_of(passage)}",
                place=f"passages[{at}]",
                remedy="Pass the full_text of documents",
            )


def check_document(source: Any, *, place: str = "source") -> None:
    """Refuse what is no document.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(source, Document):
        raise ConfigurationError(
            f"a program for documents takes a Document, not {kind_of(source)}",
            place=place,
            remedy="Pass Document(id=..., text=...) of inpars_plus.corpora",
        )


def check_number_of_queries(number: int) -> None:
    """Refuse to ask for none.

    Raises:
        ConfigurationError: it is below 1.
    """
    if number < 1:
        raise ConfigurationError(f"number_of_queries is {number}, but must be at least 1")


def check_documents(documents: Any) -> None:
    """Refuse what is no list of documents.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(documents, Sequence | Document):
        raise ConfigurationError(f"a list of documents is wanted, not {kind_of(documents)}", remedy="Pass a list")
    for _ in each_document(documents):
        pass


def check_program(program: Any, inputs: Sequence[str], *, lacks: str, remedy: str) -> None:
    """Refuse what cannot be called with some inputs; a module or function of a person's own that can will do.

    Args:
        program: an object, not its class.
        inputs: their names.
        lacks: what is said of one that cannot.
        remedy: what to do about it.

    Raises:
        ConfigurationError: it cannot.
    """
    if isinstance(program, type) or not _takes(program, inputs):
        raise ConfigurationError(f"{kind_of(program)} {lacks}", place="program", remedy=remedy)


def _takes(program: Any, inputs: Sequence[str]) -> bool:
    try:
        # A module's own call takes anything. Its forward is taken of the class, because DSPy warns of the object's.
        call = partial(type(program).forward, program) if isinstance(program, dspy.Module) else program
        inspect.signature(call).bind(**dict.fromkeys(inputs))
    except (AttributeError, TypeError, ValueError):
        return False
    return True
