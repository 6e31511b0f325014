"""The first document found moves the query, and what is like it moves up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.retrieval.bm25 import Bm25Retriever
from inpars_plus.retrieval.dense import DenseRetriever
from inpars_plus.retrieval.fusion import Component, FusedRetriever

VECTORS = {
    "first red": (1.0, 0.0, 0.0),
    "second green": (0.8, 0.6, 0.0),
    "third blue": (0.7, 0.0, 0.714),
    "fourth grey": (0.0, 0.6, 0.8),
    "red": (0.9, 0.1, 0.42),
}
TEXTS = ["first red", "second green", "third blue", "fourth grey", " "]
IDS = ["1", "2", "3", "4", "blank"]


class Given:
    """Vectors that are written down."""

    digest = "given"

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        rows = np.array([VECTORS[text] for text in texts], dtype=np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def dense() -> DenseRetriever:
    return DenseRetriever(IDS, TEXTS, Given())


def test_a_query_is_moved_by_a_share_of_the_document(dense: DenseRetriever) -> None:
    query, document = Given().encode(["red", "second green"])
    moved = query + 0.5 * document
    moved /= np.linalg.norm(moved)
    hits = dense.search_near(["red"], [1], 0.5, 4)
    cosines = Given().encode(TEXTS[:4]) @ moved
    order = np.argsort(-cosines)
    assert hits.positions[0].tolist() == order.tolist()
    assert hits.scores[0] == pytest.approx(cosines[order], abs=1e-5)


@pytest.mark.parametrize("near", [-1, 4])
def test_no_document_and_a_blank_one_move_nothing(dense: DenseRetriever, near: int) -> None:
    plain = dense.search_positions(["red"], 4)
    hits = dense.search_near(["red"], [near], 0.5, 4)
    assert hits.positions.tolist() == plain.positions.tolist()
    assert hits.scores == pytest.approx(plain.scores, abs=1e-5)


def test_what_is_like_the_first_of_the_sum_moves_up(dense: DenseRetriever) -> None:
    parts = [Component("bm25", Bm25Retriever(IDS, TEXTS), floor=0.0), Component("dense", dense, feedback=True)]
    plain = FusedRetriever(parts, [0.5, 0.5]).search(["red"], 4)[0]
    moved = FusedRetriever(parts, [0.5, 0.5], feedback=2.0).search(["red"], 4)[0]
    assert plain.ids[:3] == ("1", "3", "2")
    assert moved.ids[:3] == ("1", "2", "3")


def test_components_that_do_not_take_it_are_asked_once(dense: DenseRetriever) -> None:
    parts = [Component("dense", dense)]
    one, other = (FusedRetriever(parts, [1.0], feedback=share).search(["red"], 4)[0] for share in (0.0, 2.0))
    assert one == other


def test_a_moved_query_alone_finds_as_many_as_are_asked_for() -> None:
    ids, texts = [f"d{number}" for number in range(150)], [list(VECTORS)[number % 4] for number in range(150)]
    many = Component("dense", DenseRetriever(ids, texts, Given()), feedback=True)
    found = FusedRetriever([many], [1.0], feedback=2.0).search(["red"], 150)[0]
    assert len(set(found.ids)) == 150
    assert found.ids[:10] == FusedRetriever([many], [1.0], feedback=2.0).search(["red"], 10)[0].ids
