"""MIPROv2: Bayesian search over instructions and sets of demonstrations.

K. Opsahl-Ong et al., "Optimizing Instructions and Demonstrations for Multi-Stage Language Model Programs", EMNLP 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dspy.teleprompt import MIPROv2

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.policy import SearchTask
from inpars_plus.optimizers.prompts.pool_engine import pool_lm

__all__ = ["MIPROv2Policy", "MIPROv2Schedule"]

_CANDIDATES = 6
_FULL_EVALUATION_STEPS = 5
_BOOTSTRAP_SHARE = 0.15
_MAX_BOOTSTRAPPED = 2
_UNLIMITED_ERRORS = 10**9


@dataclass(frozen=True)
class MIPROv2Schedule:
    """How MIPROv2 spends its program calls.

    Attributes:
        bootstrap: set aside for bootstrapping demonstrations.
        validation: documents of a full evaluation.
        minibatch: documents of a trial.
        trials: how many trials.
    """

    bootstrap: int
    validation: int
    minibatch: int
    trials: int

    @classmethod
    def within(cls, calls: int, validation: int) -> MIPROv2Schedule:
        """The schedule with the most trials that fits, at most so many validation documents."""
        bootstrap = int(calls * _BOOTSTRAP_SHARE)
        full = max(2, min(validation, math.ceil(calls / 9)))
        minibatch = max(1, full // 2)
        best = cls(bootstrap, full, minibatch, 0)
        trials = 1
        while (schedule := cls(bootstrap, full, minibatch, trials)).calls <= calls:
            best = schedule
            trials += 1
        if best.trials == 0:
            raise ConfigurationError(
                f"{calls} calls are too few for a search with MIPROv2", place="budget", remedy="Raise the budget"
            )
        return best

    @property
    def calls(self) -> int:
        """Program calls of the whole search, at most, by MIPROv2's own numbering of trials."""
        steps = _FULL_EVALUATION_STEPS
        last = self.trials + self.trials // steps + 1 + (self.trials % steps != 0)
        total, number = self.bootstrap + self.validation, 2
        for _ in range(self.trials):
            total += self.minibatch
            if number % (steps + 1) == 0 or number == last - 1:
                total += self.validation
                number += 1
            number += 1
        return total


class MIPROv2Policy:
    """MIPROv2 with explicit numbers instead of its automatic modes."""

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The numbers it searches with."""
        schedule = MIPROv2Schedule.within(task.calls, len(task.validation))
        return {
            "num_candidates": _CANDIDATES,
            "num_trials": schedule.trials,
            "minibatch_size": schedule.minibatch,
            "validation_documents": schedule.validation,
            "max_bootstrapped_demos": min(_MAX_BOOTSTRAPPED, task.demonstrations),
            "max_labeled_demos": task.demonstrations,
            "prompt_model": task.prompt_lm.model if task.prompt_lm is not None else "pool",
        }

    def search(self, task: SearchTask) -> list[Candidate]:
        """See :class:`inpars_plus.optimizers.prompts.policy.Policy`."""
        schedule = MIPROv2Schedule.within(task.calls, len(task.validation))
        shown = task.demonstrations if task.labelled else 0
        prompt_lm = task.prompt_lm or pool_lm(task.instructions, summary=task.summary)
        optimizer = MIPROv2(
            metric=task.metric,
            metric_threshold=task.metric.threshold,
            prompt_model=prompt_lm,
            task_model=task.lm,
            auto=None,
            num_candidates=_CANDIDATES,
            max_bootstrapped_demos=min(_MAX_BOOTSTRAPPED, shown),
            max_labeled_demos=shown,
            num_threads=task.threads,
            max_errors=_UNLIMITED_ERRORS,
            # compile(seed=0) is taken for "no seed"; the constructor's is not.
            seed=task.seed,
        )
        student = task.student.deepcopy()
        # The demonstrations of the student would only be dropped; what it may choose from is bootstrapped anew.
        try:
            with task.watch.allowance(schedule.bootstrap):
                program = optimizer.compile(
                    student,
                    trainset=list(task.labelled or task.train),
                    valset=list(task.validation[: schedule.validation]),
                    num_trials=schedule.trials,
                    minibatch=schedule.minibatch < schedule.validation,
                    minibatch_size=schedule.minibatch,
                    minibatch_full_eval_steps=_FULL_EVALUATION_STEPS,
                    # The program's code and a summary of the data mean something to a model that writes, not to a pool.
                    program_aware_proposer=False,
                    data_aware_proposer=task.prompt_lm is not None,
                )
        except ValueError as error:
            if "No valid program found" not in str(error):
                raise
            # All combinations that were tried have had their full evaluation: the search is over, not failed.
            return []
        return [Candidate.of(program.program, origin="miprov2")]
