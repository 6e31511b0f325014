"""Keeping DSPy's optimizers quiet: they print, draw bars, log documents and warn about Optuna's experiments."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from types import SimpleNamespace
from typing import Any

__all__ = ["quiet", "quiet_logs"]

# MIPROv2 sets the level of "optuna" itself; a trial that Ctrl-C ends would be told of below it, with a traceback.
_LOGGERS = ("dspy", "gepa", "optuna", "optuna.study")


class _Discard(io.TextIOBase):
    """A text stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


class _NoBar:
    """Takes tqdm's place where DSPy draws on standard error."""

    def __init__(self, iterable: Iterable[Any] = (), *args: Any, **settings: Any) -> None:
        self._iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterable)

    def update(self, amount: int = 1) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, DSPy writes nothing to standard output, standard error or a log below CRITICAL.

    Standard output is the process's, so other threads should not print meanwhile; our own progress goes to
    standard error, which stays as it is.
    """
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(_Discard()))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", category=Warning, module="optuna")
        warnings.filterwarnings("ignore", message=".*multivariate.*")
        stack.enter_context(_replaced("dspy.teleprompt.bootstrap", "tqdm", SimpleNamespace(tqdm=_NoBar)))
        stack.enter_context(_replaced("gepa.core.engine", "tqdm", _NoBar))
        stack.enter_context(quiet_logs())
        yield


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Inside, DSPy, GEPA and Optuna log nothing below CRITICAL: a reply cut at its limit is one of many candidates."""
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
