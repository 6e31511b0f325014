"""How the threads of numerical libraries wait for each other."""

from __future__ import annotations

import os

__all__ = ["wait_without_spinning"]


def wait_without_spinning() -> None:
    """Let OpenMP threads sleep at barriers instead of spinning; to be called before torch or FAISS is imported.

    Encoding shares the processor with a language model. While one of its threads is not running, the others would
    spin: on two busy cores that made encoding three to five times slower, and without competition it gains nothing.
    A choice that a person made in the environment stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
