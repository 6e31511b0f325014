"""Reading what a model wrapped around the one value that it was asked for."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["unwrapped", "without_thoughts"]

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


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


def without_thoughts(text: str) -> str:
    """A reply without what a reasoning model wrote to itself before it: ``<think>...</think>``.

    The opening mark may be missing, because templates write it into the prompt; where the closing one is missing, the
    reply was cut off before it began.
    """
    return _THOUGHTS.sub("", text).rpartition("</think>")[2].strip()
