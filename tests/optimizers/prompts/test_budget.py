from __future__ import annotations

import itertools

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts.budget import DEFAULT_BUDGET, MINIMUM_BUDGET, plan_budget
from inpars_plus.optimizers.prompts.miprov2 import MIPROv2Schedule

GRID = list(itertools.product([MINIMUM_BUDGET, 300, 601, DEFAULT_BUDGET, 9000], [1, 4], [4, 60, 3000], [4, 80, 700]))


@pytest.mark.parametrize(("budget", "forms", "train", "validation"), GRID)
def test_no_plan_spends_more_than_its_budget_or_has_more_documents_than_there_are(
    budget: int, forms: int, train: int, validation: int
) -> None:
    plan = plan_budget(budget, instructions=8, forms=forms, train=train, validation=validation)
    assert plan.calls <= budget
    assert sum(rung.documents for rung in plan.pool) <= validation
    assert sum(rung.documents for rung in plan.demonstrations) <= validation
    assert sum(rung.documents for rung in plan.harvest) <= train
    assert 0 < plan.final.documents <= validation
    assert MIPROv2Schedule.within(plan.optimizer, validation).calls <= plan.optimizer


def test_with_documents_enough_most_of_the_budget_is_used() -> None:
    plan = plan_budget(DEFAULT_BUDGET, instructions=8, forms=4, train=1000, validation=500)
    assert plan.calls > 0.97 * DEFAULT_BUDGET


def test_each_rung_of_the_pool_keeps_fewer_prompts_and_shows_them_more_documents() -> None:
    rungs = plan_budget(DEFAULT_BUDGET, instructions=8, forms=4, train=500, validation=500).pool
    assert [rung.prompts for rung in rungs] == sorted({rung.prompts for rung in rungs}, reverse=True)
    assert [rung.documents for rung in rungs] == sorted({rung.documents for rung in rungs})


def test_a_chat_model_without_forms_has_fewer_prompts_and_more_documents_for_each() -> None:
    chat = plan_budget(1800, instructions=8, forms=1, train=500, validation=500)
    completion = plan_budget(1800, instructions=8, forms=4, train=500, validation=500)
    assert chat.pool[0].prompts == 8
    assert completion.pool[0].prompts == 16
    assert chat.pool[0].documents > completion.pool[0].documents


def test_several_queries_a_document_cost_several_calls() -> None:
    plan = plan_budget(1000, instructions=8, forms=4, train=500, validation=500, calls_per_document=3)
    assert plan.calls == 3 * plan.asks <= 1000


def test_too_small_a_budget_is_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigurationError, match=f"50 LM calls is too small, the least is {MINIMUM_BUDGET}"):
        plan_budget(50, instructions=8, forms=4, train=100, validation=100)


def test_too_few_documents_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not 3 and 100"):
        plan_budget(600, instructions=8, forms=4, train=3, validation=100)
