"""A warm start: the nearest compiled program is found, and little is called to make it fit the new documents."""

from __future__ import annotations

import re
from typing import Any

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts import compile_program, evaluate_program, plan_for
from inpars_plus.optimizers.prompts.budget import plan_warm_start
from inpars_plus.optimizers.prompts.pool import pool_for
from inpars_plus.optimizers.prompts.warm_start import starting_points
from inpars_plus.programs import (
    ConstrainedQueryGenerator,
    DocumentAnalyst,
    KeyTerms,
    PassageQueryGenerator,
    QueryGenerator,
    SentenceQueryGenerator,
)
from inpars_plus.signatures import GenerateQueries, SyntheticQuery

BUDGET = 480
FORUM = "Answers from a forum, each followed by the title of the question."


def program_with(instruction: str, *queries: str, key_terms: KeyTerms | None = None) -> QueryGenerator:
    """A program that somebody compiled: an instruction, and demonstrations of other documents."""
    program = QueryGenerator(key_terms=key_terms, prompt_form="document-words-question")
    program.generate.signature = GenerateQueries.with_instructions(instruction)
    program.generate.demos = [
        {"document": f"A lamp of type {number}.", "key_terms": ["lamp"], "queries": [SyntheticQuery(text=query)]}
        for number, query in enumerate(queries)
    ]
    return program


def score(toy: Any, program: Any) -> float:
    judged = evaluate_program(program, toy.test, toy.metric, toy.lm)
    return sum(one.score for one in judged) / len(judged)


@pytest.fixture
def near() -> QueryGenerator:
    return program_with(FORUM, "why do lamps flicker")


@pytest.fixture
def far() -> QueryGenerator:
    return program_with("Sonnets.", "shall I compare lamps")


@pytest.mark.parametrize("first", ["near", "far"])
def test_it_starts_from_the_nearest_program_and_beats_it_on_unseen_documents(
    toy: Any, near: Any, far: Any, first: str
) -> None:
    start = [near, far] if first == "near" else [far, near]
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=start)
    assert compiled.nearest.instruction == FORUM
    assert compiled.settings["nearest"] == f"program {start.index(near) + 1}"
    assert compiled.optimizer == "warm-start"
    assert score(toy, compiled.program) > score(toy, compiled.nearest_program) + 0.1
    assert (compiled.best_pool_program, compiled.best_pool_prompt) == (None, None)
    assert set(compiled.validation) == {"nearest", "after"}


def test_it_needs_less_than_a_third_of_the_budget(toy: Any, near: Any, far: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=[far, near])
    assert compiled.calls == len(toy.engine.prompts) <= compiled.plan.calls <= BUDGET * 0.32


def test_instruction_and_form_stay_and_the_key_terms_are_those_of_the_new_corpus(toy: Any, near: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=[near])
    for program in (compiled.program, compiled.nearest_program):
        assert program.generate.signature.instructions == FORUM
        assert program.prompt_form == "document-words-question"
        assert program.key_terms.state() == toy.student.key_terms.state()
    assert [demo["document"] for demo in compiled.nearest_program.generate.demos] == ["A lamp of type 0."]
    assert near.generate.demos[0]["document"] == "A lamp of type 0."


def test_demonstrations_of_the_nearest_program_labels_of_the_new_type_and_both_are_tried(toy: Any, near: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=[near])
    sets = [trial.demonstrations for trial in compiled.trials if trial.stage == "demonstrations"]
    own = [{name.partition(":")[0] for name in names} - {""} for names in sets]
    kinds = {(("program 1" in names), any(re.fullmatch(r"a\d+", name) for name in names)) for names in own}
    assert kinds == {(True, False), (False, True), (True, True), (False, False)}
    assert own.count({"pool"}) == 2  # under the pool's instruction, and under the nearest program's
    stages = list(dict.fromkeys(trial.stage for trial in compiled.trials))
    assert stages == ["nearest", "harvest", "demonstrations", "final"]


def test_where_all_programs_are_poor_it_goes_on_from_the_examples_of_the_pool(
    toy_with: Any, far: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(number: int, prompt: str) -> str | None:
        return " why do machines break" if "Sonnets." in prompt else None

    toy = toy_with(fault=reply)
    with caplog.at_level("INFO", "inpars_plus"):
        compiled = compile_program(**toy.arguments, budget=BUDGET, start=[far])
    assert "The pool's examples for 'faq-answer' are better there" in caplog.text
    assert compiled.nearest.instruction == "Sonnets."
    assert compiled.chosen.instruction == pool_for("faq-answer").texts[0]
    assert compiled.labels > 0
    assert score(toy, compiled.program) > score(toy, compiled.nearest_program) + 0.1


def test_where_nothing_better_is_written_the_nearest_program_stays_and_a_note_says_so(toy_with: Any, near: Any) -> None:
    toy = toy_with(fault=lambda number, prompt: "")
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=[near])
    assert compiled.chosen.key == compiled.nearest.key
    assert compiled.labels == 0
    assert any("nearest program" in note for note in compiled.notes)


def test_queries_for_train_documents_that_only_the_nearest_program_wrote_do_not_keep_it(
    toy_with: Any, near: Any
) -> None:
    def reply(number: int, prompt: str) -> str:
        """Right for every train document; for others in every other case, and never without labels of the type."""
        shown, _, last = prompt.rpartition("Document:")
        machine, name = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
        right = name.startswith("a") or ("seal" in shown and int(name[1:]) % 2)
        return f" why does the {machine} of {name} lose its seal" if right else " why do machines break"

    compiled = compile_program(**toy_with(fault=reply).arguments, budget=BUDGET, start=[near])
    assert compiled.validation["after"] > compiled.validation["nearest"] + 0.1


def test_the_choice_is_by_all_shared_documents_and_not_by_those_of_the_last_comparison_alone(
    toy_with: Any, near: Any
) -> None:
    def reply(number: int, prompt: str) -> str:
        """The nearest program is right for 6 documents of the first comparison, its rivals for 3 of the last."""
        shown, _, last = prompt.rpartition("Document:")
        machine, name = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
        right = name.startswith("a") or int(name[1:]) in ({57, 58, 59} if "seal" in shown else range(6))
        return f" why does the {machine} of {name} lose its seal" if right else " why do machines break"

    compiled = compile_program(**toy_with(fault=reply).arguments, budget=BUDGET, start=[near])
    assert compiled.plan.demonstrations[0].documents == 6
    final = [trial.score for trial in compiled.trials if trial.stage == "final"]
    assert max(final[1:]) > final[0] == pytest.approx(0.2)
    assert compiled.chosen.key == compiled.nearest.key


def test_a_program_without_demonstrations_is_a_start_too(toy: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET, start=[program_with(FORUM)])
    assert score(toy, compiled.program) > score(toy, compiled.nearest_program) + 0.1


def test_the_same_seed_gives_the_same_program(toy: Any, near: Any, far: Any) -> None:
    first, second = (compile_program(**toy.arguments, budget=BUDGET, start=[near, far], seed=3) for _ in range(2))
    assert first.chosen.key == second.chosen.key
    assert [trial.score for trial in first.trials] == [trial.score for trial in second.trials]


def test_a_program_of_another_kind_is_refused_before_anything_is_spent(toy: Any, near: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"program 2.*a QueryGenerator cannot start from a DocumentAnalyst"):
        compile_program(**toy.arguments, budget=BUDGET, start=[near, DocumentAnalyst(["faq"])])
    assert toy.engine.prompts == []


@pytest.mark.parametrize("kind", [SentenceQueryGenerator, PassageQueryGenerator, ConstrainedQueryGenerator])
def test_a_program_for_documents_is_a_start_for_queries_about_parts_and_with_constraints(
    near: Any, kind: type[QueryGenerator]
) -> None:
    (start,) = starting_points(kind(), [near]).values()
    assert (start.instruction, start.form) == (FORUM, near.prompt_form)
    assert [demo["document"] for demo in start.demonstrations] == ["A lamp of type 0."]
    with pytest.raises(ConfigurationError, match=rf"cannot start from a {kind.__name__}\. .*for whole documents"):
        starting_points(near, [kind.from_program(near)])


def test_a_program_with_another_signature_is_refused_and_told_what_differs(toy: Any, near: Any) -> None:
    near.generate.signature = near.generate.signature.delete("key_terms")
    with pytest.raises(ConfigurationError, match=r"another signature: input 'key_terms'.*missing in the file"):
        compile_program(**toy.arguments, budget=BUDGET, start=[near])
    assert toy.engine.prompts == []


def test_too_many_programs_for_the_budget_are_refused_with_the_number_that_would_do(toy: Any) -> None:
    start = [program_with(f"Sonnets, number {number}.") for number in range(12)]
    with pytest.raises(ConfigurationError, match=r"12 programs are too many .* Name at most 9, or raise the budget"):
        plan_for(toy.student, trainset=toy.train, valset=toy.validation, lm=toy.lm, budget=BUDGET, start=start)


@pytest.mark.parametrize("budget", [120, 150, 280, 800, 1_800, 5_000])
@pytest.mark.parametrize("programs", [1, 2])
@pytest.mark.parametrize(("train", "validation", "calls"), [(4, 4, 1), (240, 160, 1), (60, 20, 3)])
def test_a_plan_never_takes_more_than_its_share(
    budget: int, programs: int, train: int, validation: int, calls: int
) -> None:
    sizes = {"programs": programs, "train": train, "validation": validation, "calls_per_document": calls}
    if budget < 120 * calls:
        with pytest.raises(ConfigurationError, match=r"too small"):
            plan_warm_start(budget, **sizes)
        return
    plan = plan_warm_start(budget, **sizes)
    assert plan.calls <= plan.budget <= budget * 0.32
    first, second = plan.harvest
    assert first.documents + second.documents <= train
    assert min(second.documents, plan.final.documents, *(rung.documents for rung in plan.demonstrations)) >= 0
    assert sum(rung.documents for rung in plan.demonstrations) <= validation


def test_a_prompt_that_two_types_share_is_tried_once(toy: Any, near: Any, far: Any) -> None:
    found = starting_points(toy.student, [near, far, near])
    assert [one.instruction for one in found.values()] == [FORUM, "Sonnets."]
