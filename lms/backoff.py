"""Waiting as a server asks for it: all threads together, and for as long as it makes sense."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from dspy.utils.exceptions import LMRateLimitError

from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.lms.life import LOOK_SECONDS

__all__ = ["PATIENCE_SECONDS", "Backoff"]

T = TypeVar("T")

PATIENCE_SECONDS = 150.0
"""A server that counts by the minute answers again long before."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_FORGOTTEN_SECONDS = 25.0
"""After the last pause; less than a model is held to be dead, so that it comes back with all of its patience."""


class Backoff:
    """What happens after too many requests (HTTP 429): all threads wait, then one asks, and the others see how it goes.

    Without that, as many requests as there are threads are refused at each attempt, and those are soon used up.

    Args:
        wait: lets so many seconds pass, or raises when there is nothing to wait for any more.
        patience: seconds without one answer after which a refusal is final; 0 passes each on.
    """

    def __init__(self, *, wait: Callable[[float], None], patience: float = PATIENCE_SECONDS) -> None:
        self._wait = wait
        self._patience = patience
        self._pauses = 0
        self._since = 0.0
        self._until = 0.0
        self._renew_locks()
        in_each_fork(self._renew_locks)

    def _renew_locks(self) -> None:
        self._state = threading.Lock()
        self._asking = threading.Lock()

    def run(self, send: Callable[[], T], again: Callable[[], object]) -> T:
        """Send a request until it is no refusal for the number of requests.

        Args:
            send: one attempt.
            again: called before each further one.

        Raises:
            LMRateLimitError: the server asks for more patience than there is.
        """
        while True:
            try:
                return self._once(send)
            except LMRateLimitError as problem:
                if not self._worth_waiting(problem.retry_after):
                    raise
            again()

    def _once(self, send: Callable[[], T]) -> T:
        if self._pauses:
            while not self._asking.acquire(timeout=LOOK_SECONDS):
                self._wait(0.0)
            try:
                # Another thread may have had an answer, and then nobody waits for anybody.
                if self._pauses:
                    self._wait(self._until - time.monotonic())
                    return self._answered(send)
            finally:
                self._asking.release()
        return self._answered(send)

    def _answered(self, send: Callable[[], T]) -> T:
        answer = send()
        with self._state:
            self._pauses = 0
        return answer

    def _worth_waiting(self, asked_for: float | None) -> bool:
        with self._state:
            now = time.monotonic()
            if self._pauses and now - self._until > _FORGOTTEN_SECONDS:
                self._pauses = 0
            if self._pauses == 0:
                self._since = now
            own = min(_FIRST_PAUSE * 2.0**self._pauses, _LONGEST_PAUSE)
            # A server that refuses again after the time that it named has named too short a one.
            pause = max(asked_for, own if self._pauses else 0.0) if asked_for else own
            if now + pause - self._since > self._patience:
                return False
            # Requests that were on their way together are refused together: that is one pause.
            if self._pauses == 0 or now >= self._until:
                self._pauses += 1
                self._until = now + pause
            else:
                self._until = max(self._until, now + (asked_for or 0.0))
            return True
