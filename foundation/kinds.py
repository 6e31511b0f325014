"""What a value is, in words for a message."""

from __future__ import annotations

__all__ = ["kind_of"]


def kind_of(value: object) -> str:
    """``a Document``, ``the class Document`` where an object was wanted, or ``None``."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"
