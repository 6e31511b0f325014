"""The program that revises an instruction: it reads what was measured, says what failed and why, and writes anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.kinds import kind_of
from inpars_plus.programs.asking import ask_for_json
from inpars_plus.programs.program import Program
from inpars_plus.signatures.adapt_instruction import AdaptInstruction
from inpars_plus.signatures.diagnose_failures import DiagnoseFailures, MeasuredPerformance, Reasoning

__all__ = ["InstructionAdapter"]

_REPLY_TOKENS = 512


class InstructionAdapter(Program):
    """Diagnoses what failed under an instruction and proposes a revision, each after thinking: two calls.

    A proposal is only that: whether it is better is for whoever asked to measure
    (:mod:`inpars_plus.optimizers.prompts.adaptation`). The replies are JSON for every model, as for
    :class:`~inpars_plus.programs.document_analyst.DocumentAnalyst`.
    """

    def __init__(self) -> None:
        super().__init__()
        # The type bounds the thought, which a small model would otherwise never end.
        self.diagnose = dspy.ChainOfThought(DiagnoseFailures, rationale_field_type=Reasoning)
        self.adapt = dspy.ChainOfThought(AdaptInstruction, rationale_field_type=Reasoning)

    def forward(self, report: MeasuredPerformance) -> dspy.Prediction:
        """Propose a revision.

        Args:
            report: the instruction as it is now, and what was measured under it
                (:func:`inpars_plus.programs.performance.measured_performance`).

        Returns:
            A prediction with ``diagnosis`` (:class:`~inpars_plus.signatures.FailureDiagnosis` or ``None``),
            ``instruction`` (the revision or ``None``) and ``reason``: ``None``, or why there is no revision
            (``unreadable_diagnosis`` or ``unreadable_revision``).

        Raises:
            ConfigurationError: if there is no language model, or the report is none.
            ModelError: if the model is dead or its spending cap is reached.
        """
        if not isinstance(report, MeasuredPerformance):
            raise ConfigurationError(
                f"an instruction is revised by a MeasuredPerformance, not {kind_of(report)}",
                place="report",
                remedy="Pass what measured_performance gives",
            )
        found = ask_for_json(self.diagnose, reply_tokens=_REPLY_TOKENS, performance=report)
        if found is None:
            return dspy.Prediction(diagnosis=None, instruction=None, reason="unreadable_diagnosis")
        revised = ask_for_json(self.adapt, reply_tokens=_REPLY_TOKENS, performance=report, diagnosis=found.diagnosis)
        if revised is None:
            return dspy.Prediction(diagnosis=found.diagnosis, instruction=None, reason="unreadable_revision")
        return dspy.Prediction(diagnosis=found.diagnosis, instruction=revised.revision.text, reason=None)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again: nothing."""
        return {}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        del settings
        return cls()
