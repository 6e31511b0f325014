"""Folders that survive a full disk and a kill, as :mod:`~inpars_plus.foundation.files` has it for single files."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.foundation.errors import RunError

__all__ = ["replacing_folder"]


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a folder under another name beside it, then move it into place; a folder that is there is replaced.

    No file system swaps two folders in one step, so the old one is moved aside first. A kill leaves the old folder or
    the new one, whole; between the two moves the old one is ``.NAME.old``, and the next writer puts it back first.

    Args:
        path: the folder to create or replace. One writer at a time.

    Yields:
        A path that does not exist yet, for the block to make a folder of. When the block raises, what it made is
        removed and the old folder stays.

    Raises:
        RunError: the disk is full, or the folder cannot be written; what was there is then as it was.
    """
    target = Path(path)
    half, old = (target.with_name(f".{target.name}.{end}") for end in ("half", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _put_back(old, target)
        _remove(half, old)
        yield half
        if target.exists():
            target.rename(old)
        half.rename(target)
        _remove(old)
    except OSError as problem:
        with contextlib.suppress(OSError):  # what keeps the new folder out may keep the old one out as well
            _put_back(old, target)
        raise RunError(
            f"the folder cannot be written ({_reason(problem)})",
            place=str(target),
            remedy="Make room on the disk, or choose a directory that you may write to, and run the same command again",
        ) from problem
    finally:
        _remove(half)


def _put_back(old: Path, target: Path) -> None:
    if old.is_dir() and not target.exists():
        old.rename(target)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def _reason(problem: OSError) -> str:
    if isinstance(problem, shutil.Error):  # of copytree: a list of (from, to, why)
        return str(problem.args[0][0][2])
    return problem.strerror or str(problem)
