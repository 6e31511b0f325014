"""A type tries what was compiled for others, on its own validation documents, and takes over only what is better."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation import read_lines
from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.optimizers.prompts.exchange import exchange_programs, plan_exchange
from inpars_plus.optimizers.prompts.harness import shuffled
from inpars_plus.programs import QueryGenerator
from inpars_plus.signatures import GenerateQueries, SyntheticQuery

FORUM = "Answers from a forum, each followed by the title of the question."


def program_with(instruction: str, *queries: str, first: int = 1) -> QueryGenerator:
    """A program that was compiled for other documents."""
    program = QueryGenerator(prompt_form="document-words-query")
    program.generate.signature = GenerateQueries.with_instructions(instruction)
    program.generate.demos = [
        {"document": f"A lamp of type {number}.", "key_terms": ["lamp"], "queries": [SyntheticQuery(text=query)]}
        for number, query in enumerate(queries, first)
    ]
    return program


GOOD = program_with(FORUM, "why does a seal crack", "which seal fits the pump")
FAIR = program_with(FORUM)
ALSO_FAIR = program_with(FORUM, "how do lamps work", first=7)
POOR = program_with("Sonnets.")


def exchanged(toy: Any, own: QueryGenerator, others: dict[str, QueryGenerator], **settings: Any) -> Any:
    plan = plan_exchange(800, others=len(others), validation=len(toy.validation))
    assert plan is not None
    given = {"valset": toy.validation, "metric": toy.metric, "lm": toy.lm, "plan": plan, "threads": 4} | settings
    return exchange_programs(toy.student, own, others, **given)


@pytest.mark.parametrize("others", [{"news": POOR, "faq": GOOD}, {"faq": GOOD, "news": POOR}, {"faq": GOOD}])
def test_the_best_program_of_another_type_takes_over_a_poorer_own_one(toy: Any, others: dict[str, Any]) -> None:
    found = exchanged(toy, FAIR, others)
    assert (found.taken, found.best, found.documents) == ("faq", "faq", 60)
    assert found.best_score > found.own_score
    assert found.chosen.instruction == FORUM
    assert len(found.chosen.demonstrations) == 2


def test_an_own_program_that_is_better_stays(toy: Any) -> None:
    found = exchanged(toy, GOOD, {"faq": FAIR})
    assert (found.taken, found.best) == (None, "faq")
    assert found.own_score > found.best_score
    assert len(found.chosen.demonstrations) == 2


def test_a_tie_leaves_a_type_its_own(toy_with: Any) -> None:
    found = exchanged(toy_with(fault=lambda number, prompt: " why do machines break down"), FAIR, {"faq": GOOD})
    assert found.own_score == found.best_score
    assert found.taken is None


def test_the_same_prompt_is_not_compared_with_itself(toy: Any) -> None:
    found = exchanged(toy, GOOD, {"faq": GOOD})
    assert (found.taken, found.best, found.calls) == (None, None, 0)
    both = exchanged(toy, FAIR, {"faq": GOOD, "news": GOOD})
    assert both.taken == "faq"
    assert both.calls <= 2 * 60


def test_no_more_is_called_than_planned_and_the_student_is_left_as_it_was(toy: Any) -> None:
    before = toy.student.dump_state()
    plan = plan_exchange(800, others=2, validation=len(toy.validation))
    found = exchanged(toy, FAIR, {"faq": GOOD, "news": POOR})
    assert plan is not None
    assert found.calls == len(toy.engine.prompts) <= plan.calls
    assert toy.student.dump_state() == before


def test_both_are_scored_on_validation_documents_alone_and_each_trial_is_told(toy: Any, tmp_path: Path) -> None:
    found = exchanged(toy, ALSO_FAIR, {"faq": GOOD, "news": POOR}, directory=tmp_path)
    trials = [line for _, line in read_lines(tmp_path / "trials.jsonl")]
    assert {one["stage"] for one in trials} == {"exchange"}
    assert [one["documents"] for one in trials] == [15, 15, 60, 60, 60]
    assert trials[0]["demonstrations"] == ["faq:1", "faq:2"]
    assert "?" not in {name for one in trials for name in one["demonstrations"]}
    assert trials[-1]["score"] == pytest.approx(found.own_score, abs=1e-4)
    shown = [prompt.rpartition("Document:")[2] for prompt in toy.engine.prompts]
    assert all(" of unit b" in one for one in shown)


def test_the_documents_that_a_compile_ends_on_come_first(toy: Any) -> None:
    plan = plan_exchange(200, others=1, validation=60)
    assert plan is not None
    assert plan.documents == 30
    exchanged(toy, FAIR, {"faq": GOOD}, plan=plan, seed=5)
    shown = {name for prompt in toy.engine.prompts for name in re.findall(r" of unit (b\d+)", prompt)}
    assert shown == {example.source.id for example in shuffled(toy.validation, 5)[-30:]}


def test_the_same_seed_gives_the_same_whatever_the_threads_do(toy: Any) -> None:
    one, two = (exchanged(toy, FAIR, {"faq": GOOD, "news": POOR}, threads=threads) for threads in (1, 8))
    assert (one.own_score, one.best_score, one.taken) == (two.own_score, two.best_score, two.taken)


def test_a_dead_server_ends_it_and_is_no_verdict(toy_with: Any) -> None:
    def refuse(number: int, prompt: str) -> str:
        raise ConnectionError("refused")

    with pytest.raises(DeadModelError):
        exchanged(toy_with(fault=refuse), FAIR, {"faq": GOOD})


@pytest.mark.parametrize(
    ("budget", "others", "validation", "queries", "documents"),
    [
        (800, 3, 160, 1, 96),
        (800, 1, 160, 1, 120),
        (800, 3, 40, 1, 40),
        (800, 3, 160, 2, 48),
        (150, 1, 60, 1, 22),
        (800, 25, 160, 1, 30),
        (800, 33, 160, 1, 24),
        (800, 3, 9, 1, 9),
    ],
)
def test_the_plan_keeps_to_its_share_of_the_budget(
    budget: int, others: int, validation: int, queries: int, documents: int
) -> None:
    plan = plan_exchange(budget, others=others, validation=validation, calls_per_document=queries)
    assert plan is not None
    assert plan.documents == plan.first.documents + plan.rest.documents == documents
    assert plan.calls <= 0.3 * budget
    assert plan.first.documents >= 6


@pytest.mark.parametrize(("budget", "others", "validation"), [(800, 0, 160), (40, 1, 160), (800, 3, 7), (800, 40, 160)])
def test_there_is_no_plan_for_too_little(budget: int, others: int, validation: int) -> None:
    assert plan_exchange(budget, others=others, validation=validation) is None
