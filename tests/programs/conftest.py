"""Scripted language models for the tests of programs."""

from __future__ import annotations

import json
import re
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


def _said(prompt: str, field: str) -> str:
    """The value of a field in the last question of a prompt; demonstrations come before it."""
    value = prompt.rpartition(f"[[ ## {field} ## ]]")[2].strip()
    return value.partition("\n\n[[ ## ")[0].partition("\n\nRespond with")[0]


def _worth(passage: str) -> int:
    return int(re.findall(r"worth (\d)", passage)[-1])


def oracle(prompt: str) -> str:
    """A judge that is always right: each passage says in its text what it is worth."""
    if "[[ ## numbered_passages ## ]]" in prompt:
        worths = [_worth(line) for line in _said(prompt, "numbered_passages").splitlines()]
        order = sorted(range(len(worths)), key=lambda position: -worths[position])
        return json.dumps({"ranking": {"order": [position + 1 for position in order]}})
    if "[[ ## first_passage ## ]]" in prompt:
        first, second = _worth(_said(prompt, "first_passage")), _worth(_said(prompt, "second_passage"))
        return json.dumps(
            {"preference": {"better": "first" if first > second else "second" if second > first else "tie"}}
        )
    return json.dumps({"judgment": {"grade": _worth(_said(prompt, "passage"))}})


@pytest.fixture(scope="session")
def judge() -> Callable[[str], str]:
    """Answers every question about passages truthfully, for passages that hold ``worth 0`` to ``worth 3``."""
    return oracle
