"""Keeping DSPy's optimizers quiet: they print, draw bars, log documents and warn about Optuna's experiments.

What a compile changes for its time belongs to the process, and not to its thread: the level of the loggers of DSPy,
GEPA and Optuna (an application sees none of their lines below CRITICAL meanwhile), the progress bars of DSPy and GEPA,
Python's filters of warnings, and ``sys.stdout``, which hands on what other threads print. Compiles may run at once: the
first makes the change, and the last takes it back.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, ClassVar, TextIO, cast

from inpars_plus.foundation.forks import in_each_fork

__all__ = ["quiet", "quiet_logs"]

# MIPROv2 sets the level of "optuna" itself; a trial that Ctrl-C ends would be told of below it, with a traceback.
_LOGGERS = ("dspy", "gepa", "optuna", "optuna.study")


_silent: ContextVar[bool] = ContextVar("inpars_plus_quiet", default=False)
"""Whether this thread is inside :func:`quiet`."""


class _Selective:
    """Standard output that keeps nothing of what threads inside :func:`quiet` write, and hands on what others do.

    Args:
        inner: where it goes; ``None`` for nowhere, as in a program without a terminal.
    """

    def __init__(self, inner: TextIO | None) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        if not _silent.get() and self._inner is not None:
            self._inner.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self._inner is not None:
            self._inner.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # its encoding, its buffer, whether it is a terminal


class _NoBar:
    """Takes tqdm's place where DSPy draws.

    A bar on the standard output of a thread that is quiet would be drawn by the next thread that is not and writes a
    line through tqdm.
    """

    _instances: ClassVar[set[Any]] = set()  # DSPy clears it

    def __init__(self, iterable: Iterable[Any] = (), *args: Any, **settings: Any) -> None:
        self._iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterable)

    def update(self, amount: int = 1) -> None:
        """Do nothing."""

    def set_description(self, *args: Any, **settings: Any) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Together:
    """A change of the process that several threads may want at once: the first makes it, the last takes it back."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change = change
        self._inside = 0
        self._undo = ExitStack()
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._undo.enter_context(self._change())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._undo.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, DSPy writes nothing to standard output, standard error or a log below CRITICAL.

    What other threads of the process print is printed, and our own progress goes to standard error as ever.
    """
    with _dspy_silenced(), quiet_logs():
        token = _silent.set(True)
        try:
            yield
        finally:
            _silent.reset(token)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Inside, DSPy, GEPA and Optuna log nothing below CRITICAL: a reply cut at its limit is one of many candidates."""
    with _logs_silenced():
        yield


@contextmanager
def _prints_and_bars() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(_selective_output())
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", category=Warning, module="optuna")
        warnings.filterwarnings("ignore", message=".*multivariate.*")
        stack.enter_context(_replaced("dspy.teleprompt.bootstrap", "tqdm", SimpleNamespace(tqdm=_NoBar)))
        stack.enter_context(_replaced("dspy.utils.parallelizer", "tqdm", SimpleNamespace(tqdm=_NoBar)))
        stack.enter_context(_replaced("gepa.core.engine", "tqdm", _NoBar))
        yield


@contextmanager
def _selective_output() -> Iterator[None]:
    before, replaced = sys.stdout, cast(TextIO, _Selective(sys.stdout))
    sys.stdout = replaced
    try:
        yield
    finally:
        if sys.stdout is replaced:  # or somebody else has replaced it since, and will restore ours, which does no harm
            sys.stdout = before


@contextmanager
def _levels_raised() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _replaced(module: str, name: str, value: object) -> Iterator[None]:
    """Give a name of a module another meaning for a while; DSPy has no switch for these bars."""
    place = importlib.import_module(module)
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


_dspy_silenced = _Together(_prints_and_bars)
_logs_silenced = _Together(_levels_raised)
