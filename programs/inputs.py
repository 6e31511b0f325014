"""What programs refuse before they ask anything: one text or document where a list is wanted, and what is neither.

A string is a list of its letters to Python, and a call a letter would be paid for.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any

import dspy

from inpars_plus.corpora.documents import Document, each_document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import is_listed, kind_of
from inpars_plus.retrieval.protocol import check_text, check_texts

__all__ = [
    "check_document",
    "check_documents",
    "check_number_of_queries",
    "check_passages",
    "check_program",
    "check_query_text",
]


def check_query_text(query: Any) -> None:
    """Refuse a query that is no text.

    Raises:
        ConfigurationError: it is none.
    """
    check_text(query, one="query", place="query", remedy="Pass what a person would type")


def check_passages(passages: Any) -> None:
    """Refuse what is no list of texts.

    Raises:
        ConfigurationError: it is none.
    """
    check_texts(
        passages,
        taker="a re-ranker",
        name="passages",
        listed="[passage, ...]",
        one="passage",
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


def check_number_of_queries(number: Any) -> None:
    """Refuse to ask for none.

    Raises:
        ConfigurationError: it is below 1, or no whole number.
    """
    if isinstance(number, bool) or not isinstance(number, Integral):
        raise ConfigurationError(f"number_of_queries is a whole number, not {kind_of(number)}")
    if number < 1:
        raise ConfigurationError(f"number_of_queries is {number}, but must be at least 1")


def check_documents(documents: Any) -> None:
    """Refuse what is no list of documents.

    Raises:
        ConfigurationError: it is none.
    """
    if not (is_listed(documents) or isinstance(documents, Document)):
        raise ConfigurationError(f"a list of documents is wanted, not {kind_of(documents)}", remedy="Pass a list")
    for _ in each_document(documents):
        pass


def check_program(program: Any, inputs: Sequence[str], *, lacks: str, remedy: str) -> None:
    """Refuse what cannot be called with some inputs, as far as it tells.

    A module of a person's own may take its inputs in other ways than ``forward``, and what takes any inputs, as
    ``dspy.Predict`` does, is only found out when it is called.

    Args:
        program: an object, not its class.
        inputs: names of what it is called with.
        lacks: what is said of one that will not do.
        remedy: what to do about it.

    Raises:
        ConfigurationError: it will not do.
    """
    if isinstance(program, type) or not callable(program) or not _takes(program, inputs):
        raise ConfigurationError(f"{kind_of(program)} {lacks}", place="program", remedy=remedy)


def _takes(program: Any, inputs: Sequence[str]) -> bool:
    module = isinstance(program, dspy.Module)
    if module and not type(program).__module__.startswith(("inpars_plus.", "dspy.")):
        return True
    try:
        # A module's own call takes anything. Its forward is taken of the class, because DSPy warns of the object's.
        call = partial(type(program).forward, program) if module else program
        inspect.signature(call).bind(**dict.fromkeys(inputs))
    except ValueError:
        return True  # it tells nothing of its inputs
    except (AttributeError, TypeError):
        return False
    return True
