"""A generation of whose first replies none can be read: to ask on would be to pay for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import dspy

from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs.outcomes import UNREADABLE

__all__ = ["CERTAIN", "ReadingWatch"]

CERTAIN = 4
"""Documents; what was cut while the model thought for all of them will be cut for others."""


class ReadingWatch(Watch):
    """Ends a generation by a chat model none of whose replies can be read.

    Four documents tell it where all replies are empty because they were cut, else as many as the error budget looks at.
    Who generates for fewer asks :meth:`raise_if_nothing_was_read` at the end.
    A completion model has no form to keep to: what it writes can be read, or is a bad reply like others.

    Args:
        lm: writes the queries.
        read_before: one of its replies was read in an earlier run.
        answered_before: as for :class:`Watch`.
    """

    def __init__(self, lm: dspy.BaseLM, *, read_before: bool = False, answered_before: bool = False) -> None:
        super().__init__(model=str(lm.model), answered_before=answered_before)
        self._lm = lm
        self._read = read_before or isinstance(adapter_for(lm, None), CompletionAdapter)
        self._documents = 0
        self._reading = threading.Lock()

    @property
    def read(self) -> bool:
        """Whether a reply was read, or need not be."""
        return self._read

    def call(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
        """As :meth:`Watch.call`.

        Raises:
            Halt: for this reason too.
        """
        made = super().call(function, inputs)
        with self._reading:
            if self._read:
                return made
            self.note([made])
            self._documents += any(one.reason == UNREADABLE for one in made.get("rejected") or ())
            if self._documents >= CERTAIN:
                certain = self._documents < self._window
                self.halt_if_nothing_was_read(tokens=self._lm.kwargs.get("max_tokens"), certain=certain)
        return made
