"""A language model that answers from a script: for tests, examples and dry runs. No network, no weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dspy.lm15 import Request

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms.engine import Draw, Engine, EngineLM, Reply
from inpars_plus.lms.requests import request_text

if TYPE_CHECKING:
    from inpars_plus.lms.limits import Budget
    from inpars_plus.lms.replies import ReplyStore

__all__ = ["ScriptedEngine", "scripted_lm"]


class ScriptedEngine(Engine):
    """Serves replies from a list or a function, and fails where the script says so.

    Tokens are counted as words. Replies of a list are served in the order of the calls, whichever thread asks.

    Args:
        replies: the replies in order, or a function of the request's text (all its turns, one a line).
        failures: which calls fail (counted from 0, retries included), and with what; ``dspy.lm15`` errors such as
            ``ServerError`` are retried by DSPy, others are not.
        seconds: how long each reply takes.
        name: the model's name in DSPy.
        chat: behave like a hosted chat model, which gets DSPy's chat adapter.
        store: where finished replies are kept and found again.
        budget: what may be spent.

    Attributes:
        prompts: the text of every request that was served or failed, in order.
    """

    supports_response_schema = True
    supported_params = Engine.supported_params | {"response_format"}

    def __init__(
        self,
        replies: Sequence[str] | Callable[[str], str],
        *,
        failures: Mapping[int, Exception] | None = None,
        seconds: float = 0.0,
        name: str = "scripted",
        chat: bool = False,
        store: ReplyStore | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(name=name, identity=name, store=store, budget=budget)
        self.prompts: list[str] = []
        self.prefers_completion = not chat
        self._replies = replies
        self._failures = dict(failures or {})
        self._seconds = seconds
        self._served = 0

    def _renew_locks(self) -> None:
        super()._renew_locks()
        self._script_lock = threading.Lock()

    def _generate(self, request: Request, draw: Draw) -> Reply:
        del draw
        prompt = request_text(request)
        with self._script_lock:
            number = len(self.prompts)
            self.prompts.append(prompt)
            failure = self._failures.get(number)
            place = self._served
            if failure is None:
                self._served += 1
        if self._seconds:
            time.sleep(self._seconds)
        if failure is not None:
            raise failure
        if callable(self._replies):
            text = self._replies(prompt)
        elif place < len(self._replies):
            text = self._replies[place]
        else:
            raise DeadModelError(f"the script has only {len(self._replies)} replies", place=self.name)
        for stop in request.config.stop:
            text = text.partition(stop)[0]
        return Reply(text=text, prompt_tokens=len(prompt.split()), completion_tokens=len(text.split()))


def scripted_lm(
    replies: Sequence[str] | Callable[[str], str],
    *,
    failures: Mapping[int, Exception] | None = None,
    seconds: float = 0.0,
    name: str = "scripted",
    chat: bool = False,
    store: ReplyStore | None = None,
    budget: Budget | None = None,
    **settings: Any,
) -> EngineLM:
    """A ``dspy.LM`` over a :class:`ScriptedEngine`; ``settings`` go to the LM, the rest to the engine."""
    engine = ScriptedEngine(
        replies, failures=failures, seconds=seconds, name=name, chat=chat, store=store, budget=budget
    )
    return EngineLM(engine, **{"temperature": 0.0, "max_tokens": 64, **settings})
