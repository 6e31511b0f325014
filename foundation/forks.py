"""What must begin anew in a forked process: a fork copies no thread, and every lock in the state that it was in."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["in_each_fork"]

_renewals: dict[int, tuple[weakref.ref[Any], Callable[[Any], object]]] = {}


def in_each_fork(renew: Callable[[], object]) -> None:
    """Call a method in every process that is forked from this one, before anything else runs there.

    A lock that another thread held at the fork would never be released there, so ``renew`` makes new locks, and gives
    up what belongs to the threads of the other process.

    Args:
        renew: a method of an object; the object is not kept alive by it.
    """
    method: Any = renew
    known = _renewals
    # Of the object and not WeakMethod, whose own callback fails where the object goes while the interpreter ends.
    owner = weakref.ref(method.__self__, lambda gone: known.pop(id(gone), None))
    known[id(owner)] = (owner, method.__func__)


def _renew_all() -> None:
    for owner, renew in list(_renewals.values()):
        if (found := owner()) is not None:
            renew(found)


os.register_at_fork(after_in_child=_renew_all)
