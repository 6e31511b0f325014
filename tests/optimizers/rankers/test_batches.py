"""Batches draw from several kinds alike."""

from __future__ import annotations

from collections import Counter

import pytest

from inpars_plus.optimizers.rankers.batches import MOST_REPEATS, even_batches

FEW, MANY = ["a", "b", "c"], [f"m{at}" for at in range(9)]


def test_few_of_one_kind_count_as_much_as_many_of_another() -> None:
    seen = Counter(one for batch in even_batches([FEW, MANY], steps=6, batch=6, seed=0) for one in batch)
    assert [seen[one] for one in FEW] == [6] * 3
    assert [seen[one] for one in MANY] == [2] * 9


def test_a_handful_is_not_repeated_without_end() -> None:
    seen = Counter(one for batch in even_batches([MANY * 50, ["x"]], steps=100, batch=8, seed=0) for one in batch)
    assert seen["x"] == pytest.approx(MOST_REPEATS, abs=1)
    assert sum(seen.values()) == 800


@pytest.mark.parametrize("kinds", [[FEW], [[], FEW, []]])
def test_one_kind_alone_is_drawn_evenly_and_a_batch_is_no_larger_than_it(kinds: list[list[str]]) -> None:
    batches = list(even_batches(kinds, steps=MOST_REPEATS * 2, batch=5, seed=0))
    assert all(sorted(batch) == FEW for batch in batches)


def test_an_odd_batch_evens_out_over_the_steps() -> None:
    batches = list(even_batches([FEW, MANY], steps=4, batch=5, seed=0))
    assert sum(one in FEW for batch in batches for one in batch) == 10


def test_a_seed_gives_its_order_again_and_another_one_another() -> None:
    one, again, other = (list(even_batches([FEW, MANY], steps=4, batch=6, seed=seed)) for seed in (0, 0, 1))
    assert one == again != other
