"""Candidates from a compiled program: one prompt a document, openings in turn, draws that repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.lms import ReplyStore, scripted_lm, usage_of
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.optimizers.generators.candidates import Candidate, ScoredCandidate
from inpars_plus.optimizers.generators.sampling import OPENINGS, SamplePlan, sample_candidates, worthy_openings
from inpars_plus.programs import QueryGenerator

DOCUMENTS = [
    Document(id=str(number), title=f"Case {number}", text="Cats sleep most of the day.") for number in range(6)
]


def test_all_candidates_of_a_document_continue_the_prompt_that_is_served_first() -> None:
    lm = scripted_lm(lambda prompt: " do cats sleep")
    program = QueryGenerator()
    found = sample_candidates(program, DOCUMENTS[:1], lm, SamplePlan(free=2, opened=2, draws=1))
    prompt = program.completion_prompt(DOCUMENTS[0], lm)
    assert {one.prompt for one in found[0]} == {prompt}
    assert [one.text for one in found[0]] == ["do cats sleep", "How do cats sleep", "What do cats sleep"]
    program.set_lm(lm)
    program(source=DOCUMENTS[0])
    assert prompt in lm.engine.prompts[-3:]


def test_openings_take_turns_over_the_documents() -> None:
    plan = SamplePlan(free=0, opened=2, draws=1)
    given = [opening for number in range(len(OPENINGS)) for opening in plan.openings_for(number)]
    assert all(given.count(opening) == 2 for opening in OPENINGS)


def test_a_run_that_is_repeated_asks_nothing_again(tmp_path: Path) -> None:
    plan = SamplePlan(free=2, opened=1, draws=2)
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        lm = scripted_lm(lambda prompt: f" cats {len(prompt)}", store=store)
        first = sample_candidates(QueryGenerator(), DOCUMENTS, lm, plan)
        calls = usage_of(lm).calls
        assert sample_candidates(QueryGenerator(), DOCUMENTS, lm, plan) == first
        assert usage_of(lm).calls == calls == plan.calls * len(DOCUMENTS)


def test_blank_replies_are_left_out_and_a_dead_model_ends_it() -> None:
    lm = scripted_lm(lambda prompt: "  ")
    assert sample_candidates(QueryGenerator(), DOCUMENTS, lm, SamplePlan()) == [[] for _ in DOCUMENTS]
    dead = scripted_lm([" one"])
    with pytest.raises(DeadModelError):
        sample_candidates(QueryGenerator(), DOCUMENTS, dead, SamplePlan(), threads=1)


def test_a_chat_model_and_wrong_plans_are_refused() -> None:
    chat = scripted_lm(lambda prompt: "x", chat=True)
    with pytest.raises(ConfigurationError, match="asked in chat turns"):
        sample_candidates(QueryGenerator(), DOCUMENTS, chat, SamplePlan())
    for wrong in ({"free": 1, "opened": 0}, {"temperature": 0.0}, {"opened": 11}):
        with pytest.raises(ConfigurationError):
            SamplePlan(**wrong)  # type: ignore[arg-type]


def test_rewards_have_the_digits_that_files_show() -> None:
    candidate = Candidate(document_id="d", prompt="p", text="why do cats sleep", origin="m")
    judged = Judged(candidate.text, True, None, 0.12345678, rank=1, copy4=1 / 3, naturalness=-5.0)
    one = ScoredCandidate.of(candidate, judged)
    assert (one.reward, one.copy4) == (0.123457, 0.333333)
    assert ScoredCandidate.of(candidate, judged, 2 / 3).reward == 0.666667


def test_openings_that_a_model_goes_on_from_badly_are_left_out_but_four_are_kept() -> None:
    def scored(opening: str, reward: float) -> ScoredCandidate:
        return ScoredCandidate(
            document_id="d", prompt="p", text=f"{opening} x", origin="m", opening=opening, reward=reward, accepted=True
        )

    openings = ("How", "What", "Does", "Why", "Is", "Can")
    rewards = (0.8, 0.9, 0.7, 0.2, 0.5, 0.1)
    candidates = [scored(*one) for one in zip(openings, rewards, strict=True)] + [scored("", 0.9)]
    assert worthy_openings(candidates, openings) == ("How", "What", "Does", "Is")
    assert worthy_openings(candidates[:1], openings) == ("How", "What", "Does", "Why")
