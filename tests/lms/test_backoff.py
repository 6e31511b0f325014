from __future__ import annotations

import pytest
from dspy.utils.exceptions import LMRateLimitError

from inpars_plus.lms import backoff
from inpars_plus.lms.backoff import Backoff


class Server:
    """Refuses so many times, each with the time that it names, and then answers."""

    def __init__(self, *named: float | None) -> None:
        self.named = list(named)
        self.now = 0.0
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.now += max(0.0, seconds)

    def answer(self) -> str:
        if self.named:
            raise LMRateLimitError("later", retry_after=self.named.pop(0))
        return "answer"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> object:
    def run(server: Server, patience: float = 150.0) -> str:
        monkeypatch.setattr(backoff.time, "monotonic", lambda: server.now)
        return Backoff(wait=server.wait, patience=patience).run(server.answer, lambda: None)

    return run


@pytest.mark.parametrize(
    ("named", "waits"),
    [
        ((7.0,), [7.0]),
        ((None, None, None), [0.5, 1.0, 2.0]),
        ((0.1, 0.1, 5.0), [0.1, 1.0, 5.0]),  # too short a time was named
        ((None,) * 8, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
    ],
)
def test_pauses_are_those_that_the_server_names_or_grow(run: object, named: tuple[float], waits: list[float]) -> None:
    server = Server(*named)
    assert run(server) == "answer"  # type: ignore[operator]
    assert server.waits == waits


@pytest.mark.parametrize(("named", "waited"), [((3600.0,), 0), ((None,) * 20, 9)])
def test_no_longer_than_makes_sense(run: object, named: tuple[float], waited: int) -> None:
    server = Server(*named)
    with pytest.raises(LMRateLimitError):
        run(server)  # type: ignore[operator]
    assert len(server.waits) == waited


def test_a_refusal_long_after_the_last_one_finds_all_the_patience_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(100.0, 100.0, 1.0)
    monkeypatch.setattr(backoff.time, "monotonic", lambda: server.now)
    waiting = Backoff(wait=server.wait, patience=150.0)
    with pytest.raises(LMRateLimitError):
        waiting.run(server.answer, lambda: None)
    server.now += 30.0
    assert waiting.run(server.answer, lambda: None) == "answer"


def test_without_patience_nobody_waits(run: object) -> None:
    server = Server(0.1)
    with pytest.raises(LMRateLimitError):
        run(server, patience=0.0)  # type: ignore[operator]
    assert not server.waits
