"""A ranking by a language model counts only where every request was answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import dspy
from dspy.utils.exceptions import LMInvalidRequestError

from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.lms.failures import is_failed_call, lasting_failure, own_cause, to_raise
from inpars_plus.optimizers.prompts.watch import Halt, Watch

__all__ = ["RequestWatch"]

_QUERIES = 3
"""One or two may be of a kind that the model cannot answer; a compile has a few dozen."""

_said: ContextVar[list[str] | None] = ContextVar("_said", default=None)
"""What came back for the query that is under way here; others are in other threads."""


class RequestWatch(Watch):
    """Ends a ranking of which requests failed.

    A program may take a failed request for a reply that cannot be read. A request that the server refuses, such as a
    prompt that is longer than the model's context, does count as one, because it will be refused at any time.

    Args:
        model: its name, for messages.
        on_call: called with 1 at each call, to move a progress bar.
        read_of: end the work too where no reply of this chat model can be read: of three queries, and of as many
            replies as the error budget looks at unless they are empty because they were cut. ``None`` where that is a
            figure like others.
    """

    def __init__(
        self,
        *,
        model: str,
        on_call: Callable[[int], object] | None = None,
        read_of: dspy.BaseLM | None = None,
    ) -> None:
        super().__init__(model=model, on_call=on_call)
        self._failures: list[Exception] = []
        self._lm = read_of
        self._read = read_of is None or isinstance(adapter_for(read_of, None), CompletionAdapter)
        self._queries = 0
        self._reading = threading.Lock()

    def call(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
        """As :meth:`Watch.call`, of programs whose predictions have a report.

        Raises:
            Halt: none of the replies could be read, too.
        """
        said: list[str] = []
        token = _said.set(said)
        try:
            found = super().call(function, inputs)
        finally:
            _said.reset(token)
        with self._reading:
            if self._lm is None or self._read:
                return found
            self._read = found.report.unreadable < found.report.calls
            if said:  # else its requests were refused, which tells nothing of other queries
                self._unread += said
                self._queries += 1
            if self._queries >= _QUERIES:
                certain = len(self._unread) < self._window
                self.halt_if_nothing_was_read(tokens=self._lm.kwargs.get("max_tokens"), certain=certain)
        return found

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after each LM call."""
        refused = isinstance(exception, LMInvalidRequestError) and lasting_failure(exception) is None
        if refused:
            exception = None
        elif (said := _said.get()) is not None:
            said.append(_text(outputs, exception))
        if isinstance(exception, Exception) and is_failed_call(exception):
            self._failures.append(exception)
        super().on_lm_end(call_id, outputs, exception)

    @contextmanager
    def to_the_end(self) -> Iterator[None]:
        """Inside, failed requests end the ranking, or become an error when it is at its end.

        Raises:
            DeadModelError: requests failed.
            InParsError: what else ended the ranking.
        """
        try:
            yield
        except Halt as halt:
            raise halt.error from halt.error.__cause__
        except Exception as error:
            if not is_failed_call(error):
                raise
            raise to_raise(error, model=self.model) from error
        if self._failures:
            what = f"failed in {len(self._failures)} of {self.calls} calls"
            raise to_raise(self._failures[-1], model=self.model, what=what)


def _text(outputs: Any, exception: BaseException | None) -> str:
    """What came back of a call: the reply, or the sentence of the error."""
    if exception is not None:
        return str(own_cause(exception) or exception)
    first = next(iter(outputs or ()), "")
    return str(first.get("text") or "") if isinstance(first, dict) else str(first)
