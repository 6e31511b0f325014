"""Scripted language models for the tests of programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from dspy.lm15 import Request

from inpars_plus.lms.engine import Draw, EngineLM, Reply
from inpars_plus.lms.scripted import ScriptedEngine

Make = Callable[..., tuple[EngineLM, "RecordingEngine"]]


class RecordingEngine(ScriptedEngine):
    """A scripted engine that also remembers how it was sampled: (temperature, rollout) of each call."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sampled: list[tuple[float | None, int | None]] = []

    def _generate(self, request: Request, draw: Draw) -> Reply:
        self.sampled.append((request.config.temperature, draw.rollout))
        return super()._generate(request, draw)


def _lm(
    replies: Sequence[str | Exception] | Callable[[str], str], *, name: str, chat: bool, **settings: Any
) -> tuple[EngineLM, RecordingEngine]:
    failures: dict[int, Exception] = {}
    if not callable(replies):
        failures = {number: reply for number, reply in enumerate(replies) if isinstance(reply, Exception)}
        replies = [reply for reply in replies if isinstance(reply, str)]
    engine = RecordingEngine(replies, failures=failures, name=name, chat=chat)
    return EngineLM(engine, **{"temperature": 0.0, "max_tokens": 64, "num_retries": 0, **settings}), engine


@pytest.fixture
def completion_lm() -> Make:
    """Makes a model that is asked through the completion prompt: one query a reply; and its engine."""
    return lambda replies, **settings: _lm(replies, name="embedded@00000000", chat=False, **settings)


@pytest.fixture
def chat_lm() -> Make:
    """Makes a model that is asked for all queries in one reply; and its engine."""
    return lambda replies, **settings: _lm(replies, name="chat/scripted", chat=True, **settings)
