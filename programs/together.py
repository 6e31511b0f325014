"""Asking a language model several things at once, with the context of DSPy that the asker has."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dspy

from inpars_plus.lms.life import asking_threads

__all__ = ["together"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(
    function: Callable[[Item], Result], items: Sequence[Item], *, threads: int, lm: dspy.BaseLM | None = None
) -> list[Result]:
    """Call a function on items from several threads; engines gather what is asked at the same time.

    Each call runs in a copy of the caller's context, so that it sees the model and adapter of ``dspy.context``. What
    the calls leave in DSPy's trace stands there in the order of the items, not in that in which they end.

    Args:
        function: called once an item.
        items: in any number.
        threads: at most so many calls at once.
        lm: the model that the calls ask; ``None`` for that of ``dspy.context``. When the caller is interrupted, it is
            sent nothing more.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: the first that a call raised, by the order of the items; calls that were not begun are not made.
    """
    if threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    trace = dspy.settings.trace

    def traced(item: Item) -> tuple[Result, list[Any]]:
        own: list[Any] = []
        with dspy.context(trace=None if trace is None else own):
            return function(item), own

    with asking_threads(lm or dspy.settings.lm, min(threads, len(items))) as pool:
        futures = [pool.submit(contextvars.copy_context().run, traced, item) for item in items]
        try:
            done = [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    if trace is not None:
        trace.extend(entry for _, own in done for entry in own)
        del trace[: max(0, len(trace) - dspy.settings.max_trace_size)]
    return [result for result, _ in done]
