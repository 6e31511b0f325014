"""Where revisions of an instruction come from: a language model that reads what was measured, or a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dspy
from dspy.utils.callback import BaseCallback

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms.engine import sentence
from inpars_plus.lms.failures import is_failed_call, to_raise
from inpars_plus.programs.instruction_adapter import InstructionAdapter
from inpars_plus.signatures.diagnose_failures import MeasuredPerformance

__all__ = ["InstructionProposer", "ModelProposer", "PoolTexts", "Proposal"]

_PATIENCE = 2


@dataclass(frozen=True)
class Proposal:
    """What a proposer came up with.

    Attributes:
        instruction: the revision; ``None`` if there is none.
        reason: why there is none.
    """

    instruction: str | None
    reason: str = ""


class InstructionProposer(Protocol):
    """Where revisions come from."""

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal | None:
        """A revision of the current instruction; ``None`` when there will be no more.

        Args:
            current: the instruction.
            report: measures what it does; nothing is measured for a proposer that does not call it.
        """
        ...


class _Calls(BaseCallback):
    """Counts the calls of a proposer's model and remembers why the last one failed.

    Programs turn a failed call into a reply that cannot be read; and a watch, which counts by name, cannot tell a
    proposer from a generator of the same name.
    """

    def __init__(self) -> None:
        self.made = 0
        self.failed = 0
        self.failure = ""

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after each LM call."""
        self.made += 1
        self.failed += exception is not None
        self.failure = sentence(exception) if isinstance(exception, Exception) else ""


class ModelProposer:
    """Revisions by a language model, through :class:`inpars_plus.programs.InstructionAdapter`.

    Args:
        lm: the model.
    """

    def __init__(self, lm: dspy.BaseLM) -> None:
        self._lm = lm
        self._program = InstructionAdapter()
        self._calls = _Calls()

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal:
        """See :class:`InstructionProposer`.

        Raises:
            ModelError: the model is dead, or failed in its first two calls: nothing more is measured for it then. One
                failed call is a try without a revision, and the reason tells why.
        """
        if self._calls.failed >= _PATIENCE:
            self.raise_if_dead()
        measured = report()
        try:
            with dspy.context(lm=self._lm, callbacks=[*dspy.settings.callbacks, self._calls]):
                found = self._program(report=measured)
        except Exception as error:
            if not is_failed_call(error):
                raise to_raise(error, model=str(self._lm.model)) from error
            return Proposal(None, self._failed)
        if found.instruction is None and self._calls.failure:
            return Proposal(None, self._failed)
        return Proposal(found.instruction, found.reason or "")

    def raise_if_dead(self) -> None:
        """Raise if the model was called and failed every time.

        Raises:
            DeadModelError: it did; it proposed nothing because it is gone, and not because it has no ideas.
        """
        if self._calls.made and self._calls.failed == self._calls.made:
            raise DeadModelError(
                f"the model failed in all {self._calls.made} calls for a new instruction ({self._calls.failure})",
                place=f"model '{self._lm.model}'",
                remedy="Check that it is running and that its name, address and key are right, or do without it",
            )

    @property
    def _failed(self) -> str:
        return f"failed_call ({self._calls.failure})"


class PoolTexts:
    """Revisions that were written beforehand, each served once.

    Args:
        texts: in order.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._left = list(dict.fromkeys(texts))

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal | None:
        """See :class:`InstructionProposer`."""
        del report
        self._left = [text for text in self._left if text != current]
        return Proposal(self._left.pop(0)) if self._left else None
