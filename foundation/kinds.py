"""What a value is, in words for a message."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["is_listed", "kind_of"]


def is_listed(value: object) -> bool:
    """Whether it is a sequence by position; a row of NumPy is one, and NumPy need not be there for that."""
    return isinstance(value, Sequence) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 0) == 1)


def kind_of(value: object) -> str:
    """``a Document``, ``the class Document`` where an object was wanted, or ``None``."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"
