"""GEPA: reflective evolution of the instruction.

L. Agrawal et al., "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning", 2025. It reads feedback
on examples and rewrites the instruction, which needs a model that can write. Without one, the pool stands in through
GEPA's own hook for proposals, and GEPA becomes an evolutionary choice among written instructions.
"""

from __future__ import annotations

import dspy
from dspy.teleprompt import GEPA

from inpars_plus.foundation.progress import say
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.policy import SearchTask
from inpars_plus.optimizers.prompts.pool_engine import PoolProposer

__all__ = ["GEPAPolicy"]

_REFLECTION_MINIBATCH = 4


class GEPAPolicy:
    """GEPA over the instruction; the demonstrations of the student stay."""

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The numbers it searches with."""
        documents, metric_calls = _size(task.calls, len(task.validation))
        return {
            "max_metric_calls": metric_calls,
            "validation_documents": documents,
            "reflection_minibatch_size": _REFLECTION_MINIBATCH,
            "reflection_model": task.prompt_lm.model if task.prompt_lm is not None else "pool",
        }

    def search(self, task: SearchTask) -> list[Candidate]:
        """See :class:`inpars_plus.optimizers.prompts.policy.Policy`."""
        documents, metric_calls = _size(task.calls, len(task.validation))
        proposer = None
        if task.prompt_lm is None:
            say("GEPA has no model that can write instructions, so it chooses among those of the pool")
            proposer = PoolProposer(task.instructions)
        optimizer = GEPA(
            metric=task.metric,
            max_metric_calls=metric_calls,
            reflection_minibatch_size=_REFLECTION_MINIBATCH,
            reflection_lm=task.prompt_lm,
            instruction_proposer=proposer,
            # With one predictor there is nothing to merge.
            use_merge=False,
            num_threads=task.threads,
            # No log directory: GEPA would keep its state there as a pickle. Going on after a kill replays the calls.
            log_dir=None,
            warn_on_score_mismatch=False,
            seed=task.seed,
        )
        program = optimizer.compile(
            task.student.deepcopy(),
            trainset=_reflected_on(task),
            valset=list(task.validation[:documents]),
        )
        if task.prompt_lm is not None:
            task.watch.raise_if_no_prompt_came(str(task.prompt_lm.model))
        return [Candidate.of(program.program, origin="gepa")]


def _reflected_on(task: SearchTask) -> list[dspy.Example]:
    """Train documents that are not shown in the prompt, where the answer would stand above the question."""
    return [example for example in task.train if example.source.id not in task.shown]


def _size(calls: int, validation: int) -> tuple[int, int]:
    """Validation documents and metric calls, so that the iteration in which the limit is passed still fits."""
    documents = max(2, min(validation, calls // 8))
    return documents, max(1, calls - documents - 2 * _REFLECTION_MINIBATCH)
