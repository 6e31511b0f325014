"""Compiling prompts: the pool of instructions, the stages, and DSPy's optimizers under one harness."""

from __future__ import annotations

from inpars_plus.corpora.documents import documents_digest
from inpars_plus.optimizers.prompts.budget import DEFAULT_BUDGET, MINIMUM_BUDGET, BudgetPlan, plan_budget
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.estimates import Estimate, estimate
from inpars_plus.optimizers.prompts.evaluation import CompileMetric, JudgedQuery, evaluate_program
from inpars_plus.optimizers.prompts.harness import Compiled, compile_program, forms_for, plan_for
from inpars_plus.optimizers.prompts.policy import OPTIMIZERS, Policy, SearchTask
from inpars_plus.optimizers.prompts.pool import InstructionPool, pool_for, pools
from inpars_plus.optimizers.prompts.pool_engine import PoolEngine, pool_lm
from inpars_plus.optimizers.prompts.trials import Trial

__all__ = [
    "DEFAULT_BUDGET",
    "MINIMUM_BUDGET",
    "OPTIMIZERS",
    "BudgetPlan",
    "Candidate",
    "CompileMetric",
    "Compiled",
    "Estimate",
    "InstructionPool",
    "JudgedQuery",
    "Policy",
    "PoolEngine",
    "SearchTask",
    "Trial",
    "compile_program",
    "documents_digest",
    "estimate",
    "evaluate_program",
    "forms_for",
    "plan_budget",
    "plan_for",
    "pool_for",
    "pool_lm",
    "pools",
]
