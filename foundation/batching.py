"""Batches: of a stream, and of what many threads ask one by one and one function answers together."""

from __future__ import annotations

import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, Generic, TypeVar

__all__ = ["Batcher", "batched"]

X = TypeVar("X")
Y = TypeVar("Y")


def batched(items: Iterable[X], size: int) -> Iterator[list[X]]:
    """So many items at a time, in order; the last batch may be shorter, and none is empty.

    Args:
        items: read as batches are taken, so a stream is never whole in memory.
        size: at least 1.
    """
    # Python has this from 3.12 on.
    if size < 1:
        raise ValueError(f"A batch holds at least one item, not {size}")
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


class Batcher(Generic[X, Y]):
    """Gathers the calls of many threads into batches for one function.

    One daemon thread calls ``function``, so the function need not be thread-safe. It is never called while idle, and
    while it runs the next batch gathers. An exception of the function is raised in every caller of that batch, and
    only there. A copy is the same object, because DSPy deep-copies whatever a program holds. In a forked process it
    begins anew: a fork copies no thread, and what others asked is answered where they asked it.

    Args:
        function: takes a list of requests, returns one reply a request, in order.
        max_size: most requests in one call of the function.
        max_wait_seconds: how long the first request of a batch may wait for others.
    """

    def __init__(
        self, function: Callable[[Sequence[X]], Sequence[Y]], *, max_size: int, max_wait_seconds: float = 0.002
    ) -> None:
        if max_size < 1:
            raise ValueError(f"A batch holds at least one request, not {max_size}")
        self._function = function
        self._max_size = max_size
        self._max_wait_seconds = max_wait_seconds
        self._closed = False
        self._begin()
        _batchers.add(self)

    def _begin(self) -> None:
        self._requests: queue.SimpleQueue[tuple[X, Future[Y]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Ends the thread when nobody holds the batcher any more; the thread itself holds only the queue.
        self._finalizer = weakref.finalize(self, self._requests.put, None)

    def __call__(self, request: X) -> Y:
        """Wait for the batch that answers this request.

        Raises:
            RuntimeError: the batcher is closed, or the function did not return one reply a request.
            Exception: whatever the function raised for the batch.
        """
        future: Future[Y] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("The batcher is closed")
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_serve,
                    args=(self._requests, self._function, self._max_size, self._max_wait_seconds),
                    name="inpars-plus-batcher",
                    daemon=True,
                )
                self._thread.start()
            self._requests.put((request, future))
        return future.result()

    def close(self) -> None:
        """Answer what is waiting, then end the thread. Later calls raise; closing twice is harmless."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._finalizer()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __copy__(self) -> Batcher[X, Y]:
        return self

    def __deepcopy__(self, memo: object) -> Batcher[X, Y]:
        return self


def _serve(
    requests: queue.SimpleQueue[tuple[X, Future[Y]] | None],
    function: Callable[[Sequence[X]], Sequence[Y]],
    max_size: int,
    max_wait_seconds: float,
) -> None:
    open_ = True
    while open_:
        first = requests.get()
        if first is None:
            return
        batch = [first]
        deadline = time.monotonic() + max_wait_seconds
        while len(batch) < max_size:
            try:
                item = requests.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                open_ = False
                break
            batch.append(item)
        _answer(batch, function)
        # An idle thread must not keep the last requests and replies alive.
        del batch, first


def _answer(batch: list[tuple[X, Future[Y]]], function: Callable[[Sequence[X]], Sequence[Y]]) -> None:
    try:
        replies = function([request for request, _ in batch])
        if len(replies) != len(batch):
            raise RuntimeError(f"The function gave {len(replies)} replies for {len(batch)} requests")
    except BaseException as problem:  # whatever it is, somebody waits for it
        for _, future in batch:
            future.set_exception(problem)
    else:
        for (_, future), reply in zip(batch, replies, strict=True):
            future.set_result(reply)


_batchers: weakref.WeakSet[Batcher[Any, Any]] = weakref.WeakSet()


def _begin_anew() -> None:
    for batcher in list(_batchers):
        batcher._finalizer.detach()
        batcher._begin()


os.register_at_fork(after_in_child=_begin_anew)
