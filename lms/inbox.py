"""Requests on their way to a model's thread. However the model ends, nobody waits for ever."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.foundation.forks import in_each_fork

__all__ = ["Inbox", "Request", "what_it_says"]


class Request(Protocol):
    """What one caller wants, with the future that it waits on."""

    @property
    def future(self) -> Future[Any]:
        """Gets the reply, or why there is none."""


R = TypeVar("R", bound=Request)


class Inbox(Generic[R]):
    """A queue that many threads put requests into and one takes them out of, until the model ends.

    In a forked process it has ended, because the thread that takes requests out does not exist there.

    Args:
        path: of the model, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()
        self.failure: DeadModelError | None = None
        in_each_fork(self._end_here)

    def _begin(self) -> None:
        self._queue: queue.SimpleQueue[R | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def _end_here(self) -> None:
        self._begin()
        self.failure = self.failure or DeadModelError(
            "the language model was loaded before this process was forked, and does not run in it",
            place=str(self._path),
            remedy="Load it here; what load_lm and load_scorer gave does that by itself",
        )

    def put(self, request: R) -> None:
        """Queue a request; when the model has ended, its future gets the reason at once."""
        with self._lock:
            problem = self.failure
            if problem is None:
                self._queue.put(request)
        if problem is not None:
            request.future.set_exception(problem.anew())

    def take(self, *, timeout: float | None = None) -> R | None:
        """The next request; ``None`` when the thread is to end.

        Args:
            timeout: longest wait in seconds; ``None`` for ever.

        Raises:
            queue.Empty: nothing came in that time.
        """
        request = None if self.failure is not None else self._queue.get(block=timeout != 0, timeout=timeout)
        if request is not None and self.failure is not None:  # closed while waiting
            request.future.set_exception(self.failure.anew())
            return None
        return request

    def close(self) -> None:
        """Tell the thread to end."""
        with self._lock:
            self.failure = self.failure or DeadModelError("the language model is shut down", place=str(self._path))
            self._queue.put(None)

    def end(self, unanswered: Iterable[Future[Any]], caught: BaseException | None = None) -> None:
        """The thread ends: whoever still waits gets the reason.

        Args:
            unanswered: futures of requests that were taken.
            caught: what ended it; ``None`` after :meth:`close`.
        """
        problem: DeadModelError | None = None
        if caught is not None:
            problem = DeadModelError(
                f"the local language model failed ({what_it_says(caught)})",
                place=str(self._path),
                remedy="Start again; finished replies are kept",
            )
            problem.__cause__ = caught
            problem = problem.anew()  # without the frames of the thread that ends
        with self._lock:
            problem = self.failure = problem or self.failure or DeadModelError("the language model is shut down")
        for future in unanswered:
            if not future.done():
                future.set_exception(problem.anew())
        with contextlib.suppress(queue.Empty):
            while True:
                request = self._queue.get_nowait()
                if request is not None:
                    request.future.set_exception(problem.anew())


def what_it_says(problem: BaseException) -> str:
    """The last line that says something of an error's text, or the name of its kind."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return (lines[-1] if lines else type(problem).__name__).rstrip(".")[:300]
