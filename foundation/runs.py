"""Run directories: steps that are recorded when they finish and skipped when nothing they read has changed.

``steps.json`` in the directory holds, a step: the digest of its inputs, its result, and the digests of the files it
wrote. It is replaced in one move after each step, so a kill at any point loses only the step that was under way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from inpars_plus.foundation.errors import InputError, RunError
from inpars_plus.foundation.files import JSON, digest, digest_file, is_temporary, read_json, write_json
from inpars_plus.foundation.progress import say

__all__ = ["Run"]

_FORMAT = 1
_LOCK = ".lock"


class Run:
    """A run directory, held by one process at a time.

    ::

        with Run("runs/today") as run:
            counts = run.step("count", {"corpus": corpus.digest()}, lambda: count(corpus))

    Args:
        directory: made when missing.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._lock = FileLock(self.directory / _LOCK, thread_local=False)
        self._mutex = threading.Lock()
        self._steps: dict[str, Any] = {}

    def __enter__(self) -> Run:
        """Take the directory.

        Raises:
            RunError: another process holds it, it cannot be written, or its record is not one of ours.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                "another process is using this run directory",
                place=str(self.directory),
                remedy="Wait for it to finish, or choose another directory",
            ) from None
        except OSError as problem:
            raise RunError(
                f"the run directory cannot be written ({problem.strerror})",
                place=str(self.directory),
                remedy="Choose a directory that you may write to",
            ) from problem
        try:
            self._sweep()
            self._steps = self._read()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def step(
        self,
        name: str,
        inputs: Mapping[str, JSON],
        work: Callable[[], Any],
        *,
        files: Sequence[str | os.PathLike[str]] = (),
    ) -> Any:
        """Do a piece of work, or return what it returned when it was done before with the same inputs.

        Args:
            name: unique in the run.
            inputs: everything the result depends on: settings, seeds, digests of what is read.
            work: does it; its result must be JSON, its files must be complete when it returns.
            files: what ``work`` writes, relative to the directory; a folder stands for all files in it. A file that
                is missing or altered later makes the step run again.

        Returns:
            The result as it comes back from JSON (tuples are lists), the same on a skip as on the first time.

        Raises:
            RunError: outside the ``with`` block, or a promised file was not written, or the record cannot be.
        """
        if not self._lock.is_locked:
            place = f"{self.directory}, step '{name}'"
            raise RunError("a step was started outside the run's 'with' block", place=place)
        key = digest(inputs)
        record = self._steps.get(name)
        if record is not None and record["inputs"] == key and self._promised(record) == {os.fspath(f) for f in files}:
            altered = self._altered(record["files"])
            if altered is None:
                return record["result"]
            say(f"Step '{name}' runs again, because {altered} is missing or was altered")
        started = time.monotonic()
        result = work()
        record = {
            "inputs": key,
            "result": result,
            "promised": sorted(os.fspath(file) for file in files),
            "files": self._digests(name, files),
            "seconds": round(time.monotonic() - started, 3),
        }
        with self._mutex:
            write_json(self._path, {"format_version": _FORMAT, "steps": {**self._steps, name: record}})
            # Read back, so that the first time returns exactly what a skip will.
            self._steps = self._read()
        return self._steps[name]["result"]

    def _sweep(self) -> None:
        # Half-written files of a killed process: nobody else writes here while this process holds the lock. A folder
        # with a lock of its own is another run, which may be at work.
        for folder, folders, names in os.walk(self.directory):
            folders[:] = [name for name in folders if not os.path.lexists(os.path.join(folder, name, _LOCK))]
            for name in filter(is_temporary, names):
                Path(folder, name).unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.directory / "steps.json"

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        remedy = "Choose another directory, or delete that file to do all steps again"
        try:
            content = read_json(self._path, kind="record of steps")
        except InputError as problem:
            raise RunError(problem.message, place=problem.place, remedy=remedy) from problem
        if not isinstance(content, dict) or content.get("format_version") != _FORMAT:
            raise RunError("the record of steps is of another version", place=str(self._path), remedy=remedy)
        steps: dict[str, Any] = content["steps"]
        return steps

    @staticmethod
    def _promised(record: Mapping[str, Any]) -> set[str]:
        return set(record["promised"])

    def _altered(self, digests: Mapping[str, str]) -> str | None:
        """The first file that is not as the step left it."""
        for name, expected in digests.items():
            path = self.directory / name
            if not path.is_file() or digest_file(path) != expected:
                return name
        return None

    def _digests(self, name: str, files: Sequence[str | os.PathLike[str]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in files:
            path = self.directory / file
            members = sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path]
            for member in members:
                if not member.is_file():
                    raise RunError(f"step '{name}' did not write this file", place=str(member))
                found[os.path.relpath(member, self.directory)] = digest_file(member)
        return found
