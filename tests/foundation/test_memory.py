from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import pytest

from inpars_plus.foundation.memory import give_back_memory


def held() -> int:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 2**20


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only the C library of Linux gives back what lies between",
)
def test_what_is_free_between_what_is_still_used_goes_back_to_the_system() -> None:
    blocks = [bytes(1000) for _ in range(200_000)]
    kept = blocks[:: len(blocks) // 100] + blocks[-1:]
    del blocks
    before = held()
    give_back_memory()
    assert held() < before - 100
    assert len(kept) > 100


def test_giving_back_memory_twice_is_harmless() -> None:
    give_back_memory()
    give_back_memory()
