from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from inpars_plus.foundation.errors import ConfigurationError, SpendingCapError
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.lms import ReplyStore, SpendingLimits, failure_of, scripted_lm, usage_of
from inpars_plus.lms.limits import Budget, Price, RateLimiter, budget_of


def budget(price: Price | None = None, **limits: float) -> Budget:
    return Budget(SpendingLimits(**limits), price=price, label="model")  # type: ignore[arg-type]


def test_a_cap_in_tokens_ends_the_run_before_it_is_crossed_and_keeps_what_is_done(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    lm = scripted_lm(lambda prompt: "a b c d", budget=budget(max_tokens=100), max_tokens=20, store=store)
    done: list[list[str]] = []
    with pytest.raises(SpendingCapError, match=r"the spending cap is reached: [78]\d of 100 tokens"):
        done.extend(lm(f"w{number}") for number in range(100))
    usage = usage_of(lm)
    assert usage.prompt_tokens + usage.completion_tokens <= 100
    assert len(store) == len(done) == usage.calls > 10
    assert isinstance(failure_of(lm), SpendingCapError)
    assert lm("w0") == ["a b c d"]  # what is kept is still served


def test_threads_together_do_not_cross_a_cap() -> None:
    lm = scripted_lm(lambda prompt: "a b c d", budget=budget(max_tokens=200), max_tokens=20, seconds=0.005)

    def ask(number: int) -> bool:
        try:
            lm(f"w{number}")
        except SpendingCapError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        served = sum(threads.map(ask, range(100)))
    usage = usage_of(lm)
    assert usage.calls == served
    assert 170 < usage.prompt_tokens + usage.completion_tokens <= 200


def test_a_cap_in_currency_is_kept_by_the_price() -> None:
    lm = scripted_lm(lambda prompt: "a b c d", budget=budget(Price(0.001, 0.01), max_cost_usd=1.0), max_tokens=10)
    with pytest.raises(SpendingCapError, match=r"of 1 US dollars are spent"):
        list(map(lm, map(str, range(100))))
    assert 0.85 < usage_of(lm).calls * 0.041 <= 1.0


def test_what_kept_replies_came_to_counts_for_the_cap_of_the_next_process(tmp_path: Path) -> None:
    price, limits = Price(0.001, 0.01), SpendingLimits(max_cost_usd=1.0)

    def start_and_spend(cap: SpendingLimits) -> int:
        with ReplyStore(tmp_path / "r.sqlite") as store:
            spent = budget_of(cap, price=price, label="scripted", store=store)
            lm = scripted_lm(lambda prompt: "a b c d", budget=spent, store=store, max_tokens=10)
            with pytest.raises(SpendingCapError):
                list(map(lm, map(str, range(100))))
            return usage_of(lm).calls

    first = start_and_spend(limits)
    assert first > 20
    assert start_and_spend(limits) == 0
    assert start_and_spend(SpendingLimits(max_cost_usd=2.0)) >= first


def test_what_runs_under_the_same_cap_spent_counts(tmp_path: Path) -> None:
    elsewhere = LmUsage(calls=9, prompt_tokens=60, completion_tokens=20)
    limits = SpendingLimits(max_tokens=100, spent=elsewhere)
    with ReplyStore(tmp_path / "r.sqlite") as store:
        budget = budget_of(limits, price=None, label="scripted", store=store)
        lm = scripted_lm(lambda prompt: "a b", budget=budget, store=store, max_tokens=10)
        with pytest.raises(SpendingCapError, match=r"[89]\d of 100 tokens are spent"):
            list(map(lm, map(str, range(100))))
        assert 0 < usage_of(lm).calls < 10
    priced = SpendingLimits(max_cost_usd=1.0, spent=elsewhere.model_copy(update={"cost_usd": 0.99}))
    lm = scripted_lm(lambda prompt: "a b", budget=Budget(priced, price=Price(0.001, 0.01), label="model"))
    with pytest.raises(SpendingCapError, match=r"0\.9900 of 1 US dollars are spent"):
        lm("x")


def test_what_another_model_spent_does_not_count(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    other = scripted_lm(lambda prompt: "a b c d", name="other", store=store)
    for number in range(20):
        other(f"{number}")
    mine = budget_of(SpendingLimits(max_tokens=60), price=None, label="scripted", store=store)
    assert scripted_lm(lambda prompt: "a b", budget=mine, store=store, max_tokens=10)("x") == ["a b"]


def test_two_objects_for_one_model_in_a_store_share_a_cap(tmp_path: Path) -> None:
    limits, store = SpendingLimits(max_tokens=100), ReplyStore(tmp_path / "r.sqlite")
    one, two = (budget_of(limits, price=None, label="model", store=store) for _ in range(2))
    assert one is two is not budget_of(limits, price=None, label="another", store=store)


def test_a_cap_in_currency_without_a_price_is_refused_up_front() -> None:
    with pytest.raises(ConfigurationError, match="the price of 'model' is unknown"):
        budget(max_cost_usd=1.0)


def test_the_rate_limiter_gives_each_waiting_thread_its_own_turn() -> None:
    slept: list[float] = []
    limiter = RateLimiter(60, clock=lambda: 100.0)
    for _ in range(4):
        limiter.wait(slept.append)
    assert slept == [1.0, 2.0, 3.0]


def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    now = [0.0]
    slept: list[float] = []
    limiter = RateLimiter(60, clock=lambda: now[0])
    limiter.wait(slept.append)
    now[0] = 50.0
    limiter.wait(slept.append)
    limiter.wait(slept.append)
    assert slept == [1.0]


def test_requests_of_many_threads_are_spaced() -> None:
    lm = scripted_lm(lambda prompt: "x", budget=budget(requests_per_minute=1200))
    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: lm(f"{i}"), range(8)))
    assert time.monotonic() - started >= 7 * 0.05


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        SpendingLimits(max_tokens=0)
