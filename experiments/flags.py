"""Values of flags that several experiments have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inpars_plus.foundation import ConfigurationError

__all__ = ["named_paths", "run_seeds"]


def run_seeds(count: int, first: int = 0) -> tuple[int, ...]:
    """Seeds of repeated trainings.

    Args:
        count: how many.
        first: the lowest; the others follow it.

    Raises:
        ConfigurationError: there would be none.
    """
    if count < 1:
        raise ConfigurationError(f"{count} seeds are none to train with", place="--seeds", remedy="Give 1 or more")
    return tuple(range(first, first + count))


def named_paths(given: Sequence[str], flag: str) -> dict[str, Path]:
    """Values of a flag of the form ``NAME=DIR``.

    Args:
        given: the values.
        flag: its name, for messages.

    Returns:
        Name → directory.

    Raises:
        ConfigurationError: one is not of that form, or a name comes twice.
    """
    found = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not (name and equals and path):
            raise ConfigurationError(f"'{one}' is not of the form NAME=DIR", place=flag)
        if name in found:
            raise ConfigurationError(f"'{name}' is named twice", place=flag)
        found[name] = Path(path)
    return found
