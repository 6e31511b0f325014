"""Which of many prompts is best: successive halving on validation documents.

K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016: every
rung costs the same, keeps a part of the prompts, and gives those that are left more documents.
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.budget import Rung
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.pool import InstructionPool

__all__ = ["pool_prompts", "rank_prompts"]


def pool_prompts(pool: InstructionPool, forms: Sequence[str | None]) -> list[Candidate]:
    """Every instruction in every form; all instructions in the most promising form come first."""
    return [Candidate(text, form, origin="pool") for form in forms for text in pool.texts]


def rank_prompts(
    bench: Bench, prompts: Sequence[Candidate], examples: Sequence[dspy.Example], rungs: Sequence[Rung]
) -> list[Candidate]:
    """Rank prompts, best first.

    Args:
        bench: scores them.
        prompts: in the order in which they are preferred; those beyond the first rung's number are not tried.
        examples: validation documents; all prompts of a rung see the same.
        rungs: from :func:`inpars_plus.optimizers.prompts.budget.plan_budget`.

    Returns:
        The prompts that were tried: those of the last rung by their score, then those that dropped out, latest first.
    """
    alive = list(prompts[: rungs[0].prompts])
    dropped: list[Candidate] = []
    seen = 0
    for rung in rungs:
        dropped = alive[rung.prompts :] + dropped
        alive = alive[: rung.prompts]
        seen += rung.documents
        scores = bench.score(alive, examples[:seen])
        # Sorting is stable, so that equal prompts stay in the pool's order.
        order = sorted(range(len(alive)), key=scores.__getitem__, reverse=True)
        alive = [alive[position] for position in order]
    return alive + dropped
