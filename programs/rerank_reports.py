"""What re-ranking costs before it is done, and what happened when it was.

Calls of a language model for one query, each one counted whatever comes back:

==========  ==========================================================================================================
form        calls for the first ``d`` documents
==========  ==========================================================================================================
pointwise   ``d``
pairwise    all pairs: ``d (d - 1)``, each pair in both orders; in ``p`` passes: ``2 · sum over i < p of (d - i - 1)``
listwise    ``sum over i < p of W(d - i (w - s))`` for windows of ``w`` that move up by ``s``, in ``p`` passes, where
            ``W(n)`` is 0 for ``n < 2``, 1 for ``n <= w``, and ``1 + ceil((n - w) / s)`` else
==========  ==========================================================================================================

A pass over windows settles the first ``w - s`` places, so the next one leaves them out. A pass of comparisons is one
over windows of 2 that move up by 1, with two calls a window. Prompt tokens are the sum over the prompts that
:func:`~inpars_plus.programs.rerank_prompts.planned_asks` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel, ConfigDict

from inpars_plus.foundation.errors import ConfigurationError

__all__ = [
    "RerankReport",
    "check_window",
    "depth_within",
    "listwise_calls",
    "pairwise_calls",
    "pointwise_calls",
    "windows",
]


class RerankReport(BaseModel):
    """What happened while documents were re-ranked. Two of them add up with ``+``.

    Attributes:
        queries: how many were re-ranked.
        calls: asked of the language model.
        unreadable: replies that could not be read; what they were about kept its order.
        repaired: orders that were no permutation, and were made one by
            :func:`~inpars_plus.signatures.rank_passages.repair_order`.
        repeated: numbers in them that had come before.
        out_of_range: numbers in them that no passage has.
        missing: passages that they did not name.
        inconsistent: pairs whose two orders got answers that do not agree; they count as ties.
        cut: passages that were too long and were sent in part.
        beyond_budget: passages that were left in their order because the calls allowed were not enough for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: int = 0
    calls: int = 0
    unreadable: int = 0
    repaired: int = 0
    repeated: int = 0
    out_of_range: int = 0
    missing: int = 0
    inconsistent: int = 0
    cut: int = 0
    beyond_budget: int = 0

    def __add__(self, other: RerankReport) -> RerankReport:
        return RerankReport(**{name: getattr(self, name) + getattr(other, name) for name in RerankReport.model_fields})


def pointwise_calls(depth: int) -> int:
    """One a passage."""
    return max(0, depth)


def pairwise_calls(depth: int, passes: int | None = None) -> int:
    """Two a comparison; with ``passes`` of ``None``, every pair is compared."""
    if passes is None:
        return depth * (depth - 1) if depth > 1 else 0
    return 2 * sum(depth - done - 1 for done in range(min(passes, depth - 1)))


def listwise_calls(depth: int, window: int, step: int, passes: int | None = 1) -> int:
    """One a window; with ``passes`` of ``None``, as many passes as settle every place."""
    total, left, done = 0, depth, 0
    while left > 1 and (passes is None or done < passes):
        total += 1 if left <= window else 1 - (window - left) // step
        done += 1
        left = 0 if left <= window else left - (window - step)
    return total


def windows(depth: int, window: int, step: int, passes: int | None = 1) -> Iterator[tuple[int, int]]:
    """The windows in the order in which they are asked: from the bottom up, pass after pass.

    Sun et al. 2023, "Is ChatGPT Good at Search?" (section 3.3), whose windows these are in one pass. The uppermost one
    is moved down to where it is whole.

    Args:
        depth: how many passages.
        window: how many are shown at once.
        step: by how many a window moves up.
        passes: how often; ``None`` until every place is settled.

    Yields:
        First position and the one behind the last.
    """
    check_window(window, step, passes)
    top, done = 0, 0
    while depth - top > 1 and (passes is None or done < passes):
        start = max(top, depth - window)
        yield start, depth
        whole = start == top
        while start > top:
            start = max(top, start - step)
            yield start, min(depth, start + window)
        done += 1
        top = depth if whole else top + window - step


def check_window(window: int, step: int, passes: int | None) -> None:
    """Refuse windows that settle nothing.

    Raises:
        ConfigurationError: a window of fewer than 2, a step that carries nothing on, or less than one pass.
    """
    if window < 2 or not 1 <= step < window or (passes is not None and passes < 1):
        raise ConfigurationError(
            f"passages cannot be sorted by windows of {window} that move up by {step}, in {passes} passes",
            remedy="Give a window of 2 or more, a step from 1 to one less than the window, and 1 pass or more",
        )


def depth_within(calls_of: Callable[[int], int], depth: int, calls: int | None) -> int:
    """How many of the first passages can be re-ranked with so many calls.

    Args:
        calls_of: depth → calls, 0 for 0, never falling.
        depth: how many there are.
        calls: allowed for a query, 0 or more; ``None`` for any number.
    """
    if calls is None or calls_of(depth) <= calls:
        return depth
    fit = max(number for number in range(depth + 1) if calls_of(number) <= calls)
    return fit if calls_of(fit) else 0
