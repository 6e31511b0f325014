"""Watching a program while DSPy runs it: counting calls, and stopping early when going on makes no sense.

DSPy's optimizers turn every exception into a score of zero, so that a dead server compiles "successfully". The
program and the metric are therefore wrapped. The wrappers let DSPy see bad replies (they are data), count failed calls
against an error budget, and end the whole compile at once for everything else: they raise :class:`Halt`, which is no
``Exception`` and so passes through DSPy's handlers and its worker threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms.failures import is_bad_reply, is_failed_call, to_raise
from inpars_plus.lms.hosted import EMPTY_AND_CUT
from inpars_plus.optimizers.prompts.pool_engine import POOL_LM_NAME
from inpars_plus.programs.outcomes import NO_QUERY, NOT_ASKED, UNREADABLE

__all__ = [
    "AllowanceSpent",
    "BudgetSpent",
    "Halt",
    "Watch",
    "WatchedProgram",
]

_SHOWN = 120


class Halt(BaseException):
    """Ends a compile at once.

    Attributes:
        error: what to raise to the caller.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class AllowanceSpent(Exception):  # noqa: N818 - a condition that DSPy is meant to swallow
    """The calls set aside for bootstrapping are used up: DSPy goes on with what it has."""


class BudgetSpent(Exception):  # noqa: N818 - a condition, not a fault
    """The calls of a stage are used up; the harness goes on with the candidates it has."""


class Watch(BaseCallback):
    """Counts the calls of a compile and decides when it has to end. One object for all threads.

    Args:
        model: name of the model, for messages.
        window: how many of the last LM calls the error budget looks at.
        failure_limit: share of them that may fail.
        on_call: called with 1 at each call, to move a progress bar.
        answered_before: the model has answered in an earlier run; then fewer failures than the window do not tell that
            it is gone.
    """

    def __init__(
        self,
        *,
        model: str,
        window: int = 20,
        failure_limit: float = 0.5,
        on_call: Callable[[int], object] | None = None,
        answered_before: bool = False,
    ) -> None:
        self.calls = 0
        self.prompt_calls = 0
        self.prompt_failures = 0
        self.model = model
        self._ceiling: int | None = None
        self._window = window
        self._failure_limit = failure_limit
        self._on_call = on_call
        self._answered_before = answered_before
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._evaluating = 0
        self._allowance: int | None = None
        self._error: Exception | None = None
        self._last_failure: Exception | None = None
        self._open: set[str] = set()
        self._read = False
        self._unread: list[str] = []
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Watch:
        # Optimizers copy the program for each trial; all copies report to one watch.
        return self

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """DSPy's callback before each LM call."""
        if instance.model == POOL_LM_NAME:
            return
        with self._lock:
            self.calls += 1
            if instance.model != self.model:
                self.prompt_calls += 1
                self._open.add(call_id)
        if self._on_call is not None:
            self._on_call(1)

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after each LM call.

        Failures are counted here and not where the program is called, because a program may turn a failed call into a
        missing query. A callback cannot stop anything; :meth:`call` does, before and after the program runs.
        """
        with self._lock:
            if call_id in self._open:
                self._open.discard(call_id)
                self.prompt_failures += exception is not None
                return
            failed = exception is not None and is_failed_call(exception)
            self._outcomes.append(not failed)
            failures, seen = self._outcomes.count(False), len(self._outcomes)
            if not isinstance(exception, Exception):
                return
            self._last_failure = exception if failed else self._last_failure
        if failed and seen == self._window and failures > self._failure_limit * self._window:
            self.halt(to_raise(exception, model=self.model, what=f"failed in {failures} of the last {seen} calls"))
        elif not failed and not is_bad_reply(exception):
            self.halt(to_raise(exception, model=self.model))

    def raise_if_dead(self) -> None:
        """Raise if something ended the run already, or if calls were made and not one of the last succeeded."""
        if self._error is not None:
            raise Halt(self._error)
        told = len(self._outcomes) >= self._window or not self._answered_before
        if self._last_failure is not None and told and not any(self._outcomes):
            what = f"answered none of {self.calls} calls"
            raise self.halt(to_raise(self._last_failure, model=self.model, what=what))

    def note(self, predictions: Iterable[dspy.Prediction | None]) -> None:
        """Remember whether any reply could be read, and those that could not; ``None`` is a call that failed."""
        for prediction in predictions:
            if prediction is not None:
                rejected = prediction.get("rejected") or ()
                self._unread += [one.text for one in rejected if one.reason == UNREADABLE]
                came = any(one.reason not in NO_QUERY | NOT_ASKED for one in rejected)
                self._read = self._read or came or bool(prediction.get("queries"))

    def raise_if_nothing_was_read(self, *, tokens: int | None, certain: bool = False) -> None:
        """Raise if there were replies and none of them could be read.

        Args:
            tokens: most tokens of a reply.
            certain: only where all of them were empty because they were cut, which other prompts would not mend.
        """
        if self._read or not self._unread:
            return
        cut = all(EMPTY_AND_CUT in text for text in self._unread)
        if certain and not cut:
            return
        told = " ".join(next((text for text in self._unread if text.strip()), "").split())[:_SHOWN]
        start = f"one begins {told!r}" if told else "all are empty"
        room = "a model that thinks before it writes needs room for that, which --max-reply-tokens gives"
        raise DeadModelError(
            f"every reply was empty and cut at {tokens or 0:,} tokens"
            if cut
            else f"none of its {len(self._unread)} replies could be read; {start}",
            place=f"model '{self.model}'",
            remedy=f"Check what it writes; {room}. What was paid for is kept",
        )

    def halt_if_nothing_was_read(self, *, tokens: int | None, certain: bool) -> None:
        """As :meth:`raise_if_nothing_was_read`, where a program has just been called.

        Raises:
            Halt: there were replies, and none of them could be read.
        """
        try:
            self.raise_if_nothing_was_read(tokens=tokens, certain=certain)
        except DeadModelError as error:
            raise self.halt(error) from None

    def raise_if_no_prompt_came(self, model: str) -> None:
        """Raise if the model that writes instructions was called and failed every time.

        Args:
            model: its name.
        """
        if self.prompt_calls and self.prompt_failures == self.prompt_calls:
            raise DeadModelError(
                f"the model failed in all {self.prompt_calls} calls for a new instruction",
                place=f"model '{model}'",
                remedy="Check it, or leave the prompt LM out to choose among the written instructions",
            )

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """DSPy's callback before an evaluation: from here on calls are not bootstrapping."""
        with self._lock:
            self._evaluating += 1

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after an evaluation."""
        with self._lock:
            self._evaluating -= 1

    @contextmanager
    def ceiling(self, calls: int) -> Iterator[None]:
        """Inside, no program call starts once this many LM calls were made since the compile began.

        It is a safety net under the plan, for programs that call more often than they said. Replayed calls count, so
        that a run that was killed and started again does the same as one that was not.
        """
        self._ceiling = calls
        try:
            yield
        finally:
            self._ceiling = None
            if isinstance(self._error, BudgetSpent):
                self._error = None

    @contextmanager
    def allowance(self, bootstrap_calls: int) -> Iterator[None]:
        """Inside, program calls outside of evaluations may use so many LM calls and then fail quickly.

        DSPy bootstraps by trying examples until enough succeed, which has no useful upper bound. It does so in one
        thread, so the point at which the allowance ends does not depend on timing.
        """
        self._allowance = bootstrap_calls
        try:
            yield
        finally:
            self._allowance = None

    def halt(self, error: Exception) -> Halt:
        """The exception that ends the compile; the first one given counts, from whichever thread."""
        with self._lock:
            if self._error is None:
                self._error = error
            return Halt(self._error)

    def call(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
        """Call the program on the inputs of one example.

        Raises:
            Halt: nothing may be called any more.
            AllowanceSpent: bootstrapping has had its calls.
            Exception: what the program raised, if DSPy should see it as a failed example.
        """
        if self._error is not None:
            raise Halt(self._error)
        if self._ceiling is not None and self.calls >= self._ceiling:
            raise self.halt(BudgetSpent("the calls allowed are used up"))
        bootstrapping = self._allowance is not None and self._evaluating == 0
        if bootstrapping and self._allowance is not None and self._allowance <= 0:
            raise AllowanceSpent
        before = self.calls
        try:
            result = function(**inputs)
        except Exception as error:
            if not is_failed_call(error) and not is_bad_reply(error):
                raise self.halt(to_raise(error, model=self.model)) from error
            if self._error is not None:
                raise Halt(self._error) from error
            raise
        finally:
            if bootstrapping and self._allowance is not None:
                self._allowance -= max(1, self.calls - before)
        if self._error is not None:
            raise Halt(self._error)
        return result


class WatchedProgram(dspy.Module):
    """A program under watch. Predictors keep their names behind ``program.``; unwrap with ``.program``.

    Args:
        program: the program; not compiled, or DSPy would hide its predictors.
        watch: what counts and stops.
    """

    def __init__(self, program: dspy.Module, watch: Watch) -> None:
        super().__init__()
        self.program = program
        self.watch = watch
        self.first = _FirstAlone()

    def forward(self, **inputs: Any) -> dspy.Prediction:
        """Call the program."""
        if any(predictor.demos for predictor in self.program.predictors()):
            return self.first.run(lambda: self.watch.call(self.program, inputs))
        return self.watch.call(self.program, inputs)


class _FirstAlone:
    """Lets the first call finish before the others start.

    All prompts of a program begin with the same demonstrations. A model that keeps what it has read of a prompt reads
    them once then, and not once in each of the calls that would start together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()

    def __deepcopy__(self, memo: Mapping[int, Any]) -> _FirstAlone:
        # A copy is about to get other demonstrations.
        return _FirstAlone()

    def run(self, function: Callable[[], Any]) -> Any:
        """Call the function, alone if no call has finished before."""
        if not self._done.is_set():
            with self._lock:
                if not self._done.is_set():
                    try:
                        return function()
                    finally:
                        self._done.set()
        return function()
