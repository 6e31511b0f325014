from __future__ import annotations

import socket
from typing import Any

import pytest

from inpars_plus.lms.providers import price_of
from inpars_plus.optimizers.prompts import estimate, plan_for
from inpars_plus.optimizers.prompts.estimates import estimate_instructions


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("an estimate must not open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def plan_of(toy: Any, budget: int = 1000) -> Any:
    return plan_for(toy.student, trainset=toy.train, valset=toy.validation, lm=toy.lm, budget=budget)


@pytest.mark.usefixtures("no_network")
def test_an_estimate_calls_no_model_and_says_what_a_local_one_costs(toy: Any) -> None:
    found = estimate(plan_of(toy), toy.train, model="embedded@00000000")
    assert not toy.engine.prompts
    assert found.cost_usd == 0.0
    assert found.calls <= 1000
    assert found.minutes == pytest.approx(found.calls / 8 / 60, abs=0.1)


@pytest.mark.usefixtures("no_network")
def test_a_hosted_model_is_priced_from_the_table_in_the_package(toy: Any) -> None:
    price = price_of("openai/gpt-4o-mini")
    assert price is not None
    found = estimate(plan_of(toy), toy.train, model="openai/gpt-4o-mini", chat=True)
    assert 0 < price.prompt < price.completion
    assert found.cost_usd == pytest.approx(price.of(found.prompt_tokens, found.completion_tokens), abs=1e-3)


@pytest.mark.usefixtures("no_network")
def test_a_model_without_a_known_price_has_no_cost_rather_than_none_at_all(toy: Any) -> None:
    assert estimate(plan_of(toy), toy.train, model="openai/my-own-server").cost_usd is None
    # LiteLLM's table has prices by length for one, and none for the other; asked for them, it says 0.
    for model in ("dashscope/qwen3-max", "snowflake/reka-flash"):
        assert estimate(plan_of(toy), toy.train, model=model).cost_usd is None
    assert estimate(plan_of(toy), toy.train, model="hf:mine@00000000").cost_usd == 0.0


@pytest.mark.slow
def test_the_tokens_are_an_upper_bound_close_to_what_a_compile_sends(toy: Any) -> None:
    from inpars_plus.optimizers.prompts import compile_program

    found = estimate(plan_of(toy, 400), [*toy.train, *toy.validation], model="embedded@00000000")
    compile_program(**toy.arguments, budget=400)
    sent = sum(len(prompt) for prompt in toy.engine.prompts) / 4
    assert sent <= found.prompt_tokens <= 2 * sent


@pytest.mark.usefixtures("no_network")
def test_instructions_are_priced_by_the_model_that_writes_them(toy: Any) -> None:
    def told(optimizer: str, model: str) -> Any:
        return estimate_instructions(plan_of(toy), toy.train, optimizer=optimizer, model=model)

    price = price_of("openai/gpt-4o")
    assert price is not None
    for optimizer in ("miprov2", "gepa", "adapt"):
        found = told(optimizer, "openai/gpt-4o")
        assert 0 < found.calls < 30
        assert found.cost_usd == pytest.approx(price.of(found.prompt_tokens, found.completion_tokens), abs=1e-3)
        assert told(optimizer, "embedded@00000000").cost_usd == 0.0
    assert told("bootstrap", "openai/gpt-4o").calls == 0
