"""Packages whose names are imported when they are first asked for.

An application that imports one name of a package pays for that one alone, and not for what the others stand on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_attributes"]


def lazy_attributes(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package's ``__init__`` binds to ``__getattr__`` and ``__dir__`` (PEP 562).

    ::

        if not TYPE_CHECKING:
            __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)

    Type checkers know the names by imports under ``TYPE_CHECKING``, and must not see this: they would take any name for
    one of the package. Nothing is remembered: a name that is replaced in its module is replaced here too.

    Args:
        package: its ``__name__``; it has a list ``__all__``.
        homes: public name → module of the package that defines it.

    Returns:
        The two functions. The first raises :class:`AttributeError` for any other name; the second lists the public
        names.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, names
