"""Whether a model may be asked: it may be dead, for good or for a while, and the work that it is asked for may stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import dspy

from inpars_plus.foundation.errors import ModelError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.progress import say

__all__ = ["GIVEN_UP", "HOLD_SECONDS", "LOOK_SECONDS", "Life", "asking_threads"]

HOLD_SECONDS = 30.0
"""How long a death that may pass holds. Jobs end at the first one; an application tries again after this."""

LOOK_SECONDS = 0.5
"""How often one who waits looks whether the wait has any use still."""

_ending = threading.Event()
# The one hook that comes before the threads of executors are waited for; the module's own registered itself earlier.
threading._register_atexit(_ending.set)  # type: ignore[attr-defined]

GIVEN_UP: ContextVar[threading.Event | None] = ContextVar("inpars_plus_given_up", default=None)
"""Set when nobody waits for the reply of the call under way any more."""


class Life:
    """What an engine looks at before each request. Many threads share it.

    Args:
        name: of the model, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._failure: ModelError | None = None
        self._again_at: float | None = None
        self._begin()
        in_each_fork(self._begin)

    def _begin(self) -> None:
        # Calls of other threads are not under way in a forked process, so nobody is to wait for them there.
        self._stopped = threading.Event()
        self._calls = 0
        self._busy = 0
        self._changed = threading.Condition()

    @property
    def under_way(self) -> int:
        """Calls between the look into the store and the reply's being kept; not those that wait to be tried again."""
        with self._changed:
            return self._calls

    @property
    def failure(self) -> ModelError | None:
        """Why the model was given up; ``None`` while it works, and after a hold once it is tried again."""
        with self._changed:
            return None if self._failure is None else self._failure.anew()

    def give_up(self, problem: ModelError, *, may_pass: bool = False) -> ModelError:
        """Remember why no further call makes sense.

        Returns:
            The reason that stands, which is the first that was given: ``problem`` itself, or a copy of an earlier one.
        """
        with self._changed:
            if self._failure is None:
                self._failure = problem.anew()
                self._again_at = time.monotonic() + HOLD_SECONDS if may_pass else None
                return problem
            return self._failure.anew()

    def check(self) -> None:
        """Return if a request may be sent.

        Raises:
            ModelError: the model is given up, or the work is stopped.
        """
        with self._changed:
            if self._again_at is not None and time.monotonic() >= self._again_at:
                self._failure = self._again_at = None
            if self._failure is not None:
                raise self._failure.anew()
        self.wait(0.0)

    def wait(self, seconds: float) -> None:
        """Let time pass before a request.

        Raises:
            ModelError: the work is stopped, the call is given up, or the program is ending; nobody waits any longer
                then.
        """
        ends = time.monotonic() + seconds
        while True:
            left = ends - time.monotonic()
            # No DeadModelError, which would be remembered: the model is well.
            if (given_up := GIVEN_UP.get()) is not None and given_up.is_set():
                raise ModelError("the call was given up while it waited for its turn", place=self._name)
            # Python ends only after this thread.
            if left > 0 and _ending.is_set():
                raise ModelError("the program ended while the call waited for its turn", place=self._name)
            if self._stopped.wait(min(max(0.0, left), LOOK_SECONDS)):
                raise ModelError("the work was stopped", place=self._name, remedy="Run it again to go on")
            if left <= LOOK_SECONDS:
                return

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Around a call, from the look into the store to the reply's being kept."""
        with self._changed:
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Around a request to the model itself.

        Raises:
            ModelError: as for :meth:`check`; its caller may have waited for long since it looked last.
        """
        self.check()
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1

    def stop(self) -> None:
        """Let no further request through until :meth:`go_on`, and tell how many are with the model."""
        self._stopped.set()
        with self._changed:
            busy = self._busy
        if busy:
            say(f"Stopping; {busy:,} {'call is' if busy == 1 else 'calls are'} with '{self._name}', and waited for.")

    def go_on(self) -> None:
        """Take :meth:`stop` back."""
        self._stopped.clear()

    def settle(self) -> None:
        """Return when no call is under way any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls == 0)


@contextlib.contextmanager
def asking_threads(lm: dspy.BaseLM | None, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that ask a model. When the block is interrupted, as by Ctrl-C, only requests that are sent already end.

    Without that, each thread would go on with all the attempts of its program, and pay for them.
    """
    life = getattr(getattr(lm, "engine", None), "life", None)
    stopped = False
    try:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            try:
                yield pool
            except Exception:
                raise
            except BaseException:
                if isinstance(life, Life):  # before all else: each moment lets threads through
                    stopped = True
                    life.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        if stopped and isinstance(life, Life):
            try:
                life.settle()  # the pool does not know a thread that was being started when the interrupt came
            finally:
                life.go_on()
