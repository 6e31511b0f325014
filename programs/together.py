"""Asking a language model several things at once, with the context of DSPy that the asker has."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["together"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(function: Callable[[Item], Result], items: Sequence[Item], *, threads: int) -> list[Result]:
    """Call a function on items from several threads; engines gather what is asked at the same time.

    Each call runs in a copy of the caller's context, so that it sees the model and adapter of ``dspy.context``.

    Args:
        function: called once an item.
        items: in any number.
        threads: at most so many calls at once.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first that a call raised, by the order of the items; calls that were not begun are not made.
    """
    if threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        futures = [pool.submit(contextvars.copy_context().run, function, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
