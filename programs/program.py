"""The base of all programs: DSPy's modules, which can also be awaited."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import dspy

__all__ = ["Program"]

_THREADS = 64


class _Threads:
    """Threads for awaited calls alone: in the event loop's own, they would keep waiting whoever else uses those."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            # A forked server process has the object, but not its threads, and would wait for them for ever.
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="inpars-plus-awaited")
            return self._pool


_threads = _Threads()


class Program(dspy.Module):
    """A DSPy module that is called as ``program(...)``, or awaited as ``await program.acall(...)``."""

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        """What :meth:`forward` gives, from a thread with the caller's ``dspy.context``, so that the loop goes on.

        At most 64 calls run at once in a process; others wait for their turn. A call that is cancelled before its turn
        is never made; one that has begun goes on to its end, though nobody waits for it, because what was asked is
        paid for.
        """
        # Of the class, because DSPy warns of whoever takes it of the object.
        call = partial(contextvars.copy_context().run, type(self).forward, self, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(_threads.pool(), call)
