"""BootstrapFewShot and BootstrapFewShotWithRandomSearch: the instruction stays, demonstrations are searched.

O. Khattab et al., "DSPy: Compiling Declarative Language Model Calls into Self-Improving Pipelines", ICLR 2024.
"""

from __future__ import annotations

import random

from dspy.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch

from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.policy import SearchTask

__all__ = ["BootstrapPolicy", "RandomSearchPolicy"]

_BOOTSTRAP_SHARE = 0.2
_VALIDATION_SHARE = 0.12
_UNLIMITED_ERRORS = 10**9


class BootstrapPolicy:
    """BootstrapFewShot: one set of demonstrations, from the first train examples on which the program succeeds."""

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The numbers it searches with."""
        return {
            "max_bootstrapped_demos": max(1, task.demonstrations // 2),
            "max_labeled_demos": task.demonstrations,
            "max_rounds": 1,
        }

    def search(self, task: SearchTask) -> list[Candidate]:
        """See :class:`inpars_plus.optimizers.prompts.policy.Policy`."""
        optimizer = BootstrapFewShot(
            metric=task.metric,
            metric_threshold=task.metric.threshold,
            max_bootstrapped_demos=max(1, task.demonstrations // 2),
            max_labeled_demos=task.demonstrations if task.labelled else 0,
            max_errors=_UNLIMITED_ERRORS,
        )
        with task.watch.allowance(task.calls):
            program = optimizer.compile(task.student.deepcopy(), trainset=list(task.labelled or task.train))
        return [Candidate.of(program.program, origin="bootstrap")]


class RandomSearchPolicy:
    """BootstrapFewShotWithRandomSearch: many sets of demonstrations, each scored on the same validation documents."""

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The numbers it searches with."""
        documents, programs = _random_search_size(task.calls, len(task.validation))
        return {
            "num_candidate_programs": programs,
            "validation_documents": documents,
            "max_bootstrapped_demos": max(1, task.demonstrations // 2),
            "max_labeled_demos": task.demonstrations,
        }

    def search(self, task: SearchTask) -> list[Candidate]:
        """See :class:`inpars_plus.optimizers.prompts.policy.Policy`."""
        documents, programs = _random_search_size(task.calls, len(task.validation))
        # DSPy seeds each set by its number alone; the order of the examples is where our seed comes in. The first
        # set is unshuffled, so the best labels stay in front.
        trainset = list(task.labelled or task.train)
        head, tail = trainset[: task.demonstrations], trainset[task.demonstrations :]
        random.Random(task.seed).shuffle(tail)
        optimizer = BootstrapFewShotWithRandomSearch(
            metric=task.metric,
            metric_threshold=task.metric.threshold,
            max_bootstrapped_demos=max(1, task.demonstrations // 2),
            max_labeled_demos=task.demonstrations if task.labelled else 0,
            num_candidate_programs=programs,
            num_threads=task.threads,
            max_errors=_UNLIMITED_ERRORS,
        )
        with task.watch.allowance(int(task.calls * _BOOTSTRAP_SHARE)):
            program = optimizer.compile(
                task.student.deepcopy(),
                trainset=head + tail,
                valset=list(task.validation[:documents]),
                # Three programs come with no draw: no demonstrations, labels only, and the unshuffled set.
                restrict=range(-3 if programs >= 3 else -1, max(programs - 3, 0)),
            )
        return [Candidate.of(program.program, origin="bootstrap-random-search")]


def _random_search_size(calls: int, validation: int) -> tuple[int, int]:
    """Documents of an evaluation, and programs to evaluate."""
    documents = max(2, min(validation, round(calls * _VALIDATION_SHARE)))
    return documents, max(1, int(calls * (1 - _BOOTSTRAP_SHARE)) // documents)
