"""Where indexes are kept between runs: arrays in safetensors files with a digest, so that a damaged one is noticed.

A cache file is named by the content it was computed from. It can be deleted at any time; it is computed again. So where
nothing may be written, what was computed is used and not kept. No file holds a pickle.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import replacing

__all__ = ["Arrays", "keep_arrays", "load_array", "load_arrays", "save_arrays"]

Arrays = Mapping[str, npt.NDArray[Any]]

_log = logging.getLogger("inpars_plus")

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_told: set[Path] = set()


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays into one safetensors file in one step, with a digest of their content in its header.

    Raises:
        RunError: the disk is full, or the path cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"sha256": _digest(tensors)})
        except SafetensorError as problem:
            raise RunError(
                f"the cache file could not be written ({problem})",
                place=str(path),
                remedy="Free some space on that disk and run the same command again; what is finished is kept",
            ) from problem


def keep_arrays(path: Path, arrays: Arrays) -> None:
    """As :func:`save_arrays`, for what can be used without its file: where writing is forbidden, it only warns, once.

    Raises:
        RunError: the disk is full, or the path cannot be a file.
    """
    try:
        save_arrays(path, arrays)
    except RunError as error:
        problem = error.__cause__
        if not isinstance(problem, OSError) or problem.errno not in _FORBIDDEN:
            raise
        folder = Path(problem.filename or path).parent
        if folder not in _told:
            _told.add(folder)
            _log.warning(
                "%s: this directory cannot be written (%s); indexes are kept in memory, and built again next time",
                folder,
                problem.strerror,
            )


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Read what :func:`save_arrays` wrote.

    Returns:
        The arrays, or ``None`` when there is no such file. A damaged file is removed, if it can be, with a warning,
        and counts as none.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors: dict[str, npt.NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            expected = (file.metadata() or {}).get("sha256")
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, ValueError) as problem:
        _remove_damaged(path, str(problem))
        return None
    if _digest(tensors) != expected:
        _remove_damaged(path, "its content differs from its digest")
        return None
    return tensors


def load_array(path: Path, name: str) -> npt.NDArray[Any] | None:
    """Read one array of a file without the others, and so without comparing the digest.

    Returns:
        The array, or ``None`` as for :func:`load_arrays`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            array: npt.NDArray[Any] = file.get_tensor(name)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, ValueError) as problem:
        _remove_damaged(path, str(problem))
        return None
    return array


def _remove_damaged(path: Path, what: str) -> None:
    _log.warning("%s: the cache file is damaged (%s) and is built again", path, what)
    with contextlib.suppress(OSError):  # it stays where nothing may be written
        path.unlink(missing_ok=True)


def _digest(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
