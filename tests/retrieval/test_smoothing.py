"""A document's score is a mean with those of its nearest neighbors, so that what stands among good answers moves up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.fusion import Component, FusedRetriever
from inpars_plus.retrieval.indexed import Hits
from inpars_plus.retrieval.smoothing import SMOOTHED, smoothed


def _at(angles: Sequence[float]) -> npt.NDArray[np.float32]:
    """Vectors of length 1 at these angles, in degrees."""
    turned = np.radians(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def _hits(scores: Sequence[float]) -> Hits:
    return Hits(np.arange(len(scores))[None, :], np.array([scores], dtype=np.float64))


def test_each_score_is_a_mean_weighted_by_the_fourth_power_of_cosines() -> None:
    angles, scores = [0, 30, 80], [1.0, 0.5, 0.25]
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 0.5)
    expected = []
    for own, one in enumerate(angles):
        weights = [1.0 if at == own else 0.5 * np.cos(np.radians(other - one)) ** 4 for at, other in enumerate(angles)]
        expected.append(np.dot(weights, scores) / sum(weights))
    assert found.positions[0].tolist() == [0, 1, 2]
    assert found.scores[0] == pytest.approx(expected, abs=1e-4)


def test_what_stands_beside_a_good_answer_passes_what_stands_alone() -> None:
    found = smoothed(_hits([1.0, 0.6, 0.5]), lambda at: _at([0, 90, 5])[at], 0.5)
    assert found.positions[0].tolist() == [0, 2, 1]


def test_a_document_without_a_near_neighbor_and_an_empty_one_keep_their_scores() -> None:
    vectors = np.concatenate([_at([0, 90]), np.zeros((1, 2), dtype=np.float32)])
    found = smoothed(_hits([1.0, 0.5, 0.25]), lambda at: vectors[at], 0.5)
    assert found.scores[0].tolist() == [1.0, 0.5, 0.25]


def test_only_the_five_nearest_count() -> None:
    # Seven at one place: the sixth neighbor of the first, which stands a little off, is none of its nearest.
    angles, scores = [0, 0, 0, 0, 0, 0, 20], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 0.5)
    assert found.scores[0][:6].tolist() == [1.0] * 6
    assert 0 < found.scores[0][6] < 1


def test_documents_behind_the_first_hundred_stay_behind_them_in_their_order() -> None:
    scores = np.linspace(1.0, 0.5, SMOOTHED + 3).tolist()
    angles = [0.0] * (SMOOTHED - 1) + [90.0] + [0.0] * 3
    found = smoothed(_hits(scores), lambda at: _at(angles)[at], 5.0)
    assert found.positions[0, SMOOTHED:].tolist() == [SMOOTHED, SMOOTHED + 1, SMOOTHED + 2]
    assert (np.diff(found.scores[0]) <= 0).all()


def test_equal_scores_stand_in_the_order_of_the_corpus_and_gaps_stay_at_the_end() -> None:
    hits = Hits(np.array([[7, 2, -1], [3, -1, -1], [-1, -1, -1]]), np.array([[1.0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]))
    found = smoothed(hits, lambda at: _at([0.0] * len(at)), 0.5)
    assert found.positions.tolist() == [[2, 7, -1], [3, -1, -1], [-1, -1, -1]]
    assert found.scores.tolist() == [[1.0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]


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


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_sum_is_smoothed_the_same_way_whatever_k_is(k: int) -> None:
    part = Component("dense", DENSE, feedback=True)
    plain, smooth = (FusedRetriever([part], [1.0], smoothing=share).search(["0"], 5)[0] for share in (0.0, 0.5))
    assert plain.ids == ("d1", "d2", "d3", "d4", "d5")
    assert smooth.ids == ("d1", "d2", "d4", "d3", "d5")
    assert FusedRetriever([part], [1.0], smoothing=0.5).search(["0"], k)[0].ids == smooth.ids[:k]


def test_without_vectors_nothing_is_smoothed() -> None:
    part = Component("dense", DENSE)
    one, other = (FusedRetriever([part], [1.0], smoothing=share).search(["0"], 5)[0] for share in (0.0, 0.5))
    assert one == other
