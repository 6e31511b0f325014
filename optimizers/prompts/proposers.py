"""Where revisions of an instruction come from: a language model that reads what was measured, or a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import dspy

from inpars_plus.optimizers.prompts.watch import is_failed_call, to_raise
from inpars_plus.programs.instruction_adapter import InstructionAdapter
from inpars_plus.signatures.diagnose_failures import MeasuredPerformance

__all__ = ["InstructionProposer", "ModelProposer", "PoolTexts", "Proposal"]


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

    @property
    def reads(self) -> bool:
        """Whether it reads reports; one that does not is asked without any being measured."""
        ...

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal | None:
        """A revision of the current instruction; ``None`` when there will be no more."""
        ...


class ModelProposer:
    """Revisions by a language model, through :class:`inpars_plus.programs.InstructionAdapter`.

    Args:
        lm: the model.
        program: a compiled adapter, instead of a new one.
    """

    reads = True

    def __init__(self, lm: dspy.BaseLM, program: InstructionAdapter | None = None) -> None:
        self._lm = lm
        self._program = program or InstructionAdapter()

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal:
        """See :class:`InstructionProposer`.

        Raises:
            ModelError: the model is dead. One failed call is a try without a revision.
        """
        measured = report()
        try:
            with dspy.context(lm=self._lm):
                found = self._program(report=measured)
        except Exception as error:
            if not is_failed_call(error):
                raise to_raise(error, model=str(self._lm.model)) from error
            return Proposal(None, "failed_call")
        return Proposal(found.instruction, found.reason or "")


class PoolTexts:
    """Revisions that were written beforehand, each served once.

    Args:
        texts: in order.
    """

    reads = False

    def __init__(self, texts: Sequence[str]) -> None:
        self._left = list(dict.fromkeys(texts))

    def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> Proposal | None:
        """See :class:`InstructionProposer`."""
        del report
        self._left = [text for text in self._left if text != current]
        return Proposal(self._left.pop(0)) if self._left else None
