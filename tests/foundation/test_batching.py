from __future__ import annotations

import copy
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from inpars_plus.foundation.batching import Batcher, batched


def _threads() -> set[int | None]:
    """Idents of the batchers' threads; those of other tests' metrics and engines may still live."""
    return {thread.ident for thread in threading.enumerate() if thread.name == "inpars-plus-batcher"}


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_every_caller_gets_its_own_reply_and_calls_are_gathered() -> None:
    sizes: list[int] = []

    def double(numbers: Sequence[int]) -> list[int]:
        sizes.append(len(numbers))
        time.sleep(0.005)
        return [2 * number for number in numbers]

    batcher = Batcher(double, max_size=16)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(batcher, range(320))) == [2 * number for number in range(320)]
    batcher.close()
    assert sum(sizes) == 320
    assert max(sizes) == 16
    assert len(sizes) < 100


def test_one_caller_does_not_wait_for_company_longer_than_asked() -> None:
    batcher = Batcher(list, max_size=8, max_wait_seconds=0.05)
    started = time.monotonic()
    assert batcher(1) == 1
    assert 0.04 < time.monotonic() - started < 1
    batcher.close()


def test_a_full_batch_does_not_wait_at_all() -> None:
    batcher = Batcher(list, max_size=1, max_wait_seconds=60)
    assert batcher(1) == 1
    batcher.close()


def test_an_exception_reaches_every_caller_of_its_batch_and_nobody_else() -> None:
    def refuse(numbers: Sequence[int]) -> list[int]:
        if -1 in numbers:
            raise LookupError("no such number")
        return list(numbers)

    batcher = Batcher(refuse, max_size=3, max_wait_seconds=5)
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(batcher, number) for number in (-1, 1, 2)]
        for future in futures:
            with pytest.raises(LookupError, match="no such number"):
                future.result(timeout=10)
        assert list(pool.map(batcher, [4, 5, 6])) == [4, 5, 6]
    batcher.close()


def test_a_function_that_loses_a_reply_is_an_error_and_not_a_hang() -> None:
    batcher = Batcher(lambda numbers: numbers[1:], max_size=1)
    with pytest.raises(RuntimeError, match="0 replies for 1 requests"):
        batcher(1)
    batcher.close()


def test_the_function_runs_in_one_thread_only() -> None:
    names: set[int] = set()

    def note(numbers: Sequence[int]) -> Sequence[int]:
        names.add(threading.get_ident())
        return numbers

    batcher = Batcher(note, max_size=2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(batcher, range(40)))
    batcher.close()
    assert len(names) == 1
    assert threading.get_ident() not in names


def test_copies_are_the_same_batcher() -> None:
    batcher = Batcher(list, max_size=2)
    assert copy.deepcopy({"engine": batcher})["engine"] is batcher
    assert copy.copy(batcher) is batcher


def test_closing_answers_what_waits_and_refuses_what_comes_later() -> None:
    others = _threads()
    batcher = Batcher(list, max_size=100, max_wait_seconds=0.2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(batcher, 1)
        time.sleep(0.05)
        batcher.close()
        assert waiting.result(timeout=5) == 1
    batcher.close()
    with pytest.raises(RuntimeError, match="closed"):
        batcher(2)
    assert _threads() <= others


def test_the_thread_ends_when_nobody_holds_the_batcher() -> None:
    others = _threads()
    batcher = Batcher(list, max_size=2)
    assert batcher(1) == 1
    (own,) = _threads() - others
    del batcher
    gc.collect()
    assert _eventually(lambda: own not in _threads())


def _code_of_a_fork(work: Callable[[], bool]) -> int | None:
    """0 where a forked process found the work right, 1 where not; ``None`` where it did not end in time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)  # this process is a copy of pytest, and must not go on as one
    codes: list[int] = []

    def ended() -> bool:
        if not codes:
            done, status = os.waitpid(child, os.WNOHANG)
            codes.extend([os.waitstatus_to_exitcode(status)] if done else [])
        return bool(codes)

    if not _eventually(ended):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    return codes[0]


# Python warns of every fork beside a thread; a server that loads its application before it forks has them all the same.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_process_is_answered_and_so_is_the_one_it_came_from(busy: bool) -> None:
    begun, go_on = threading.Event(), threading.Event()
    here = os.getpid()

    def double(numbers: Sequence[int]) -> list[int]:
        if numbers[0] == 5 and os.getpid() == here:
            begun.set()
            go_on.wait(10)
        return [2 * number for number in numbers]

    batcher = Batcher(double, max_size=1)
    assert batcher(1) == 2
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(batcher, number) for number in ((5, 6) if busy else ())]
        assert not busy or begun.wait(10)

        def asks_twice_and_closes() -> bool:
            answered = (batcher(2), batcher(3)) == (4, 6)
            batcher.close()
            return answered

        assert _code_of_a_fork(asks_twice_and_closes) == 0
        go_on.set()
        assert [future.result(timeout=10) for future in waiting] == [10, 12][: len(waiting)]
    assert batcher(4) == 8
    batcher.close()
    assert _code_of_a_fork(lambda: _refuses(batcher)) == 0


def _refuses(batcher: Batcher[int, int]) -> bool:
    with pytest.raises(RuntimeError, match="closed"):
        batcher(1)
    return True


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one request"):
        Batcher(list, max_size=0)


def test_a_stream_comes_in_batches_and_no_item_is_read_before_its_batch() -> None:
    stream = iter(range(7))
    batches = batched(stream, 3)
    assert next(batches) == [0, 1, 2]
    assert next(stream) == 3
    assert list(batches) == [[4, 5, 6]]
    assert list(batched([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(batched([], 2)) == []
    with pytest.raises(ValueError, match="at least one item, not 0"):
        next(batched([1], 0))
