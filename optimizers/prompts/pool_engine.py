"""A language model that is a list: it answers DSPy's proposers with the instructions of the pool, one after the other.

MIPROv2 wants a prompt model that reads examples and writes instructions. A model of 135 million parameters cannot,
so offline this engine stands in its place and hands out written instructions. It calls nothing and costs nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage

from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["POOL_LM_NAME", "PoolEngine", "PoolProposer", "pool_lm"]

#: Name of the LM that serves the pool.
POOL_LM_NAME = "inpars-plus/instruction-pool"

_ASKED = re.compile(r"\[\[ ## (\w+) ## \]\]")


class PoolEngine:
    """Engine of a DSPy LM that serves instructions in turn and answers other questions with a plain summary.

    Args:
        instructions: what to serve; after the last one it starts again.
        summary: the answer to every question but the one for an instruction, such as that for a description of
            the data.
    """

    supports_response_schema = False
    supported_params: tuple[str, ...] = ()

    def __init__(self, instructions: Sequence[str], *, summary: str) -> None:
        if not instructions:
            raise ConfigurationError("A pool of instructions needs at least one instruction")
        self._instructions = tuple(instructions)
        self._summary = summary
        self._served = 0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: Mapping[int, Any]) -> PoolEngine:
        # Optimizers copy LMs freely; the turn must go on across the copies.
        return self

    def complete(self, request: Request) -> Response:
        """Answer one request in the format of DSPy's ChatAdapter."""
        field = _field_asked_for(request)
        text = self._next() if field == "proposed_instruction" else self._summary
        reply = f"[[ ## {field} ## ]]\n{text}\n\n[[ ## completed ## ]]" if field else text
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(reply),
            finish_reason="stop",
            usage=Usage(input_tokens=0, output_tokens=0),
        )

    def _next(self) -> str:
        with self._lock:
            text = self._instructions[self._served % len(self._instructions)]
            self._served += 1
        return text


def _field_asked_for(request: Request) -> str | None:
    """The first output field that the last message asks for; it is the last marker but ``completed``."""
    texts = [part.text for part in request.messages[-1].parts if isinstance(part, TextPart)]
    request_for = "\n".join(texts).rpartition("Respond with")[2]
    return next((name for name in _ASKED.findall(request_for) if name != "completed"), None)


def pool_lm(instructions: Sequence[str], *, summary: str) -> dspy.LM:
    """A DSPy LM over :class:`PoolEngine`; it needs the ChatAdapter, and no cache, because it answers in turn."""
    return dspy.LM(POOL_LM_NAME, engine=PoolEngine(instructions, summary=summary), cache=False, num_retries=0)


class PoolProposer:
    """GEPA's hook for instruction proposals: the next instruction of the pool that the candidate does not have.

    Args:
        instructions: what to serve, in turn.
    """

    def __init__(self, instructions: Sequence[str]) -> None:
        self._instructions = tuple(instructions)
        self._served = 0

    def __deepcopy__(self, memo: Mapping[int, Any]) -> PoolProposer:
        return self

    def __call__(
        self,
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: Sequence[str],
    ) -> dict[str, str]:
        """One new text a component; the reflections on examples are not read, because nobody is there to read them."""
        return {component: self._next(candidate.get(component)) for component in components_to_update}

    def _next(self, current: str | None) -> str:
        for _ in self._instructions:
            text = self._instructions[self._served % len(self._instructions)]
            self._served += 1
            if text != current:
                return text
        return self._instructions[0]
