"""Folders that survive a full disk and a kill, as :mod:`~inpars_plus.foundation.files` has it for single files."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import replacing

__all__ = ["copy_folder", "replacing_folder"]


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


def copy_folder(source: Path, target: Path, *, without: Sequence[str] = ()) -> None:
    """Copy all files of a folder; the first that cannot be written ends it, and none is left half written.

    Within :func:`replacing_folder` the whole copy appears at once. Links are followed, but for one that leads back to
    a folder that it stands in.

    Args:
        source: the folder.
        target: made when missing.
        without: names of files that are left out, with ``*`` for any characters.

    Raises:
        RunError: the disk is full, the target cannot be written, or a file of the source cannot be read.
    """
    try:
        files = list(_files(source))  # before anything is written, because the target may be in the source
    except OSError as problem:
        raise _unreadable(problem, source) from problem
    for path in files:
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in without):
            continue
        try:
            old = path.open("rb")
        except OSError as problem:
            raise _unreadable(problem, path) from problem
        # Not shutil.copyfile, which says of a full disk that the source is at fault.
        with old, replacing(target / path.relative_to(source)) as temporary, temporary.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)


def _files(folder: Path, above: Sequence[Path] = ()) -> Iterator[Path]:
    """All files, and links that lead nowhere, in an order that does not depend on the disk."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path, (*above, here))
        elif path.is_file() or path.is_symlink():
            yield path


def _unreadable(problem: OSError, place: Path) -> RunError:
    return RunError(
        f"the folder cannot be copied ({_reason(problem)})",
        place=os.fsdecode(problem.filename or place),
        remedy="Make it whole and readable, and run the same command again",
    )


def _put_back(old: Path, target: Path) -> None:
    if old.is_dir() and not target.exists():
        old.rename(target)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)
