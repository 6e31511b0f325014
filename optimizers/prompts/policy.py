"""What an optimizer is to the harness: one method that searches and leaves its trials in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric
from inpars_plus.optimizers.prompts.watch import Watch, WatchedProgram

__all__ = ["OPTIMIZERS", "Policy", "SearchTask", "policy_named"]


@dataclass(frozen=True)
class SearchTask:
    """All that an optimizer gets.

    Attributes:
        student: the watched program with the best setting so far: instruction, form and demonstrations.
        labelled: train examples with self-written labels, best first; they serve as demonstrations.
        train: train examples without labels, for when there are none with.
        validation: what candidates are scored on.
        metric: in DSPy's contract.
        lm: writes the queries.
        prompt_lm: writes instructions; ``None`` for the pool.
        instructions: the pool's texts, best first.
        summary: what the documents are, in a sentence.
        watch: counts, and bounds the calls of bootstrapping.
        bench: scores candidates outside of DSPy's loops.
        calls: program calls that the search may make.
        demonstrations: how many go into a prompt at most.
        shown: ids of the train documents that the student's demonstrations are from.
        threads: calls at once.
        seed: all randomness comes from it.
        note: takes a sentence that a person should read.
    """

    student: WatchedProgram
    labelled: Sequence[dspy.Example]
    train: Sequence[dspy.Example]
    validation: Sequence[dspy.Example]
    metric: GuardedMetric
    lm: dspy.BaseLM
    prompt_lm: dspy.BaseLM | None
    instructions: Sequence[str]
    summary: str
    watch: Watch
    bench: Bench
    calls: int
    demonstrations: int
    shown: frozenset[str]
    threads: int
    seed: int
    note: Callable[[str], None]


class Policy(Protocol):
    """An optimizer: one of DSPy's, set up so that its traps stay shut, or one of our own."""

    def search(self, task: SearchTask) -> list[Candidate]:
        """Search within ``task.calls`` program calls.

        Called inside ``dspy.context`` with the LM and the callbacks of the harness, and silenced. Scores of what was
        evaluated reach the log through DSPy's callbacks.

        Returns:
            What the optimizer itself would return, and anything else that is worth scoring, best first.

        Raises:
            Halt: whatever ends the compile.
        """
        ...

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The settings it would search with, for the card of the compiled program."""
        ...


#: Names of the optimizers.
OPTIMIZERS = ("miprov2", "bootstrap", "bootstrap-random-search", "gepa", "adapt")


def policy_named(name: str) -> Policy:
    """The optimizer of a name.

    Raises:
        ConfigurationError: there is none.
    """
    if name == "miprov2":
        from inpars_plus.optimizers.prompts.miprov2 import MIPROv2Policy

        return MIPROv2Policy()
    if name in ("bootstrap", "bootstrap-random-search"):
        from inpars_plus.optimizers.prompts.bootstrap import BootstrapPolicy, RandomSearchPolicy

        return BootstrapPolicy() if name == "bootstrap" else RandomSearchPolicy()
    if name == "gepa":
        from inpars_plus.optimizers.prompts.gepa import GEPAPolicy

        return GEPAPolicy()
    if name == "adapt":
        from inpars_plus.optimizers.prompts.adaptation import AdaptationPolicy

        return AdaptationPolicy()
    raise ConfigurationError(
        f"There is no optimizer '{name}'", place="optimizer", remedy=f"Use one of {', '.join(OPTIMIZERS)}"
    )
