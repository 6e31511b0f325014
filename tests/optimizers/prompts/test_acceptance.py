"""When a revision is accepted: what the test asks for, and how often it is right, on scores that are given."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inpars_plus.optimizers.prompts.adaptation import (
    SIGNIFICANCE,
    Adaptation,
    AdaptationSchedule,
    adapt_instruction,
)
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.proposers import PoolTexts


class _Drawn:
    """A bench whose scores are drawn: as good under every revision as the gain says, and half as scattered alike."""

    def __init__(self, gain: float, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._gain = gain
        self._ease = self._generator.random(64)
        self.log = SimpleNamespace(scores={}, record=lambda *given, **named: None)

    def _scores(self, chance: float) -> list[float]:
        luck = (self._ease + self._generator.random(64)) / 2
        return [float(one) for one in np.where(luck < np.quantile(luck, chance), 0.9, 0.05)]

    def score(self, candidates: list[Candidate], examples: Sequence[Any]) -> None:
        self.log.scores[candidates[0].key] = dict(enumerate(self._scores(0.3)))

    def attempt(self, work: Sequence[tuple[Candidate, Sequence[Any]]]) -> list[list[Any]]:
        ((_, examples),) = work
        if examples[0].source.id == 0:
            self._drawn = self._scores(0.3 + self._gain)
        return [[SimpleNamespace(score=self._drawn[example.source.id]) for example in examples]]


class _Fixed:
    """A bench on which each instruction has its scores, one a document."""

    def __init__(self, scores: dict[str, list[float]]) -> None:
        self._given = scores
        self.log = SimpleNamespace(scores={}, record=lambda *given, **named: None)

    def score(self, candidates: list[Candidate], examples: Sequence[Any]) -> None:
        (one,) = candidates
        self.log.scores[one.key] = {
            example.source.id: self._given[one.instruction][example.source.id] for example in examples
        }

    def attempt(self, work: Sequence[tuple[Candidate, Sequence[Any]]]) -> list[list[Any]]:
        ((one, examples),) = work
        return [[SimpleNamespace(score=self._given[one.instruction][example.source.id]) for example in examples]]


def decided(scores: dict[str, list[float]], *, tries: int, seed: int = 0) -> Adaptation:
    """What becomes of the later instructions, offered in their order as revisions of the first."""
    first, *revisions = scores
    examples: Any = [SimpleNamespace(source=SimpleNamespace(id=number)) for number in range(len(scores[first]))]
    schedule = AdaptationSchedule(len(examples), first_look=2, diagnosis=0, tries=tries)
    bench: Any = _Fixed(scores)
    sets: Any = {"train": examples, "validation": examples, "calls": 10_000}
    return adapt_instruction(bench, Candidate(first), PoolTexts(revisions), schedule, seed=seed, **sets)


def accepted_of(gain: float, searches: int) -> int:
    """In how many of so many searches any of four revisions was accepted."""
    schedule = AdaptationSchedule(validation=64, first_look=21, diagnosis=0, tries=4)
    examples: Any = [SimpleNamespace(source=SimpleNamespace(id=number)) for number in range(64)]
    sets: Any = {"train": examples, "validation": examples, "calls": 10_000}
    found = 0
    for seed in range(searches):
        bench: Any = _Drawn(gain, seed)
        texts = PoolTexts(["Revision one.", "Revision two.", "Revision three.", "Revision four."])
        tries = adapt_instruction(bench, Candidate("First."), texts, schedule, seed=seed, **sets).tries
        found += any(one.accepted for one in tries)
    return found


def test_useless_revisions_seldom_get_in_and_a_real_gain_mostly_does() -> None:
    assert accepted_of(0.0, 60) <= 6
    assert accepted_of(-0.1, 40) == 0
    assert accepted_of(0.25, 40) >= 34


@pytest.mark.parametrize("calls", [15, 21, 50, 143, 323, 2_000])
@pytest.mark.parametrize("reads", [True, False])
def test_a_schedule_fits_and_the_level_is_shared_by_its_tries(calls: int, reads: bool) -> None:
    schedule = AdaptationSchedule.within(calls, train=200, validation=120, reads=reads)
    assert schedule.first_look < schedule.validation <= 64
    assert schedule.level >= 2.0**-schedule.validation
    assert 1 <= schedule.tries <= 8
    assert schedule.level * schedule.tries == pytest.approx(SIGNIFICANCE)
    assert (schedule.diagnosis > 0) == reads
    if calls >= 143:
        assert schedule.validation >= 47
        assert schedule.tries >= 2


@pytest.mark.parametrize(("documents", "tries"), [(4, 0), (5, 1), (6, 3), (7, 6), (64, 8)])
def test_no_more_is_tried_than_so_many_documents_can_accept(documents: int, tries: int) -> None:
    assert AdaptationSchedule.within(10_000, train=200, validation=documents, reads=True).tries == tries


@pytest.mark.parametrize("documents", [5, 6, 7, 8])
def test_a_revision_that_wins_on_every_document_is_accepted_whatever_the_seed(documents: int) -> None:
    tries = AdaptationSchedule.within(10_000, train=0, validation=documents, reads=False).tries
    for seed in range(40):
        found = decided({"First.": [0.1] * documents, "Revision.": [0.9] * documents}, tries=tries, seed=seed)
        assert found.chosen.instruction == "Revision."


@pytest.mark.parametrize(("tries", "accepted"), [(1, True), (4, False)])
def test_the_bound_is_one_sided_and_shared_by_the_tries(tries: int, accepted: bool) -> None:
    # One-sided p is 9 / 256 = .035, two-sided .07: of 256 flips these and those with the one loss elsewhere.
    found = decided({"First.": [0.4] * 8, "Revision.": [0.8] * 7 + [0.0]}, tries=tries)
    assert found.tries[0].accepted is accepted
    assert "p 0.0352" in found.tries[0].reason


def test_after_an_acceptance_the_next_revision_is_compared_with_the_accepted_one() -> None:
    found = decided({"First.": [0.1] * 12, "Good.": [0.9] * 12, "Less good.": [0.5] * 12}, tries=2)
    assert [(one.accepted, one.difference) for one in found.tries] == [
        (True, pytest.approx(0.8)),
        (False, pytest.approx(-0.4)),
    ]
    assert found.chosen.instruction == "Good."
