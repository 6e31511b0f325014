"""Which query of a document is preferred, and what a preference must never reward."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.optimizers.generators.candidates import ScoredCandidate, opening_of, query_type
from inpars_plus.optimizers.generators.pairs import (
    PairRule,
    PairSettings,
    PreferencePair,
    choose_pairs,
    pair_counts,
    read_pairs,
    threshold_choice,
    write_pairs,
)


def candidate(
    text: str, reward: float, *, document: str = "d", accepted: bool | None = None, origin: str = "model"
) -> ScoredCandidate:
    good = reward >= 0.5 if accepted is None else accepted
    return ScoredCandidate(
        document_id=document, prompt="Query:", text=text, origin=origin, reward=reward, accepted=good
    )


def test_the_better_query_is_chosen_with_its_leading_space() -> None:
    (pair,) = choose_pairs({"d": [candidate("how do cats sleep", 0.9), candidate("cats cats", 0.1)]}, PairSettings())
    assert (pair.chosen, pair.rejected) == (" how do cats sleep", " cats cats")
    assert (pair.chosen_score, pair.rejected_score, pair.document_id, pair.prompt) == (0.9, 0.1, "d", "Query:")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (candidate("how do cats sleep", 0.9), candidate("why do cats sleep", 0.8)),
        (candidate("how do cats sleep", 0.9), candidate("How do cats sleep?", 0.1)),
        (candidate("how do cats sleep", 0.9, accepted=False), candidate("cats", 0.1)),
        (candidate("how do cats sleep", 0.4), candidate("cats", 0.0)),
    ],
    ids=["too small a gap", "the same words", "a check failed", "too low a reward"],
)
def test_no_pair_without_a_clear_preference(good: ScoredCandidate, bad: ScoredCandidate) -> None:
    assert choose_pairs({"d": [good, bad]}, PairSettings()) == []


def test_a_query_that_opens_alike_is_rejected_first() -> None:
    found = [candidate("how do cats sleep", 0.9), candidate("what cats", 0.0), candidate("how cats", 0.2)]
    (pair,) = choose_pairs({"d": found}, PairSettings(per_document=1))
    assert pair.rejected == " how cats"


def test_openings_of_the_chosen_are_balanced() -> None:
    documents = {
        str(number): [
            candidate("what is the role of x", 0.99, document=str(number)),
            candidate("how does x work", 0.8, document=str(number)),
            candidate("does x help", 0.7, document=str(number)),
            candidate("effect of x on y", 0.6, document=str(number)),
            candidate("why is x bad", 0.6, document=str(number)),
            candidate("x", 0.0, document=str(number)),
        ]
        for number in range(100)
    }
    pairs = choose_pairs(documents, PairSettings(per_document=2))
    openings = Counter(opening_of(pair.chosen) for pair in pairs)
    assert len(pairs) == 200
    assert max(openings.values()) <= 0.21 * len(pairs)
    free = choose_pairs(documents, PairSettings(per_document=1, opening_share=1))
    assert {opening_of(pair.chosen) for pair in free} == {"what"}


def test_an_opening_that_is_all_there_is_gets_its_share_and_no_more() -> None:
    documents = {
        str(number): [candidate("what is x", 0.9, document=str(number)), candidate("x", 0.0, document=str(number))]
        for number in range(100)
    }
    assert len(choose_pairs(documents, PairSettings())) <= 8


def test_a_document_gives_so_many_pairs_at_most_and_they_repeat_under_a_seed() -> None:
    found = [candidate(f"{word} is x", 0.9) for word in ("what", "how", "why", "where")] + [candidate("x", 0.0)]
    pairs = choose_pairs({"d": found}, PairSettings(per_document=3), seed=4)
    assert len(pairs) == 3
    assert pairs == choose_pairs({"d": list(reversed(found))}, PairSettings(per_document=3), seed=4)


def test_three_candidates_are_best_against_worst_of_their_origins() -> None:
    three = [
        candidate("what is x", 0.6, origin="human"),
        candidate("how is x", 0.9, origin="teacher"),
        candidate("x", 0.1, origin="student"),
    ]
    (pair,) = choose_pairs({"d": three}, PairSettings(rule="three-candidates"))
    assert (pair.chosen, pair.rejected) == (" how is x", " x")
    middle = [one.model_copy(update={"reward": 0.4 + at / 10}) for at, one in enumerate(three)]
    assert choose_pairs({"d": middle}, PairSettings(rule="three-candidates")) == []


def test_the_tuned_model_is_always_one_of_the_three() -> None:
    others = [candidate(f"what is x{at}", 0.5, origin=f"teacher {at}") for at in range(3)]
    own = [
        candidate("how is x", 0.9, origin="student").model_copy(update={"opening": ""}),
        candidate("why is x", 0.1, origin="student, opening 'why'").model_copy(update={"opening": "why"}),
    ]
    (pair,) = choose_pairs({"d": [*others, *own]}, PairSettings(rule="three-candidates"))
    assert pair.chosen == " how is x"
    (alone,) = choose_pairs({"d": own}, PairSettings(rule="three-candidates"))
    assert (alone.chosen, alone.rejected) == (" how is x", " why is x")


def test_the_threshold_rule_keeps_a_worst_of_at_most_tau_times_the_best() -> None:
    near = [candidate("what is x", 0.9), candidate("how is x", 0.97 * 0.9)]
    far = [candidate("what is x", 0.9), candidate("how is x", 0.9 * 0.9)]
    assert choose_pairs({"d": near}, PairSettings(rule="threshold")) == []
    assert len(choose_pairs({"d": far}, PairSettings(rule="threshold"))) == 1


def test_the_threshold_rule_chooses_as_reinforced_ir_does() -> None:
    query, passage = torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0.8, 0.1, 0.6])
    answers = torch.tensor([[0.9, 0.2, 0.7], [0.1, 0.9, 0.1], [1.0, 0.0, 0.9]])
    baseline = float(query @ passage)

    def scores(answers: torch.Tensor) -> list[float]:
        return [float(score) for score in (0.8 * query + 0.2 * answers) @ passage]

    found = scores(answers)
    assert threshold_choice(found, baseline=baseline, tau=0.95) == (2, 1)
    assert found[2] / baseline == pytest.approx(1.043636, abs=1e-6)
    assert found[1] / baseline == pytest.approx(0.841818, abs=1e-6)
    near = scores(torch.stack([answers[0], 0.97 * answers[0]]))
    assert threshold_choice(near, baseline=baseline, tau=0.95) is None
    assert threshold_choice(near, baseline=baseline, tau=0.98) == (0, 1)


def test_the_threshold_rule_wants_better_than_the_query_alone() -> None:
    assert threshold_choice([0.9, 0.5], baseline=1.0) is None
    assert threshold_choice([1.1, 0.5], baseline=1.0) == (0, 1)
    assert threshold_choice([1.1], baseline=1.0) is None
    assert threshold_choice([1.1, 1.1], baseline=1.0, tau=1.0) is None
    low = [candidate("what is x", 0.5), candidate("x", 0.0)]
    assert choose_pairs({"d": low}, PairSettings(rule="threshold")) == []


@pytest.mark.parametrize("rule", ["threshold", "three-candidates"])
def test_the_published_rules_keep_openings_in_balance_too(rule: PairRule) -> None:
    documents = {
        str(number): [
            candidate("what is the role of x", 0.99, document=str(number), origin="teacher"),
            candidate(f"{('how', 'why', 'when', 'where', 'which')[number % 5]} is x", 0.9, document=str(number)),
            candidate("x", 0.0, document=str(number), origin="human"),
        ]
        for number in range(100)
    }
    openings = Counter(opening_of(pair.chosen) for pair in choose_pairs(documents, PairSettings(rule=rule)))
    assert openings.total() >= 90
    assert openings["what"] <= 0.25 * openings.total()
    free = choose_pairs(documents, PairSettings(rule=rule, opening_share=1))
    assert {opening_of(pair.chosen) for pair in free} == {"what"}


def test_without_guards_a_copy_can_win() -> None:
    found = [candidate("cats sleep for most of the day", 0.9, accepted=False), candidate("cats", 0.0)]
    assert choose_pairs({"d": found}, PairSettings()) == []
    assert len(choose_pairs({"d": found}, PairSettings(guarded=False))) == 1


def test_an_unknown_rule_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no pair rule 'best'.*reward, three-candidates, threshold, random"):
        choose_pairs({}, PairSettings(rule="best"))  # type: ignore[arg-type]


def test_pairs_are_written_as_other_trainers_read_them_and_come_back(tmp_path: Path) -> None:
    pair = PreferencePair(prompt="p", chosen=" a", rejected=" b", chosen_score=0.9, rejected_score=0.1, document_id="1")
    write_pairs(tmp_path / "pairs.jsonl", [pair])
    assert read_pairs(tmp_path / "pairs.jsonl") == [pair]
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "p"}\n')
    with pytest.raises(InputError, match=r"pairs\.jsonl, line 1: this line is no preference pair"):
        read_pairs(tmp_path / "pairs.jsonl")


def test_the_counts_say_how_the_chosen_begin() -> None:
    pairs = choose_pairs({"d": [candidate("how do cats sleep", 0.9), candidate("cats", 0.1)]}, PairSettings())
    counts = pair_counts(pairs)
    assert (counts["pairs"], counts["openings"], counts["types"]) == (1, {"how": 1}, {"how": 1})


@pytest.mark.parametrize(
    ("query", "kind"), [("How so?", "how"), ("does it", "yes-or-no"), ("cat sleep", "phrase"), ("", "phrase")]
)
def test_a_query_is_of_the_kind_that_its_first_word_says(query: str, kind: str) -> None:
    assert query_type(query) == kind
