"""A ranking by a language model counts only where every request was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dspy.utils.exceptions import LMInvalidRequestError

from inpars_plus.lms.failures import is_failed_call, lasting_failure, to_raise
from inpars_plus.optimizers.prompts.watch import Halt, Watch

__all__ = ["RequestWatch"]


class RequestWatch(Watch):
    """Ends a ranking of which requests failed.

    A program may take a failed request for a reply that cannot be read. A request that the server refuses, such as a
    prompt that is longer than the model's context, does count as one, because it will be refused at any time.

    Args:
        model: its name, for messages.
        on_call: called with 1 at each call, to move a progress bar.
    """

    def __init__(self, *, model: str, on_call: Callable[[int], object] | None = None) -> None:
        super().__init__(model=model, on_call=on_call)
        self._failures: list[Exception] = []

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after each LM call."""
        if isinstance(exception, LMInvalidRequestError) and lasting_failure(exception) is None:
            exception = None
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
