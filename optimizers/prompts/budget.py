"""How the LM calls of a compile are divided over its stages. Pure arithmetic, so that a dry run can tell.

==============  ======  ============================================================================================
stage           share   what it buys
==============  ======  ============================================================================================
preflight       2       two documents, uncaught: a dead model or a broken metric shows before anything is spent
pool            .18     prompts of the pool, without demonstrations, by successive halving on validation documents
harvest         .20     self-written labels: the best pool prompts on train documents, later those with demonstrations
demonstrations  .22     sets of demonstrations in several prompt forms, by successive halving
optimizer       .18     MIPROv2, bootstrapping, random search or GEPA
final           .22     the few best candidates, the best pool prompt and the uncompiled program on the same documents
==============  ======  ============================================================================================

All documents are asked for once in each trial, so a plan is an upper bound and not a guess.

A warm start takes .32 of the budget, which is a third of what a cold start really spends where there are documents
enough: four of these had 774 calls of 800 on average. With few documents a cold start cannot spend its budget. Two
documents are for the preflight, .25 of the rest to find the nearest program and write labels with the best prompt, .40
for sets of demonstrations, .35 for the final comparison.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["DEFAULT_BUDGET", "MINIMUM_BUDGET", "BudgetPlan", "Rung", "plan_budget", "plan_warm_start"]

#: About four minutes with the embedded model on two cores, at 8 calls a second.
DEFAULT_BUDGET = 1800
#: Below this no stage has enough documents to tell prompts apart.
MINIMUM_BUDGET = 120

_PREFLIGHT = 2
_SHARES = {"pool": 0.18, "harvest": 0.20, "demonstrations": 0.22, "optimizer": 0.18, "final": 0.22}
_HALVING = 3
_FIRST_RUNG_DOCUMENTS = 6
_HARVEST_PROMPTS = (3, 2)
_FIRST_HARVEST_SHARE = 0.6
_DEMONSTRATION_SETS = 24
_FINAL_CANDIDATES = 5
_WARM_SHARE = 0.32
_WARM_SHARES = {"nearest": 0.25, "demonstrations": 0.40, "final": 0.35}
_WARM_SETS = 8
_WARM_RUNGS = 2
_WARM_FINAL_CANDIDATES = 4
_NEAREST_DOCUMENTS = (4, 16)
_NEAREST_PART = 0.75


class Rung(BaseModel):
    """So many prompts on so many documents.

    Attributes:
        prompts: how many are tried.
        documents: how many documents each is tried on that it has not seen.
    """

    model_config = ConfigDict(frozen=True)

    prompts: int
    documents: int

    @property
    def asks(self) -> int:
        """Program calls."""
        return self.prompts * self.documents


class BudgetPlan(BaseModel):
    """What each stage may spend.

    Attributes:
        budget: LM calls that were asked for.
        calls_per_document: LM calls of one program call.
        preflight: documents.
        pool: the rungs of successive halving; each sees new documents. None in a warm start.
        harvest: the two rounds, on train documents; in a warm start the first one finds the nearest program, and has
            one prompt more than programs where there is room for the pool's own.
        demonstrations: the rungs of successive halving over prompts with demonstrations.
        optimizer: program calls for the optimizer proper.
        final: candidates and documents of the last comparison.
    """

    model_config = ConfigDict(frozen=True)

    budget: int
    calls_per_document: int
    preflight: int
    pool: tuple[Rung, ...]
    harvest: tuple[Rung, Rung]
    demonstrations: tuple[Rung, ...]
    optimizer: int
    final: Rung

    @property
    def asks(self) -> int:
        """Program calls of all stages together, at most."""
        rungs = (*self.pool, *self.harvest, *self.demonstrations, self.final)
        return self.preflight + sum(rung.asks for rung in rungs) + self.optimizer

    @property
    def calls(self) -> int:
        """LM calls of all stages together, at most; never more than the budget."""
        return self.asks * self.calls_per_document


def plan_budget(
    budget: int,
    *,
    instructions: int,
    forms: int,
    train: int,
    validation: int,
    calls_per_document: int = 1,
) -> BudgetPlan:
    """Divide a budget over the stages of a compile.

    Args:
        budget: LM calls.
        instructions: in the pool.
        forms: prompt forms to try; 0 or 1 where there is no choice.
        train: train documents.
        validation: validation documents.
        calls_per_document: LM calls of one program call, one for each query asked for.

    Returns:
        The plan; its ``calls`` are at most the budget.

    Raises:
        ConfigurationError: the budget or the documents are too few.
    """
    _check_size(budget, train, validation, calls_per_document)
    asks = budget // calls_per_document - _PREFLIGHT
    shares = {stage: int(asks * share) for stage, share in _SHARES.items()}
    pool = _halving(shares["pool"], prompts=instructions * min(max(1, forms), 2), validation=validation)
    demonstrations = _halving(shares["demonstrations"], prompts=_DEMONSTRATION_SETS, validation=validation)
    final = Rung(prompts=_FINAL_CANDIDATES, documents=min(shares["final"] // _FINAL_CANDIDATES, validation))
    harvest = _harvest(shares["harvest"], train=train)
    return BudgetPlan(
        budget=budget,
        calls_per_document=calls_per_document,
        preflight=_PREFLIGHT,
        pool=pool,
        harvest=harvest,
        demonstrations=demonstrations,
        optimizer=shares["optimizer"],
        final=final,
    )


def plan_warm_start(
    budget: int, *, programs: int, train: int, validation: int, calls_per_document: int = 1
) -> BudgetPlan:
    """Divide .32 of a budget over the stages of a warm start.

    Args:
        budget: LM calls that a cold start would have.
        programs: to start from; at least one.
        train: train documents.
        validation: validation documents.
        calls_per_document: LM calls of one program call, one for each query asked for.

    Returns:
        The plan; its ``calls`` are at most .32 of the budget, and its ``budget`` is that part.

    Raises:
        ConfigurationError: the budget or the documents are too few, or the programs too many.
    """
    _check_size(budget, train, validation, calls_per_document)
    part = int(budget * _WARM_SHARE)
    asks = part // calls_per_document - _PREFLIGHT
    shares = {stage: int(asks * share) for stage, share in _WARM_SHARES.items()}
    least, most = _NEAREST_DOCUMENTS
    few = max(2, train // 2)
    if shares["nearest"] // programs < min(least, few):
        raise ConfigurationError(
            f"With a budget of {budget} LM calls {programs} programs are too many to find the nearest of them",
            place="warm start",
            remedy=f"Name at most {shares['nearest'] // least}, or raise the budget",
        )
    starts = programs + (shares["nearest"] // (programs + 1) >= least)
    # Most of it tells prompts apart; with the rest the best of them writes more labels.
    each = int(shares["nearest"] * _NEAREST_PART) // starts
    each = min(most, few, max(min(least, shares["nearest"] // starts), each))
    others = min(shares["nearest"] - each * starts, train - each)
    return BudgetPlan(
        budget=part,
        calls_per_document=calls_per_document,
        preflight=_PREFLIGHT,
        pool=(),
        harvest=(Rung(prompts=starts, documents=each), Rung(prompts=1, documents=others)),
        demonstrations=_halving(shares["demonstrations"], prompts=_WARM_SETS, validation=validation, rungs=_WARM_RUNGS),
        optimizer=0,
        final=Rung(
            prompts=_WARM_FINAL_CANDIDATES, documents=min(shares["final"] // _WARM_FINAL_CANDIDATES, validation)
        ),
    )


def _check_size(budget: int, train: int, validation: int, calls_per_document: int) -> None:
    if budget < MINIMUM_BUDGET * calls_per_document:
        raise ConfigurationError(
            f"A budget of {budget} LM calls is too small, the least is {MINIMUM_BUDGET * calls_per_document}",
            place="budget",
            remedy="Raise it, or leave it out",
        )
    if train < 4 or validation < 4:
        raise ConfigurationError(
            f"Compiling needs at least 4 train and 4 validation documents, not {train} and {validation}",
            place="documents",
            remedy="Give a larger corpus, or merge document types",
        )


def _halving(calls: int, *, prompts: int, validation: int, rungs: int | None = None) -> tuple[Rung, ...]:
    """Rungs of equal cost; each keeps a third of the prompts, and two at the end."""
    rungs = rungs or (3 if prompts > 2 * _HALVING else 2)
    share = calls // rungs
    count = min(prompts, max(2, share // _FIRST_RUNG_DOCUMENTS))
    left, found = validation, []
    for number in range(rungs):
        alive = max(2, math.ceil(count / _HALVING**number))
        documents = min(share // alive, left)
        left -= documents
        if documents:
            found.append(Rung(prompts=alive, documents=documents))
    return tuple(found)


def _harvest(calls: int, *, train: int) -> tuple[Rung, Rung]:
    first_prompts, second_prompts = _HARVEST_PROMPTS
    first = min(int(calls * _FIRST_HARVEST_SHARE) // first_prompts, max(2, train // 2))
    second = min((calls - first * first_prompts) // second_prompts, train - first)
    return Rung(prompts=first_prompts, documents=first), Rung(prompts=second_prompts, documents=second)
