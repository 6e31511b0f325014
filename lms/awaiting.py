"""What is awaited: calls wait in threads of their own, and one that is given up asks no more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from dspy.lm15 import Request, Response

from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.lms.life import GIVEN_UP

if TYPE_CHECKING:
    from inpars_plus.lms.engine import Engine

__all__ = ["AsyncEngine", "AwaitedCalls"]

_THREADS = 64
"""Most calls under way; more wait for one of them. A server of one's own rarely answers as many at once."""


class AwaitedCalls:
    """Blocking calls that an event loop awaits, at most 64 at once.

    The event loop's own threads are few, and the application's look-ups of addresses and files wait for them; so these
    calls have threads of their own, made at the first one. When an awaited call is cancelled, the request that is with
    the model ends, but nothing is waited out for it any more, and no further request is sent.
    """

    def __init__(self) -> None:
        self._begin()
        in_each_fork(self._begin)  # the threads are not there

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns or raises; it runs with a copy of the caller's context variables."""
        given_up = threading.Event()
        context = copy_context()  # DSPy's settings, and the draw of the call
        context.run(GIVEN_UP.set, given_up)
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inpars-plus-awaited")
            threads = self._threads
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, context.run, function, *arguments)
        except asyncio.CancelledError:
            given_up.set()
            raise


class AsyncEngine:
    """An engine whose calls are awaited; see :class:`AwaitedCalls`.

    Args:
        engine: serves the calls.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls = AwaitedCalls()

    async def complete(self, request: Request) -> Response:
        """DSPy's contract of an engine that is awaited. Raises as :meth:`Engine.complete`."""
        response: Response = await self._calls.run(self._engine.complete, request)
        return response

    def __copy__(self) -> AsyncEngine:
        return self

    def __deepcopy__(self, memo: object) -> AsyncEngine:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self._engine.__reduce__()  # which says why not
