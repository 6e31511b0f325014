"""Giving memory back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc

__all__ = ["give_back_memory"]


def give_back_memory() -> None:
    """Return what is free to the system, between two steps that each need a lot.

    The C library of Linux keeps freed memory for later, scattered between what is still used, so a step that follows
    would come on top of the most that the one before ever held. Elsewhere only Python's own garbage is collected.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
