"""Proposing types: apart in form and in meaning, or one type; and how many there are is found."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.routing import propose_types
from inpars_plus.optimizers.routing.proposing import DEPTH, ProposedTypes


def _world(*groups: tuple[int, float, float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of (documents, place in form, place in meaning), each a normal distribution."""
    generator = np.random.default_rng(seed)
    form, vectors, labels = [], [], []
    for label, (count, shape, meaning) in enumerate(groups):
        form.append(generator.normal(size=(count, 6)) + shape * np.array([1, 1, 0, 0, 0, 0]))
        vectors.append(generator.normal(size=(count, 30)) + meaning * np.eye(30)[label])
        labels += [label] * count
    return np.vstack(form), np.vstack(vectors), np.array(labels)


def _proposed(form: np.ndarray, vectors: np.ndarray, *, seed: int = 0) -> ProposedTypes:
    return propose_types(form, lambda: vectors, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(400, 400, 400), (900, 200, 60)])
def test_groups_that_are_apart_in_form_and_meaning_are_types_whatever_their_sizes(sizes: tuple[int, ...]) -> None:
    places = (0.0, 7.0, -7.0)
    form, vectors, labels = _world(*((size, place, 9.0) for size, place in zip(sizes, places, strict=True)))
    found = _proposed(form, vectors)
    assert found.count == 3
    assert adjusted_rand_score(labels, found.labels) > 0.97
    assert np.bincount(found.labels).tolist() == sorted(np.bincount(found.labels).tolist(), reverse=True)
    assert all(valley.shallower < DEPTH for valley in found.valleys.values())
    assert sorted(found.valleys) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "second", [(400, 0.0, 9.0), (400, 7.0, 0.0), (400, 0.0, 0.0)], ids=["topics", "form alone", "nothing"]
)
def test_what_differs_in_one_alone_is_one_type(second: tuple[int, float, float]) -> None:
    form, vectors, _ = _world((400, 0.0, 9.0 if second[2] else 0.0), second)
    found = _proposed(form, vectors)
    assert found.count == 1
    assert not found.labels.any()
    assert found.valleys == {}


def test_a_long_stretched_group_is_not_cut() -> None:
    generator = np.random.default_rng(0)
    stretch = generator.normal(size=1000)
    form = generator.normal(size=(1000, 6)) + 9.0 * stretch[:, None] * np.array([1, 1, 0, 0, 0, 0])
    vectors = generator.normal(size=(1000, 30)) + 9.0 * stretch[:, None] * np.eye(30)[0]
    assert _proposed(form, vectors).count == 1


def test_a_handful_of_odd_documents_makes_no_type() -> None:
    form, vectors, _ = _world((600, 0.0, 9.0), (5, 40.0, 40.0))
    assert _proposed(form, vectors).count == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_types() -> None:
    form, vectors, _ = _world((300, 0.0, 9.0), (300, 7.0, 9.0))
    first, again = _proposed(form, vectors, seed=3), _proposed(form, vectors, seed=3)
    assert (first.labels == again.labels).all()
    assert first.valleys == again.valleys


@pytest.mark.slow
def test_the_middle_of_a_type_is_central() -> None:
    form, vectors, labels = _world((300, 0.0, 9.0), (300, 7.0, 9.0))
    found = _proposed(form, vectors)
    middle = int(np.argmax(found.centrality))
    distances = np.linalg.norm(form[labels == labels[middle]] - form[labels == labels[middle]].mean(axis=0), axis=1)
    own = np.linalg.norm(form[middle] - form[labels == labels[middle]].mean(axis=0))
    assert own < np.median(distances)


def test_documents_that_are_all_alike_are_one_type() -> None:
    assert _proposed(np.ones((200, 6)), np.ones((200, 30))).count == 1


def test_too_few_documents_are_refused_before_anything_is_encoded() -> None:
    def encode() -> np.ndarray:
        raise AssertionError("encoded")

    with pytest.raises(InputError, match="at least 100 documents that are not empty, and there are 99"):
        propose_types(np.zeros((99, 6)), encode, seed=0)
