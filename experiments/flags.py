"""Values of flags that several experiments have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inpars_plus.foundation import ConfigurationError

__all__ = ["at_least", "named_paths", "run_seeds"]


def at_least(value: int, flag: str, least: int = 1) -> int:
    """A number that something can be done with.

    Args:
        value: the number.
        flag: its name, for messages.
        least: the smallest that will do.

    Returns:
        The number.

    Raises:
        ConfigurationError: it is smaller.
    """
    if value < least:
        raise ConfigurationError(f"{value} is too few", place=flag, remedy=f"Give {least} or more")
    return value


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
        ConfigurationError: one is not of that form, or a name comes twice or leads out of a directory.
    """
    found = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not (name and equals and path):
            raise ConfigurationError(f"'{one}' is not of the form NAME=DIR", place=flag)
        # What is written for it goes into a folder of this name, which may have parts, as in COLLECTION/GENERATOR.
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ConfigurationError(
                f"the name '{name}' leads out of the directory that is written to",
                place=flag,
                remedy="Give a name without '..' and '/'",
            )
        if name in found:
            raise ConfigurationError(f"'{name}' is named twice", place=flag)
        found[name] = Path(path)
    return found
