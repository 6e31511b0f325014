"""The choice between systems, and how sure it is."""

from __future__ import annotations

import pytest

from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.rankers.choosing import System, choose_system, score_system
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.protocol import Ranking


def test_the_best_mean_is_chosen_with_intervals_around_differences() -> None:
    good, bad = tuple([1.0] * 30 + [0.0] * 10), tuple([1.0] * 10 + [0.0] * 30)
    choice = choose_system([System("bad", bad), System("good", good)], seed=0)
    assert choice.name == "good"
    assert list(choice.rows) == ["good", "bad"]
    assert choice.sureness == pytest.approx(1.0)
    behind = choice.rows["bad"]["less_chosen"]
    assert behind["score"] == pytest.approx(-0.5)
    assert behind["high"] < 0


def test_nearly_equal_systems_make_an_unsure_choice() -> None:
    first = tuple(float(at % 2) for at in range(40))
    second = tuple(float(at % 2 == 0) for at in range(40))
    choice = choose_system([System("a", first), System("b", second)], seed=0)
    assert 0.3 < choice.sureness < 0.7
    assert sum(row["best"] for row in choice.rows.values()) == pytest.approx(1.0)


def test_the_simpler_of_two_equals_is_chosen() -> None:
    values = (0.5, 1.0)
    assert choose_system([System("a", values, -2), System("b", values, -1)], seed=0).name == "b"


def test_an_understated_system_is_chosen_unless_it_is_shown_to_be_worse() -> None:
    best, near, far = tuple([1.0] * 30 + [0.0] * 10), tuple([1.0] * 29 + [0.0] * 11), tuple([1.0] * 10 + [0.0] * 30)
    choice = choose_system([System("best", best), System("near", near, understated=True)], seed=0)
    assert choice.name == "near"
    assert list(choice.rows) == ["best", "near"]
    assert choice.sureness == choice.rows["near"]["best"] < 0.5
    assert choice.rows["best"]["less_chosen"]["score"] == pytest.approx(1 / 40)
    assert choose_system([System("best", best), System("near", near)], seed=0).name == "best"
    assert choose_system([System("best", best), System("far", far, understated=True)], seed=0).name == "best"
    same = [System("plain", best, preference=1.0), System("richer", best, understated=True)]
    assert choose_system(same, seed=0).name == "plain"


def test_systems_that_tie_share_how_sure_the_choice_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="inpars_plus")
    better, worse = (0.5, 1.0, 0.5, 1.0), (0.0, 0.5, 0.0, 0.5)
    choice = choose_system([System("a", better), System("b", better), System("c", worse)], seed=0)
    assert (choice.name, choice.sureness) == ("a", pytest.approx(0.5))
    assert [row["best"] for row in choice.rows.values()] == pytest.approx([0.5, 0.5, 0.0])
    assert "nothing separates" not in caplog.text


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_it_is_said_where_nothing_separates_the_systems(value: float, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="inpars_plus")
    choice = choose_system([System(name, (value,) * 30) for name in "abcde"], seed=0)
    assert (choice.name, choice.sureness) == ("a", pytest.approx(0.2))
    assert f"All 5 systems have the same nDCG@10 on every query, {value:.3f}" in caplog.text
    caplog.clear()
    choose_system([System("alone", (value,) * 30)], seed=0)
    assert "nothing separates" not in caplog.text


def test_a_query_with_several_answers_is_scored_by_all_of_them() -> None:
    queries = [TrainingQuery("q", "text", ("a", "b"))]
    assert score_system("s", [Ranking(("b", "a"), (2.0, 1.0))], queries).values == (1.0,)
    assert score_system("s", [Ranking((), ())], queries).values == (0.0,)


def test_nothing_to_choose_between_is_told() -> None:
    for systems in ([], [System("a", ())]):
        with pytest.raises(InputError, match="nothing to choose between"):
            choose_system(systems, seed=0)
