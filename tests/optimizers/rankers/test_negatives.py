"""Negatives are hard, never an answer, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.rankers.negatives import NegativeSettings, fill_negatives, mine_negatives, random_negatives
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.protocol import Ranking


class Fixed:
    """Finds the same for every query."""

    def __init__(self, **scores: float) -> None:
        self.ranking = Ranking(tuple(scores), tuple(scores.values()))

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        return [Ranking(self.ranking.ids[:k], self.ranking.scores[:k]) for _ in queries]


QUERY = TrainingQuery("q", "why", ("answer",))
DENSE = Fixed(above=0.9, near=0.79, answer=0.8, below=0.7, far=0.5, last=0.1)


def test_the_answer_what_is_above_it_and_what_is_nearly_as_good_are_no_negatives() -> None:
    (found,) = mine_negatives([QUERY], {"dense": DENSE})
    assert set(found.document_ids) == {"below", "far", "last"}
    assert dict(zip(found.document_ids, found.scores, strict=True))["far"] == 0.5
    assert set(found.origins) == {"dense"}


def test_several_answers_are_all_left_out() -> None:
    query = TrainingQuery("q", "why", ("answer", "below"))
    (found,) = mine_negatives([query], {"dense": DENSE})
    assert set(found.document_ids) == {"far", "last"}


def test_retrievers_take_turns_and_a_document_counts_once() -> None:
    lexical = Fixed(answer=12.0, below=9.0, other=8.0, third=7.0)
    (found,) = mine_negatives([QUERY], {"bm25": lexical, "dense": DENSE}, NegativeSettings(number=4))
    assert len(set(found.document_ids)) == len(found.document_ids) == 4
    assert sorted(found.origins) == ["bm25", "bm25", "dense", "dense"]


def test_scores_below_nothing_are_compared_the_right_way_round() -> None:
    (found,) = mine_negatives([QUERY], {"x": Fixed(answer=-1.0, near=-1.01, far=-2.0)})
    assert found.document_ids == ("far",)


def test_who_misses_the_answer_gives_hardly_any() -> None:
    (found,) = mine_negatives([QUERY], {"x": Fixed(a=0.9, b=0.8, c=0.7)})
    assert found.document_ids == ()


def test_a_query_without_any_gets_random_ones_and_the_others_keep_theirs() -> None:
    queries = [QUERY, TrainingQuery("lost", "where", ("nowhere", "far"))]
    mined = mine_negatives(queries[:1], {"dense": DENSE}) + mine_negatives(queries[1:], {"x": Fixed(a=0.9, b=0.8)})
    ids = ["nowhere", "far", "one", "two", "three"]
    filled, without = fill_negatives(queries, mined, ids, number=2)
    assert without == 1
    assert filled[0] == mined[0]
    assert len(set(filled[1].document_ids) & {"one", "two", "three"}) == 2
    assert (filled[1].origins, filled[1].scores) == (("random", "random"), (0.0, 0.0))


def test_random_ones_are_never_answers_and_go_by_seed_and_query() -> None:
    ids = [f"d{at}" for at in range(40)]
    queries = [TrainingQuery(f"q{at}", "why", (f"d{at}",)) for at in range(20)]
    first = random_negatives(queries, ids, number=30, seed=3)
    assert all(len(set(one.document_ids)) == 30 and f"d{at}" not in one.document_ids for at, one in enumerate(first))
    assert random_negatives(queries[5:9], ids, number=30, seed=3) == first[5:9]
    assert random_negatives(queries, ids, number=30, seed=4) != first
    assert random_negatives(queries[:1], ["d0"], number=3)[0].document_ids == ()


def test_the_seed_and_the_query_alone_decide() -> None:
    many = Fixed(answer=100.0, **{f"d{at}": 90.0 - at for at in range(60)})
    queries = [TrainingQuery(f"q{at}", "why", ("answer",)) for at in range(20)]
    first = mine_negatives(queries, {"x": many}, seed=3)
    assert mine_negatives(queries[5:9], {"x": many}, seed=3) == first[5:9]
    assert mine_negatives(queries, {"x": many}, seed=4) != first
    assert len({one.document_ids for one in first}) > 15


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"number": 0}, {"ceiling": 1.5}, {"skip": 100}])
def test_settings_that_leave_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="negatives cannot be chosen"):
        NegativeSettings(**wrong)  # type: ignore[arg-type]
