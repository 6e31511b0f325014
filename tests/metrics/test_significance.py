"""Tests of the paired tests against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from inpars_plus.foundation.errors import InputError
from inpars_plus.metrics.significance import holm, paired_bootstrap, paired_randomization


def values(shift: float, *, noise: float = 1.0, count: int = 200) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(1)
    before = generator.normal(0, 1, count)
    return before.tolist(), (before + shift + generator.normal(0, noise, count)).tolist()


def test_the_interval_holds_the_difference_and_narrows_as_the_normal_one_does() -> None:
    before, after = values(0.5)
    difference = paired_bootstrap(before, after, seed=0)
    deltas = np.asarray(after) - np.asarray(before)
    half = 1.96 * deltas.std(ddof=1) / np.sqrt(len(deltas))
    assert difference.score == pytest.approx(deltas.mean())
    assert difference.low == pytest.approx(deltas.mean() - half, abs=0.02)
    assert difference.high == pytest.approx(deltas.mean() + half, abs=0.02)


def test_the_pairing_is_used() -> None:
    before, after = values(0.2, noise=0.01)
    assert paired_bootstrap(before, after, seed=0).low > 0.19


def test_the_same_seed_gives_the_same_interval() -> None:
    before, after = values(0.1)
    assert paired_bootstrap(before, after, seed=3) == paired_bootstrap(before, after, seed=3)
    assert paired_bootstrap(before, after, seed=3) != paired_bootstrap(before, after, seed=4)


def test_the_randomisation_test_of_all_sign_flips_of_three_equal_gains() -> None:
    assert paired_randomization([0, 0, 0], [1, 1, 1], seed=0) == 0.25


@pytest.mark.parametrize("count", range(2, 14))
def test_with_few_values_the_randomisation_test_is_exact_whatever_the_seed(count: int) -> None:
    before, after = values(0.5, count=count)
    differences = np.asarray(after) - np.asarray(before)
    known = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**count, axis=0).pvalue
    assert [paired_randomization(before, after, seed=seed) for seed in range(3)] == [pytest.approx(known)] * 3
    ahead = [one + 1.0 for one in before]
    assert paired_randomization(before, ahead, seed=count) == 2.0 ** (1 - count)


def test_with_many_values_flips_are_drawn() -> None:
    before, after = values(0.2, count=14)
    drawn = paired_randomization(before, after, seed=0)
    assert drawn != paired_randomization(before, after, seed=1)
    assert drawn == pytest.approx(paired_randomization(before, after, seed=0, samples=2**14), abs=0.02)
    assert paired_randomization([0.0], [1.0], seed=0) == 1.0


def test_a_real_difference_is_found_and_none_is_not() -> None:
    assert paired_randomization(*values(0.5), seed=0) < 0.001
    assert paired_randomization([1.0, 2.0], [1.0, 2.0], seed=0) == 1.0


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="1 and 2"):
        paired_bootstrap([1.0], [1.0, 2.0], seed=0)
    with pytest.raises(InputError):
        paired_randomization([], [], seed=0)


def test_holm_multiplies_the_smallest_by_all_and_never_falls_back() -> None:
    assert holm({"b": 0.04, "a": 0.01, "c": 0.03}) == pytest.approx({"b": 0.06, "a": 0.03, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert list(holm({"z": 0.1, "a": 0.2})) == ["z", "a"]
    assert holm({}) == {}
