"""What a compile knows of how its program came about, for the card of the program's file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.files import digest

__all__ = ["Circumstances", "documents_digest", "metric_name"]


@dataclass(frozen=True)
class Circumstances:
    """What a compile was given, as far as a card tells it.

    Attributes:
        document_type: of the documents, as given or that of the first validation document.
        lm: DSPy's name of the model.
        adapter: name of the DSPy adapter that renders the prompts with that model.
        metric: its name.
        seed: of everything random.
        data_hash: :func:`documents_digest` of the train and then the validation documents, as given.
    """

    document_type: str
    lm: str
    adapter: str
    metric: str
    seed: int
    data_hash: str


def documents_digest(documents: Iterable[Document]) -> str:
    """The SHA-256 of what some documents say, in order and in hexadecimal; it is what jobs write into cards."""
    return digest([[one.id, one.title, one.text, one.doc_type, one.language] for one in documents])


def metric_name(metric: Any) -> str:
    """The name of a metric's function or class."""
    return str(getattr(metric, "__name__", None) or type(metric).__name__)
