"""A document's score is a mean with those of its nearest neighbors, so that what stands among good answers moves up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.fusion import Component, FusedRetriever
from inpars_plus.retrieval.indexed import Hits
from inpars_plus.retrieval.smoothing import smoothed


def _at(angles: Sequence[float]) -> npt.NDArray[np.float32]:
    """Vectors of length 1 at these angles, in degrees."""
    turned = np.radians(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def _hits(scores: Sequence[float]) -> Hits:
    return Hits(np.arange(len(scores))[None, :], np.array([scores], dtype=np.float64))


def test_each_score_is_a_mean_with_the_five_nearest_weighted_by_the_fourth_power_of_cosines() -> None:
    angles, scores = [0, 30, 80, 11, 26, 50, 65, -20], [1.0, 0.9, 0.8, 0.65, 0.5, 0.4, 0.3, 0.1]
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 0.5)
    expected = {}
    for own, one in enumerate(angles):
        others = sorted((at for at in range(len(angles)) if at != own), key=lambda at: abs(angles[at] - one))[:5]
        weights = [0.5 * np.cos(np.radians(angles[at] - one)) ** 4 for at in others]
        expected[own] = (scores[own] + np.dot(weights, [scores[at] for at in others])) / (1 + sum(weights))
    assert dict(zip(found.positions[0].tolist(), found.scores[0], strict=True)) == pytest.approx(expected, abs=1e-4)
    assert found.positions[0].tolist() == sorted(expected, key=lambda at: -expected[at])


def test_what_stands_beside_a_good_answer_passes_what_stands_alone() -> None:
    found = smoothed(_hits([1.0, 0.6, 0.5]), lambda at: _at([0, 90, 5])[at], 0.5)
    assert found.positions[0].tolist() == [0, 2, 1]


def test_a_document_without_a_near_neighbor_and_an_empty_one_keep_their_scores() -> None:
    vectors = np.concatenate([_at([0, 90]), np.zeros((1, 2), dtype=np.float32)])
    found = smoothed(_hits([1.0, 0.5, 0.25]), lambda at: vectors[at], 0.5)
    assert found.scores[0].tolist() == [1.0, 0.5, 0.25]


def test_of_neighbors_that_are_as_near_the_first_ranked_count() -> None:
    # The last is nearer to the first by less than counts.
    angles, scores = [0, 10, 10, 10, 10, 10, 9.9997], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1]
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 0.5)
    weight = 0.5 * np.cos(np.radians(10)) ** 4
    assert found.scores[0, 0] == pytest.approx((1 + weight * 3.5) / (1 + 5 * weight), abs=1e-5)


def test_documents_behind_the_first_hundred_stay_behind_them_in_their_order() -> None:
    scores = np.linspace(1.0, 0.5, 103).tolist()
    angles = [0.0] * 98 + [90.0, 0.0] + [0.0] * 3
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 5.0)
    assert found.positions[0, 99:].tolist() == [98, 100, 101, 102]
    assert (np.diff(found.scores[0]) <= 0).all()


def test_rounding_brings_none_of_the_first_hundred_below_those_behind_them() -> None:
    last = 0.12345678949  # nine decimals of it are less
    found = smoothed(_hits([0.9] * 99 + [last] * 3), lambda at: _at([0.0] * 99 + [90.0])[at], 0.5)
    assert (np.diff(found.scores[0]) <= 0).all()


def test_equal_scores_stand_in_the_order_of_the_corpus_and_gaps_stay_at_the_end() -> None:
    hits = Hits(np.array([[7, 2, -1], [3, -1, -1], [-1, -1, -1]]), np.array([[1.0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]))
    found = smoothed(hits, lambda at: _at([0.0] * len(at)), 0.5)
    assert found.positions.tolist() == [[2, 7, -1], [3, -1, -1], [-1, -1, -1]]
    assert found.scores.tolist() == [[1.0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]
    angles = np.random.default_rng(0).uniform(-40, 40, 50)
    alike = smoothed(_hits([0.3] * 50), lambda at: _at(angles)[at], 0.5)
    assert alike.positions[0].tolist() == list(range(50))
    assert set(alike.scores[0]) == {0.3}


class Angles:
    """A text is an angle in degrees."""

    digest = "angles"

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        return _at([float(text) for text in texts])


TEXTS = [" ", "10", "45", "-50", "51", "170"]
DENSE = DenseRetriever([f"d{number}" for number in range(len(TEXTS))], TEXTS, Angles())


def test_vectors_are_those_of_the_documents_and_0_for_an_empty_one() -> None:
    found = DENSE.vectors(np.array([5, 0, 1]))
    assert found == pytest.approx(np.concatenate([_at([170]), [[0.0, 0.0]], _at([10])]), abs=1e-6)
    assert not DenseRetriever(["a", "b"], [" ", ""], Angles()).vectors(np.array([1, 0])).any()
    last = DenseRetriever(["a", "b"], ["10", " "], Angles()).vectors(np.array([1, 0]))
    assert last == pytest.approx(np.concatenate([[[0.0, 0.0]], _at([10])]), abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_sum_is_smoothed_the_same_way_whatever_k_is(k: int) -> None:
    part = Component("dense", DENSE, feedback=True)
    plain, smooth = (FusedRetriever([part], [1.0], smoothing=share).search(["0"], 5)[0] for share in (0.0, 0.5))
    assert plain.ids == ("d1", "d2", "d3", "d4", "d5")
    assert smooth.ids == ("d1", "d2", "d4", "d3", "d5")
    assert FusedRetriever([part], [1.0], smoothing=0.5).search(["0"], k)[0].ids == smooth.ids[:k]


def test_more_than_a_hundred_are_found_and_the_first_hundred_are_smoothed() -> None:
    angles = np.random.default_rng(0).permutation(150) / 2
    many = DenseRetriever([f"d{at}" for at in range(150)], [str(one) for one in angles], Angles())
    part = Component("dense", many, feedback=True)
    plain, smooth = (FusedRetriever([part], [1.0], smoothing=share).search(["0"], 150)[0] for share in (0.0, 0.5))
    assert len(set(smooth.ids)) == 150
    assert smooth.ids[100:] == plain.ids[100:]
    assert set(smooth.ids[:100]) == set(plain.ids[:100])
    assert list(smooth.scores) == sorted(smooth.scores, reverse=True)


def test_feedback_comes_first_and_then_smoothing() -> None:
    part = Component("dense", DENSE, feedback=True)
    found = FusedRetriever([part], [1.0], feedback=2.0, smoothing=0.5).search(["0"], 5)[0]
    moved = FusedRetriever([part], [1.0], feedback=2.0).search_positions(["0"], 5)
    expected = smoothed(moved, DENSE.vectors, 0.5)
    assert found.scores == pytest.approx(expected.scores[0].tolist())
    assert [int(name[1:]) for name in found.ids] == expected.positions[0].tolist()
    assert found != FusedRetriever([part], [1.0], smoothing=0.5).search(["0"], 5)[0]


def test_neighbors_are_near_by_the_first_dense_retriever_that_has_a_weight() -> None:
    other = DenseRetriever(DENSE.ids, [" ", "10", "-50", "45", "51", "170"], Angles())
    parts = [Component("dense", one, feedback=True) for one in (DENSE, other)]
    for weights, used in ([0.5, 0.5], DENSE), ([0.0, 1.0], other), ([1.0, 0.0], DENSE):
        hits = FusedRetriever(parts, weights).search_positions(["0"], 5)
        found = FusedRetriever(parts, weights, smoothing=0.5).search_positions(["0"], 5)
        assert found.scores == pytest.approx(smoothed(hits, used.vectors, 0.5).scores)


def test_without_vectors_nothing_is_smoothed() -> None:
    part = Component("dense", DENSE)
    one, other = (FusedRetriever([part], [1.0], smoothing=share).search(["0"], 5)[0] for share in (0.0, 0.5))
    assert one == other
