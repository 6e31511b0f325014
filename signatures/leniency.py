"""Reading what a model wrapped around the one value that it was asked for."""

from __future__ import annotations

from typing import Any

__all__ = ["unwrapped"]


def unwrapped(value: Any, name: str) -> Any:
    """The value of a field out of the object around it.

    Args:
        value: what was said.
        name: of the field. Where an object has it, what else it has does not matter; an object without it, but with
            one key only, has misnamed it.

    Returns:
        The field's value, or ``value`` itself where it is no such object.
    """
    if not isinstance(value, dict):
        return value
    if name in value:
        return value[name]
    return next(iter(value.values())) if len(value) == 1 else value
