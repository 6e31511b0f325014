"""Telling a person how far the work is, on standard error, without flooding a log file."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from inpars_plus.foundation.secrets import hide_secrets

__all__ = ["Bar", "bar", "log_to_stderr", "say", "track"]

T = TypeVar("T")

_QUIET_SECONDS = 5.0
_SECONDS_BETWEEN_LINES = 30.0

_log = logging.getLogger("inpars_plus")


def say(text: str) -> None:
    """Tell a person one thing: one line of the logger ``inpars_plus`` at level INFO, without known secrets.

    Scripts call :func:`log_to_stderr` once; an application that uses the library routes the logger as it likes.
    """
    _log.info("%s", hide_secrets(text))


class _StderrHandler(logging.Handler):
    """Writes above a running bar instead of through it, to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def log_to_stderr() -> None:
    """Show the lines of the logger ``inpars_plus`` on standard error. For scripts; calling it again is harmless."""
    if not any(isinstance(handler, _StderrHandler) for handler in _log.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        _log.addHandler(handler)
    _log.setLevel(logging.INFO)


class Bar:
    """A count that grows. Threads may update it together.

    On a terminal it is a tqdm bar. Elsewhere it is silent for five seconds, then one line every thirty.
    """

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._next_line = self._started + _QUIET_SECONDS
        self._spoken = False
        self._lock = threading.Lock()
        self._tqdm = (
            tqdm(total=total, desc=label, file=sys.stderr, leave=False, dynamic_ncols=True)
            if sys.stderr is not None and sys.stderr.isatty()
            else None
        )

    def update(self, amount: int = 1) -> None:
        """Count ``amount`` more as done."""
        with self._lock:
            self._done += amount
            if self._tqdm is not None:
                self._tqdm.update(amount)
                return
            now = time.monotonic()
            if now < self._next_line:
                return
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self._spoken = True
            line = self._line(now)
        say(line)

    def close(self) -> None:
        """Take the bar away; off a terminal, a bar that spoke ends with a line."""
        with self._lock:
            if self._tqdm is not None:
                self._tqdm.close()
                return
            spoken, self._spoken = self._spoken, False
            line = self._line(time.monotonic())
        if spoken:
            say(line)

    def _line(self, now: float) -> str:
        count = f"{self._done:,}" if self._total is None else f"{self._done:,} of {self._total:,}"
        return f"{self._label}: {count} after {now - self._started:.0f} s"


@contextlib.contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Bar]:
    """A progress bar for a block of code; call ``update`` on what it yields."""
    progress = Bar(label, total)
    try:
        yield progress
    finally:
        progress.close()


def track(iterable: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Go through an iterable under a progress bar.

    Args:
        iterable: anything; its length is used when it has one and ``total`` is not given.
        label: what is being done, such as ``Encoding documents``.
        total: how many items are expected.
    """
    if total is None:
        with contextlib.suppress(TypeError):
            total = len(iterable)  # type: ignore[arg-type]
    with bar(label, total) as progress:
        for item in iterable:
            yield item
            progress.update()
