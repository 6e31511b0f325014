"""What a compile knows of how its program came about, for the card of the program's file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Circumstances", "metric_name"]


@dataclass(frozen=True)
class Circumstances:
    """What a compile was given, as far as a card tells it.

    Attributes:
        document_type: of the documents, as given or that of the first validation document.
        lm: DSPy's name of the model.
        adapter: name of the DSPy adapter that renders the prompts with that model.
        metric: its name.
        seed: of everything random.
        data_hash: digest of the train and then the validation documents, as given.
    """

    document_type: str
    lm: str
    adapter: str
    metric: str
    seed: int
    data_hash: str


def metric_name(metric: Any) -> str:
    """The name of a metric's function or class."""
    return str(getattr(metric, "__name__", None) or type(metric).__name__)
