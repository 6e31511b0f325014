"""Batches of training queries of several kinds."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["MOST_REPEATS", "even_batches"]

MOST_REPEATS = 40
"""How often a query is seen, at most, because it is of a small kind; a training of one kind alone has no limit."""

T = TypeVar("T")


def even_batches(kinds: Sequence[Sequence[T]], *, steps: int, batch: int, seed: int) -> Iterator[list[T]]:
    """Each kind makes up the same share of what is drawn, so that many queries of one do not drown few of another.

    A kind too small for its share without seeing a query more than :data:`MOST_REPEATS` times leaves the rest of it to
    the others. Within a kind, each query is drawn as often as the others, give or take one.

    Args:
        kinds: of which some may be empty.
        steps: how many batches.
        batch: what is drawn for each; fewer where there are fewer in all.
        seed: of the order.

    Yields:
        One batch a step.
    """
    rng, there = random.Random(seed), sorted((kind for kind in kinds if kind), key=len)
    size = min(batch, sum(map(len, there)))
    left = float(steps * size)
    quotas = []
    for at, kind in enumerate(there):
        share = left / (len(there) - at)
        quotas.append(share if at == len(there) - 1 else min(share, float(MOST_REPEATS * len(kind))))
        left -= quotas[-1]
    streams = [_shuffled(kind, rng) for kind in there]
    drawn = [0] * len(there)
    for _ in range(steps):
        found = []
        for _ in range(size):
            furthest = min(range(len(there)), key=lambda one: (drawn[one] / quotas[one], one))
            drawn[furthest] += 1
            found.append(next(streams[furthest]))
        yield found


def _shuffled(kind: Sequence[T], rng: random.Random) -> Iterator[T]:
    """All of them again and again, each time in another order."""
    while True:
        yield from rng.sample(kind, len(kind))
