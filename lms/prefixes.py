"""Keeps requests apart that the engine's prefix cache would mix up.

``openvino-genai`` caches keys and values in blocks, and also finds blocks that are only partly filled: the last block
of an earlier sequence. Two requests that both continue such a block, and differ inside it, are given the same memory
and overwrite each other's keys and values; their log-probabilities are then off by up to ten. It happens when an
earlier prompt with its reply is the beginning of several new prompts, as when the reply became a demonstration.
(Requests that differ after a block's end, and several draws of one prompt, are safe: tried and compared.)

So the end of every sequence is remembered, and a request that continues one is let into the cache only while every
other request that continues it has the same tokens to the end of that block.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inpars_plus.foundation.forks import in_each_fork

__all__ = ["BLOCK", "PrefixGuard", "Ticket"]

BLOCK = 32
"""Tokens of a cache block on a CPU; smaller divisors are safe as well."""

_REMEMBERED = 65_536
"""Ends kept. The cache itself holds fewer blocks, so older ends are gone from it."""

_BASE = 0x9E3779B97F4A7C15


@dataclass
class _End:
    running: int = 0
    """Sequences that end here and are still being generated."""
    continued: Counter[int] = field(default_factory=Counter)
    """Running requests that go on from here, by the digest of their tokens to the block's end."""


@dataclass(frozen=True)
class Ticket:
    """A request in the cache: given back with :meth:`PrefixGuard.leave`."""

    tokens: tuple[int, ...]
    own: int
    continues: tuple[tuple[int, int], ...]


class PrefixGuard:
    """Decides which requests may run together in a pipeline with a prefix cache. Safe to use from many threads."""

    def __init__(self) -> None:
        self._ends: OrderedDict[int, _End] = OrderedDict()
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def enter(self, tokens: Sequence[int]) -> Ticket | None:
        """Ask for a place in the cache.

        Args:
            tokens: the prompt's.

        Returns:
            A ticket, or ``None`` when the request must run without the cache.
        """
        digests = _digests(tokens)
        with self._lock:
            continues = []
            for length in range(1, len(tokens)):
                digest = digests[length - 1]
                if length % BLOCK and digest in self._ends:
                    block_end = min(len(tokens), -(-length // BLOCK) * BLOCK)
                    continues.append((digest, digests[block_end - 1]))
            for digest, content in continues:
                end = self._ends[digest]
                if end.running or any(other != content for other in end.continued):
                    return None
            for digest, content in continues:
                self._ends[digest].continued[content] += 1
            own = digests[-1]
            self._end(own).running += 1
        return Ticket(tuple(tokens), own, tuple(continues))

    def leave(self, ticket: Ticket, generated: Sequence[int] = ()) -> None:
        """Give a place back.

        Args:
            ticket: of the request.
            generated: the tokens that it added to the cache.
        """
        digests = _digests([*ticket.tokens, *generated])
        with self._lock:
            self._end(ticket.own).running -= 1
            for digest in digests[len(ticket.tokens) :]:
                self._end(digest)
            for digest, content in ticket.continues:
                end = self._ends.get(digest)
                if end is not None:
                    end.continued[content] -= 1
                    end.continued += Counter()  # drops what is down to zero
            while len(self._ends) > _REMEMBERED:
                self._ends.popitem(last=False)

    def _end(self, digest: int) -> _End:
        end = self._ends.setdefault(digest, _End())
        self._ends.move_to_end(digest)
        return end


def _digests(tokens: Sequence[int]) -> list[int]:
    """A 64-bit digest of each prefix, the shortest first: a polynomial with wrapping arithmetic."""
    if not tokens:
        return []
    values = np.asarray(tokens, dtype=np.uint64) + np.uint64(1)
    powers = np.cumprod(np.full(len(tokens), _BASE, dtype=np.uint64))
    digests: list[int] = np.cumsum(values * powers, dtype=np.uint64).tolist()
    return digests
