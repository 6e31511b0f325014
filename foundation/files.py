"""Files that survive a full disk and a kill: whole files are replaced in one move, logs grow by whole lines.

A reader of a whole file sees the old content or the new one, never half of it. A log (JSON Lines) can lose only a
last line that was being written, and the next append repairs that. Known secrets are blanked in all that is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel

from inpars_plus.foundation.errors import ConfigurationError, CorpusError, InputError, RunError
from inpars_plus.foundation.secrets import contains_secret, hide_secrets

__all__ = [
    "JSON",
    "TEMPORARY_SUFFIX",
    "append_lines",
    "default_cache_directory",
    "digest",
    "digest_file",
    "is_temporary",
    "read_json",
    "read_lines",
    "replacing",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_text",
]

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"
"""What JSON can hold. Writers also take pydantic models, dataclasses, paths, sets and NumPy scalars inside."""

TEMPORARY_SUFFIX = ".tmp"
"""How the names of files end that a killed process may leave; they begin with a dot."""

_TEMPORARY = re.compile(rf"\..+\.[0-9a-f]{{12}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)

_log = logging.getLogger("inpars_plus")

_REMEDIES = {
    errno.ENOSPC: "Free some space on that disk and run the same command again; what is finished is kept",
    errno.EDQUOT: "Free some of your quota and run the same command again; what is finished is kept",
    errno.EFBIG: "Raise the limit on the size of files and run the same command again; what is finished is kept",
    errno.EACCES: "Choose a directory that you may write to",
    errno.EPERM: "Choose a directory that you may write to",
    errno.EROFS: "Choose a directory on a disk that can be written to",
    errno.ENOTDIR: "Choose a path whose parents are directories",
    errno.EEXIST: "Choose a path whose parents are directories",
    errno.ENAMETOOLONG: "Choose a shorter path",
    errno.EIO: "Check the disk, then run the same command again; what is finished is kept",
    errno.EISDIR: "Choose a path that is not a directory",
}


def default_cache_directory() -> Path:
    """Where what can be computed again is kept between runs: ``$INPARS_PLUS_CACHE``, or ``~/.cache/inpars-plus``."""
    chosen = os.environ.get("INPARS_PLUS_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "inpars-plus"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name in the same folder, then move it into place in one step.

    For writers that need a path of their own (an index, a model file). Parent folders are made.

    Args:
        path: the file to create or replace.

    Yields:
        The temporary path to write to. When the block raises, it is removed and the old file stays.

    Raises:
        RunError: the disk is full, or the path cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}")
    with _os_errors(target, temporary):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not by tempfile, whose files only their owner may read: these rights are the ones that open() gives.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        with _os_errors(target, temporary):
            yield temporary
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that :func:`replacing` writes to, and not somebody's own."""
    return _TEMPORARY.fullmatch(name) is not None


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file's content in one step.

    Raises:
        ConfigurationError: the data holds a known secret; bytes cannot be blanked without damage.
        RunError: the disk is full, or the path cannot be written.
    """
    if contains_secret(data):
        raise ConfigurationError(
            "a secret such as an API key would be written into this file",
            place=str(path),
            remedy="Give the secret through an environment variable and keep it out of the data",
        )
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace a file's content in one step, in UTF-8, with known secrets blanked.

    Raises:
        RunError: the disk is full, or the path cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(_encode(hide_secrets(text)))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Replace a file's content by readable JSON in one step, with known secrets blanked.

    Args:
        path: the file.
        value: see :data:`JSON`; numbers that are not finite become ``null``, because JSON has none.

    Raises:
        RunError: the disk is full, or the path cannot be written.
        TypeError: the value holds something that is not JSON.
    """
    text = json.dumps(hide_secrets(_plain(value)), ensure_ascii=False, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_bytes(_encode(text + "\n"))


def write_lines(path: str | os.PathLike[str], lines: Iterable[Any]) -> None:
    """Replace a JSON Lines file in one step, one object a line, with known secrets blanked; as :func:`append_lines`.

    No lines make an empty file.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.writelines(map(_line, lines))


def read_json(path: str | os.PathLike[str], *, kind: str, error: type[InputError] = InputError) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        kind: what it should be, for the message, such as ``compiled program``.
        error: what to raise.

    Raises:
        InputError: (or ``error``) the file is missing, unreadable, not UTF-8 or not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise error(f"there is no {kind} here", place=str(path), remedy="Check the path") from None
    except OSError as problem:
        raise error(f"the {kind} cannot be read ({problem.strerror})", place=str(path)) from problem
    except UnicodeDecodeError as problem:
        raise error(f"the {kind} is not UTF-8 text (byte {problem.start})", place=str(path)) from problem
    except (ValueError, RecursionError) as problem:  # a number of thousands of digits is a bare ValueError
        where = f", line {problem.lineno}" if isinstance(problem, json.JSONDecodeError) else ""
        raise error(f"the {kind} is not valid JSON", place=f"{path}{where}") from problem


def append_lines(path: str | os.PathLike[str], lines: Iterable[Any]) -> None:
    """Append JSON objects to a log, one a line, in one write that is on the disk when this returns.

    A torn last line that a killed process left is cut off first. Several threads and processes may append to one
    file. Known secrets are blanked. When the write fails, the file is as it was before.

    Args:
        path: the log; it and its parent folders are made when missing.
        lines: objects (mappings or pydantic models), in order.

    Raises:
        RunError: the disk is full, or the path cannot be written.
        TypeError: a line holds something that is not JSON.
    """
    data = b"".join(map(_line, lines))
    if not data:
        return
    target = Path(path)
    with _os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            start = _repair_tail(file.fileno(), target)
            try:
                _write_all(file.fileno(), data)
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(start)
                raise


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a log or a JSON Lines file as a stream; blank lines are skipped.

    A last line without an end of line that is not a whole object was torn by a kill: it is left out with a warning.

    Args:
        path: the file.

    Yields:
        The 1-based line number and the object of that line.

    Raises:
        CorpusError: the file is missing, or a line is not UTF-8 or not a JSON object.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - the handler must not cover what the consumer of the stream raises
    except FileNotFoundError:
        raise CorpusError("there is no such file", place=str(path), remedy="Check the path") from None
    except OSError as problem:
        raise CorpusError(f"the file cannot be read ({problem.strerror})", place=str(path)) from problem
    with file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not content.strip():
                continue
            try:
                record = json.loads(content.decode("utf-8"))
                problem_text = None if isinstance(record, dict) else "the line is not a JSON object"
            except UnicodeDecodeError as problem:
                problem_text = f"the line is not UTF-8 text (byte {problem.start + 1} of the line)"
            except json.JSONDecodeError as problem:
                problem_text = f"the line is not valid JSON ({problem.msg.lower()} at character {problem.colno})"
            except RecursionError:
                problem_text = "the line is nested too deeply"
            except ValueError:
                problem_text = "the line holds a number that is too long"
            if problem_text is None:
                yield number, record
            elif line.endswith(b"\n"):
                raise CorpusError(problem_text, place=f"{path}, line {number}", remedy="Correct or remove that line")
            else:
                _log.warning("%s, line %d: the last line is torn and was left out", path, number)


def digest(*parts: Any) -> str:
    """The SHA-256 of texts, bytes and JSON values, in hexadecimal.

    Parts are told apart: ``digest("ab", "c")`` differs from ``digest("a", "bc")``, and ``digest("1")`` from
    ``digest(1)``. The order of a mapping's keys does not matter.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            kind, data = b"b", part
        elif isinstance(part, str):
            kind, data = b"s", _encode(part)
        else:
            text = json.dumps(_plain(part), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
            kind, data = b"j", _encode(text)
        total.update(kind + len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal, read in blocks.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise InputError(f"the file cannot be read ({problem.strerror})", place=str(path)) from problem


def _plain(value: Any) -> Any:
    """The value in JSON's own types; what NumPy and pydantic give is converted, the unknown raises TypeError."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, AbstractSet):
        return sorted((_plain(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r:.80}")


def _plain_key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"A key in JSON is a string, not {type(key).__name__}: {key!r:.80}")


def _encode(text: str) -> bytes:
    # A lone surrogate, which some models reply with, becomes \udXXX: in JSON that is the same character.
    return text.encode("utf-8", "backslashreplace")


def _line(value: Any) -> bytes:
    return _encode(json.dumps(hide_secrets(_plain(value)), ensure_ascii=False, allow_nan=False)) + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _repair_tail(descriptor: int, path: Path) -> int:
    """Cut off a torn last line, end a whole one; returns the size of the file then."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    start, tail, block = size, b"", 1 << 16
    while start > 0 and b"\n" not in tail:
        step = min(block, start)
        start -= step
        tail = os.pread(descriptor, step, start) + tail
    torn = tail.rpartition(b"\n")[2]
    try:
        whole = isinstance(json.loads(torn.decode("utf-8-sig")), dict)
    except (ValueError, RecursionError):
        whole = False
    if whole:
        _write_all(descriptor, b"\n")
        return size + 1
    _log.warning("%s: the last line is torn and was removed", path)
    os.ftruncate(descriptor, size - len(torn))
    return size - len(torn)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _os_errors(*paths: Path) -> Iterator[None]:
    """Turn what the disk says about these paths into a RunError that names the first; let all else through."""
    try:
        yield
    except OSError as problem:
        # A broken connection is an OSError too, and so is another file that the block reads.
        foreign = problem.filename is not None and Path(os.fsdecode(problem.filename)) not in _with_parents(paths)
        if foreign or problem.errno not in _REMEDIES:
            raise
        raise RunError(
            f"the file could not be written ({problem.strerror})",
            place=str(paths[0]),
            remedy=_REMEDIES[problem.errno],
        ) from problem


def _with_parents(paths: Sequence[Path]) -> set[Path]:
    return {place for path in paths for place in (path, *path.parents)}
