"""Whoever waits for a model gets a reply or a reason, however the model ends."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms.inbox import Inbox


@dataclass
class Asked:
    future: Future[Any] = field(default_factory=Future)


@pytest.fixture
def inbox() -> Inbox[Asked]:
    return Inbox(Path("model.gguf"))


def test_requests_come_out_in_the_order_that_they_came(inbox: Inbox[Asked]) -> None:
    first, second = Asked(), Asked()
    inbox.put(first)
    inbox.put(second)
    assert inbox.take() is first
    assert inbox.take(timeout=0.0) is second
    with pytest.raises(queue.Empty):
        inbox.take(timeout=0.0)


def test_a_closed_one_hands_nothing_out_and_who_waits_in_it_learns_why(inbox: Inbox[Asked]) -> None:
    waiting = Asked()
    inbox.put(waiting)
    inbox.close()
    assert inbox.take() is None
    inbox.end([])
    with pytest.raises(DeadModelError, match="shut down"):
        waiting.future.result(timeout=1)


def test_closing_wakes_a_thread_that_waits(inbox: Inbox[Asked]) -> None:
    taken: list[Asked | None] = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take()))
    thread.start()
    inbox.close()
    thread.join(timeout=5)
    assert taken == [None]


def test_a_failure_reaches_those_taken_those_waiting_and_those_to_come(inbox: Inbox[Asked]) -> None:
    taken, waiting, late, answered = Asked(), Asked(), Asked(), Asked()
    answered.future.set_result("a reply")
    inbox.put(waiting)
    inbox.end([taken.future, answered.future], ValueError("out of\nmemory."))
    inbox.put(late)
    for one in (taken, waiting, late):
        with pytest.raises(DeadModelError, match=r"failed \(memory\)") as raised:
            one.future.result(timeout=1)
        assert isinstance(raised.value.__cause__, ValueError)
    assert answered.future.result() == "a reply"


def test_the_reason_is_told_each_time_without_the_frames_of_those_who_were_told_before(inbox: Inbox[Asked]) -> None:
    try:
        raise ValueError("out of memory")
    except ValueError as problem:
        inbox.end([], problem)
    late = [Asked(), Asked()]
    for one in late:
        inbox.put(one)
        with pytest.raises(DeadModelError, match="out of memory"):
            one.future.result(timeout=1)
    first, second = (one.future.exception() for one in late)
    assert first is not second
    assert inbox.failure is not None
    assert inbox.failure.__traceback__ is None
    assert inbox.failure.__cause__ is not None
    assert inbox.failure.__cause__.__traceback__ is None
