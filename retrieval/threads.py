"""How the threads of numerical libraries wait for each other, and what becomes of them in a forked process."""

from __future__ import annotations

import os
import sys

__all__ = ["wait_without_spinning"]

_used = False


def wait_without_spinning() -> None:
    """Let OpenMP threads sleep at barriers instead of spinning; to be called before torch or FAISS is imported.

    Encoding shares the processor with a language model. While one of its threads is not running, the others would
    spin: on two busy cores that made encoding three to five times slower, and without competition it gains nothing.
    A choice that a person made in the environment stays.

    A process that is forked afterwards encodes and searches with one thread.
    """
    global _used
    _used = True
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _go_on_alone() -> None:
    # OpenMP's threads are not there after a fork, and what counts on them would wait for ever.
    if not _used:
        return
    for module, setter in (("torch", "set_num_threads"), ("faiss", "omp_set_num_threads")):
        # Another thread may be in the midst of importing it; then it has no threads yet.
        if (set_threads := getattr(sys.modules.get(module), setter, None)) is not None:
            set_threads(1)


os.register_at_fork(after_in_child=_go_on_alone)
