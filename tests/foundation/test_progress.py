from __future__ import annotations

import sys

import pytest

from inpars_plus.foundation import progress
from inpars_plus.foundation.progress import bar, log_to_stderr, say, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_script_sees_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    log_to_stderr()
    say("100 % of it")
    assert capsys.readouterr() == ("", "100 % of it\n")


def test_a_known_secret_is_not_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-environment")
    log_to_stderr()
    say("the key is sk-environment")
    assert capsys.readouterr().err == "the key is [hidden]\n"


def test_a_library_says_nothing_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    say("hidden")
    assert capsys.readouterr() == ("", "")


def test_a_short_job_off_a_terminal_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    assert list(track(range(1000), "Counting")) == list(range(1000))
    assert capsys.readouterr() == ("", "")


def test_a_long_job_off_a_terminal_says_a_line_now_and_then_and_at_its_end(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr()
    for _ in track(iter("x" * 70), "Encoding", total=7000):
        clock[0] += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Encoding: 5 of 7,000 after 5 s",
        "Encoding: 35 of 7,000 after 35 s",
        "Encoding: 65 of 7,000 after 65 s",
        "Encoding: 70 of 7,000 after 70 s",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with bar("Compiling", total=2) as progress_bar:
        progress_bar.update(2)
    assert "Compiling" in capsys.readouterr().err


def test_a_job_that_fails_takes_its_bar_away(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(progress.Bar, "close", lambda self: closed.append(True))
    with pytest.raises(KeyboardInterrupt), bar("Compiling"):
        raise KeyboardInterrupt
    assert closed == [True]
