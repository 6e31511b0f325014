"""What re-ranking costs, as a formula and as windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.rerank_reports import (
    RerankReport,
    depth_within,
    listwise_calls,
    pairwise_calls,
    pointwise_calls,
    windows,
)


def test_known_costs() -> None:
    assert pointwise_calls(20) == 20
    assert pairwise_calls(20) == 380
    assert pairwise_calls(20, 1) == 38
    assert pairwise_calls(20, 10) == 2 * (19 + 18 + 17 + 16 + 15 + 14 + 13 + 12 + 11 + 10)
    assert pairwise_calls(20, 99) == 380
    assert listwise_calls(100, 20, 10) == 9  # as Sun et al. 2023
    assert listwise_calls(20, 10, 5) == 3
    assert listwise_calls(20, 10, 5, None) == 3 + 2 + 1


@pytest.mark.parametrize("depth", [0, 1])
def test_nothing_is_asked_where_there_is_nothing_to_sort(depth: int) -> None:
    assert pairwise_calls(depth) == pairwise_calls(depth, 3) == listwise_calls(depth, 4, 2, None) == 0
    assert list(windows(depth, 4, 2, None)) == []


def test_windows_move_from_the_bottom_up_and_the_uppermost_is_whole() -> None:
    assert list(windows(12, 5, 3)) == [(7, 12), (4, 9), (1, 6), (0, 5)]
    assert list(windows(3, 5, 3, None)) == [(0, 3)]
    assert list(windows(6, 4, 2, None)) == [(2, 6), (0, 4), (2, 6)]


sizes = st.tuples(st.integers(0, 40), st.integers(2, 12), st.integers(1, 11), st.sampled_from([None, 1, 2, 5]))


@given(sizes)
def test_there_are_as_many_windows_as_the_formula_says(given_: tuple[int, int, int, int | None]) -> None:
    depth, window, step, passes = given_
    step = min(step, window - 1)
    assert len(list(windows(depth, window, step, passes))) == listwise_calls(depth, window, step, passes)
    assert 2 * len(list(windows(depth, 2, 1, passes or 99))) == pairwise_calls(depth, passes or 99)


@given(sizes)
def test_one_pass_of_a_perfect_judge_settles_window_less_step_places_and_enough_passes_all(
    given_: tuple[int, int, int, int | None],
) -> None:
    depth, window, step, passes = given_
    step = min(step, window - 1)
    order = list(range(depth))[::-1]
    for start, end in windows(depth, window, step, passes):
        order[start:end] = sorted(order[start:end])
    settled = depth if passes is None else min(depth, passes * (window - step))
    assert order[:settled] == list(range(depth))[:settled]


@pytest.mark.parametrize(("window", "step", "passes"), [(1, 1, 1), (4, 4, 1), (4, 0, 1), (4, 2, 0)])
def test_windows_that_settle_nothing_are_refused(window: int, step: int, passes: int) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be sorted by windows"):
        list(windows(9, window, step, passes))


def test_a_budget_is_a_depth() -> None:
    assert depth_within(pairwise_calls, 20, None) == 20
    assert depth_within(pairwise_calls, 20, 379) == 19
    assert depth_within(pairwise_calls, 20, 1) == 0
    assert depth_within(pointwise_calls, 20, 7) == 7
    assert depth_within(lambda depth: listwise_calls(depth, 10, 5), 20, 2) == 15
    assert depth_within(pointwise_calls, 0, 0) == 0


def test_a_single_passage_needs_no_call_and_so_is_within_every_budget() -> None:
    for calls in (0, 1, 100):
        assert depth_within(pairwise_calls, 1, calls) == 1
    assert depth_within(pointwise_calls, 1, 0) == 0


def test_reports_add_up() -> None:
    total = RerankReport(queries=1, calls=3, missing=2) + RerankReport(queries=1, calls=4, cut=1)
    assert total == RerankReport(queries=2, calls=7, missing=2, cut=1)
