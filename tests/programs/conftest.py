"""Scripted language models for the tests of programs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, Request, Response, TextPart, Usage


class Script:
    """An engine that replies from a script and remembers what it was asked."""

    def __init__(self, replies: Sequence[str | Exception] | Callable[[str], str], *, completion: bool) -> None:
        self.prefers_completion = completion
        self._replies: Iterator[Any] | None = None if callable(replies) else iter(replies)
        self._function = replies if callable(replies) else None
        self._lock = threading.Lock()
        self.prompts: list[str] = []
        self.temperatures: list[float | None] = []

    def complete(self, request: Request) -> Response:
        prompt = "\n\n".join(part.text for message in request.messages for part in message.parts)
        with self._lock:
            self.prompts.append(prompt)
            self.temperatures.append(request.config.temperature)
            reply = self._function(prompt) if self._function else next(self._replies)  # type: ignore[arg-type]
        if isinstance(reply, Exception):
            raise reply
        return Response(
            id="scripted",
            model=request.model,
            message=Message(role="assistant", parts=(TextPart(text=reply),)),
            finish_reason="stop",
            usage=Usage(input_tokens=1, output_tokens=1),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Script:
        return self


@pytest.fixture
def completion_lm() -> Callable[..., tuple[dspy.LM, Script]]:
    """A model that is asked through the completion prompt: one query a reply."""

    def make(replies: Any, **settings: Any) -> tuple[dspy.LM, Script]:
        engine = Script(replies, completion=True)
        return dspy.LM("embedded@00000000", engine=engine, cache=False, num_retries=0, **settings), engine

    return make


@pytest.fixture
def chat_lm() -> Callable[..., tuple[dspy.LM, Script]]:
    """A hosted chat model: all queries in one reply."""

    def make(replies: Any, **settings: Any) -> tuple[dspy.LM, Script]:
        engine = Script(replies, completion=False)
        return dspy.LM("chat/scripted", engine=engine, cache=False, num_retries=0, **settings), engine

    return make
