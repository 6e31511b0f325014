"""What holds a lock or a thread begins anew in a forked process."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from inpars_plus.foundation.forks import in_each_fork

# Python warns of every fork beside a thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


class _Locked:
    def __init__(self) -> None:
        self._renew()
        in_each_fork(self._renew)

    def _renew(self) -> None:
        self.lock = threading.Lock()


def _code_of_a_fork_that_takes(lock_of: _Locked) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0 if lock_of.lock.acquire(timeout=5) else 1)  # a copy of pytest must not go on as one
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_lock_that_is_held_at_the_fork_is_free_there_and_held_here() -> None:
    own = _Locked()
    with own.lock:
        assert _code_of_a_fork_that_takes(own) == 0
        assert own.lock.locked()


def test_what_is_renewed_is_not_kept_alive_by_it() -> None:
    own, other = _Locked(), _Locked()
    del own
    gc.collect()
    assert _code_of_a_fork_that_takes(other) == 0
