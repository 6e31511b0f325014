"""Weights are found where one retriever knows what the other does not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from inpars_plus.corpora import Judgment
from inpars_plus.foundation.errors import InputError
from inpars_plus.metrics.measures import evaluate_rankings
from inpars_plus.optimizers.rankers.fusion_weights import (
    JudgedQueries,
    judged_share,
    learn_weights,
    search_difference,
)
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.retrieval.fusion import Component, FusedRetriever
from inpars_plus.retrieval.indexed import Hits, IndexedRetriever

IDS = [f"d{at}" for at in range(80)]
QUERIES = [TrainingQuery(f"q{at}", f"{at}", (f"d{at}",)) for at in range(60)]


class Noisy(IndexedRetriever):
    """The right document has a score of 1, and noise of a given strength is on all."""

    def __init__(self, noise: float, seed: int) -> None:
        super().__init__(IDS)
        draw = np.random.default_rng(seed)
        self.scores = np.eye(len(IDS)) + noise * draw.normal(size=(len(IDS), len(IDS)))

    def _search(self, queries, width):  # type: ignore[no-untyped-def]
        rows = self.scores[[int(query) for query in queries]]
        order = np.argsort(-rows, axis=1)[:, :width]
        return Hits(order, np.take_along_axis(rows, order, 1))


def components(*noises: float) -> list[Component]:
    return [Component(f"c{at}", Noisy(noise, at)) for at, noise in enumerate(noises)]


def test_two_noisy_ones_together_beat_each_and_the_value_is_that_of_the_search() -> None:
    parts = components(0.5, 0.5)
    found = learn_weights(parts, QUERIES)
    assert found.ndcg > max(found.alone) + 0.05
    assert sum(found.weights) == pytest.approx(1.0, abs=1e-5)
    rankings = FusedRetriever(parts, found.weights).search([query.text for query in QUERIES], 10)
    judged = [Judgment(query_id=query.id, document_id=query.document_ids[0]) for query in QUERIES]
    values = evaluate_rankings(judged, {one.id: ranking for one, ranking in zip(QUERIES, rankings, strict=True)})
    assert np.mean(list(values["nDCG@10"].values())) == pytest.approx(found.ndcg, abs=1e-3)


def test_one_that_knows_nothing_gets_no_weight() -> None:
    found = learn_weights(components(0.2, 50.0), QUERIES)
    assert found.weights[0] > 0.8


def test_no_weights_of_a_grid_are_clearly_better() -> None:
    parts = components(0.4, 0.6, 0.8)
    found = learn_weights(parts, QUERIES)
    texts = [query.text for query in QUERIES]
    judged = [Judgment(query_id=query.id, document_id=query.document_ids[0]) for query in QUERIES]
    for weights in itertools.product((0.0, 0.3, 0.6, 1.0), repeat=3):
        if sum(weights):
            rankings = FusedRetriever(parts, weights).search(texts, 10)
            by_id = {one.id: ranking for one, ranking in zip(QUERIES, rankings, strict=True)}
            assert np.mean(list(evaluate_rankings(judged, by_id)["nDCG@10"].values())) < found.ndcg + 0.01


def test_several_answers_count_against_the_best_order_of_them() -> None:
    query = TrainingQuery("q", "5", ("d5", "d60"))
    found = learn_weights(components(0.0), [query])
    assert found.weights == (1.0,)
    assert 0 < found.ndcg < 1


def test_without_queries_nothing_is_learned() -> None:
    with pytest.raises(InputError, match="without queries"):
        learn_weights(components(0.1), [])


def test_mixtures_keep_their_proportion() -> None:
    found = learn_weights(components(0.5, 0.5, 0.5), QUERIES, mixtures=[(1, 0, 0), (0, 7, 3)])
    assert found.weights[1] / found.weights[2] == pytest.approx(7 / 3, rel=1e-3)
    assert 0 < found.weights[0] < 1


class Moved(Noisy):
    """With feedback, a searcher that knows all or nothing."""

    def __init__(self, noise_with_feedback: float) -> None:
        super().__init__(0.7, 0)
        self.other = Noisy(noise_with_feedback, 1)

    def search_near(self, queries, near, share, width):  # type: ignore[no-untyped-def]
        return self.other.search_positions(queries, width)


@pytest.mark.parametrize(("noise", "better"), [(0.0, True), (9.0, False)])
def test_feedback_is_compared_query_by_query(noise: float, better: bool) -> None:
    parts = [Component("dense", Moved(noise), feedback=True)]
    difference = search_difference(parts, [1.0], QUERIES, without={}, having={"feedback": 0.2}, seed=0)
    assert (difference.low > 0) is better
    assert (difference.high < 0) is not better


class Alike(Noisy):
    """Finds three documents, of which the last is like the first; the answer stands in a given place."""

    def __init__(self, place: int) -> None:
        super().__init__(0.0, 0)
        self.shifts = [1, 2, 3]
        self.shifts[place] = 0

    def _search(self, queries, width):  # type: ignore[no-untyped-def]
        hits = Hits.empty(len(queries), width)
        hits.positions[:, :3] = [[(int(query) + shift) % len(IDS) for shift in self.shifts] for query in queries]
        hits.scores[:, :3] = [1.0, 0.95, 0.8]
        return hits

    def vectors(self, positions):  # type: ignore[no-untyped-def]
        return np.eye(3, dtype=np.float32)[[0, 1, 0]]


@pytest.mark.parametrize(("place", "score"), [(0, 0.63 - 1), (1, 1 - 0.63)])
def test_smoothing_is_compared_query_by_query(place: int, score: float) -> None:
    parts = [Component("dense", Alike(place), feedback=True)]
    difference = search_difference(parts, [1.0], QUERIES, without={}, having={"smoothing": 0.5}, seed=0)
    assert difference.score == pytest.approx(score, abs=0.01)


def test_judged_queries_decide_between_what_the_others_cannot_tell_apart() -> None:
    (one,) = components(0.5)
    alike = [one, one]  # all weights are as good
    assert learn_weights(alike, QUERIES).weights == (0.5, 0.5)
    judged = JudgedQueries(components(0.5, 50.0), QUERIES[:10])
    assert learn_weights(alike, QUERIES, judged=judged).weights[0] > 0.5


def test_few_judged_queries_do_not_outweigh_a_clear_case_and_many_do() -> None:
    clear, against = components(0.2, 50.0), components(50.0, 0.2)
    few, many = (JudgedQueries(against, QUERIES[:10] * times) for times in (1, 100))
    assert learn_weights(clear, QUERIES, judged=few).weights[0] > 0.5
    assert learn_weights(clear, QUERIES, judged=many).weights[1] > 0.5
    assert (judged_share(0), judged_share(200)) == (0.0, 0.5)
