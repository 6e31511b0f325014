"""Optional packages: imported when they are needed, missed with the one command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from inpars_plus.foundation.errors import MissingPartError

__all__ = ["require"]


def require(module: str, *, install: str, purpose: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: its dotted name.
        install: the one command that installs it.
        purpose: what needs it, as the beginning of a sentence, such as ``Reading ir_datasets:``.

    Returns:
        The module.

    Raises:
        MissingPartError: it, or something it imports, is not installed; the remedy is the command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        missing = problem.name or module
        through = "" if missing.partition(".")[0] == module.partition(".")[0] else f" (imported by '{module}')"
        raise MissingPartError(
            f"{purpose} needs the Python package '{missing}'{through}, which is not installed",
            remedy=f"Install it with: {install}",
        ) from problem
