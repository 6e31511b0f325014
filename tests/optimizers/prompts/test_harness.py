from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import TransportError

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, SpendingCapError
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.prompts import OPTIMIZERS, compile_program, evaluate_program, plan_for

BUDGET = 280
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)

# Where something goes wrong: before the optimizer proper, which is the same for all, and inside each of them.
EARLY = [("miprov2", 40), ("miprov2", 110)]
everywhere = pytest.mark.parametrize(("optimizer", "at"), [*EARLY, *((name, None) for name in OPTIMIZERS)])


def call_number(toy: Any, at: int | None) -> int:
    """A call in the middle of the optimizer proper, unless a number is given."""
    if at is not None:
        return at
    plan = plan_for(toy.student, trainset=toy.train, valset=toy.validation, lm=toy.lm, budget=BUDGET)
    return plan.preflight + sum(rung.asks for rung in (*plan.pool, *plan.harvest, *plan.demonstrations)) + 6


@pytest.mark.slow
@every_optimizer
def test_the_compiled_program_beats_the_uncompiled_one_and_the_best_pool_prompt_on_unseen_documents(
    toy: Any, optimizer: str
) -> None:
    # A dozen validation documents prove no revision better, so adaptation gets more.
    compiled = compile_program(**toy.arguments, optimizer=optimizer, budget=600 if optimizer == "adapt" else BUDGET)
    before, best_pool, after = (
        sum(judged.score for judged in evaluate_program(program, toy.test, toy.metric, toy.lm)) / len(toy.test)
        for program in (toy.student, compiled.best_pool_program, compiled.program)
    )
    assert after > best_pool + 0.1
    assert after > before + 0.2
    assert len(compiled.chosen.demonstrations) >= 2


@pytest.mark.slow
@every_optimizer
def test_no_more_is_called_than_planned_and_all_of_it_is_counted(toy: Any, optimizer: str) -> None:
    compiled = compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert compiled.calls == len(toy.engine.prompts) <= compiled.plan.calls <= BUDGET


@pytest.mark.slow
@every_optimizer
def test_the_same_seed_gives_the_same_program_whatever_the_threads_do(
    toy_with: Callable[..., Any], optimizer: str
) -> None:
    first, second = toy_with(), toy_with()
    one = compile_program(**{**first.arguments, "threads": 1}, optimizer=optimizer, budget=BUDGET, seed=0)
    two = compile_program(**{**second.arguments, "threads": 8}, optimizer=optimizer, budget=BUDGET, seed=0)
    assert one.chosen.key == two.chosen.key
    assert sorted(first.engine.prompts) == sorted(second.engine.prompts)
    assert [trial.score for trial in one.trials] == [trial.score for trial in two.trials]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["miprov2", "bootstrap-random-search", "gepa"])
def test_another_seed_searches_elsewhere(toy: Any, optimizer: str) -> None:
    zero, one = (compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET, seed=seed) for seed in (0, 1))
    assert [trial.demonstrations for trial in zero.trials] != [trial.demonstrations for trial in one.trials]


def test_the_student_is_left_as_it_was(toy: Any) -> None:
    before = json.dumps(toy.student.dump_state(), default=str)
    compiled = compile_program(**toy.arguments, budget=BUDGET)
    assert json.dumps(toy.student.dump_state(), default=str) == before
    assert compiled.program.attempts == toy.student.attempts


def test_demonstrations_hold_the_fields_of_the_signature_and_nothing_else(toy: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET)
    fields = set(compiled.program.generate.signature.fields)
    assert compiled.program.generate.demos
    assert all(set(demo.keys()) <= fields for demo in compiled.program.generate.demos)


def test_demonstrations_come_from_train_documents_and_the_pool_only(toy: Any) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET)
    shown = {name for trial in compiled.trials for name in trial.demonstrations}
    invented = {name for name in shown if name.startswith("pool:")}
    assert invented == {"pool:1", "pool:2", "pool:3", "pool:4"}
    assert shown - invented
    assert shown - invented <= {example.source.id for example in toy.train}


@pytest.mark.slow
@pytest.mark.parametrize("warm", [False, True])
def test_queries_of_people_are_tried_as_demonstrations_even_where_the_metric_dislikes_them(
    toy: Any, warm: bool
) -> None:
    start = [compile_program(**toy.arguments, budget=BUDGET).program] if warm else []
    words = "what who where which whose whom".split()
    human = [(example, f"{word} do people ask of") for word, example in zip(words, toy.train, strict=False)]
    found = compile_program(**toy.arguments, budget=BUDGET, human=human, start=start)
    asked = {example.source.id for example, _ in human}
    tried = [set(trial.demonstrations) for trial in found.trials if trial.stage == "demonstrations"]
    assert any(shown and shown <= asked for shown in tried)
    assert any("do people ask of" in prompt for prompt in toy.engine.prompts)


def test_the_trial_log_has_a_line_a_trial_and_a_best_score_that_never_falls_for_the_same_documents(
    toy: Any, tmp_path: Path
) -> None:
    compiled = compile_program(**toy.arguments, budget=BUDGET, directory=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(compiled.trials) + 1))
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["pool", "harvest 1", "demonstrations", "harvest 2", "optimizer", "final"]
    final = [line["best"] for line in lines if line["stage"] == "final"]
    assert final == sorted(final)
    assert lines[-1]["calls"] == compiled.calls


@pytest.mark.slow
def test_a_second_run_writes_the_log_anew(toy: Any, tmp_path: Path) -> None:
    for _ in range(2):
        compiled = compile_program(**toy.arguments, budget=BUDGET, directory=tmp_path)
    assert len((tmp_path / "trials.jsonl").read_text().splitlines()) == len(compiled.trials)


@every_optimizer
def test_nothing_is_printed(toy: Any, optimizer: str, capfd: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith(("dspy", "gepa", "optuna"))]


def test_dspys_settings_are_left_alone(toy: Any) -> None:
    before = dict(dspy.settings.config)
    compile_program(**toy.arguments, budget=BUDGET)
    assert dict(dspy.settings.config) == before


def test_a_dead_server_is_noticed_before_anything_is_spent(toy_with: Callable[..., Any]) -> None:
    def refuse(number: int, prompt: str) -> str:
        raise TransportError("connection refused")

    toy = toy_with(fault=refuse)
    with pytest.raises(DeadModelError, match=r"embedded@00000000.*connection refused"):
        compile_program(**toy.arguments, budget=BUDGET)
    assert len(toy.engine.prompts) == 2


@everywhere
def test_a_server_that_dies_on_the_way_ends_the_compile_within_a_few_dozen_calls(
    toy_with: Callable[..., Any], optimizer: str, at: int | None
) -> None:
    dies_at = call_number(toy_with(), at)

    def die(number: int, prompt: str) -> str | None:
        if number >= dies_at:
            raise TransportError("connection reset")
        return None

    toy = toy_with(fault=die)
    with pytest.raises(DeadModelError, match="of the last 20 calls"):
        compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert len(toy.engine.prompts) < dies_at + 40


@every_optimizer
def test_thirty_percent_garbage_is_data_and_the_compile_still_helps(
    toy_with: Callable[..., Any], optimizer: str
) -> None:
    garbage = ("", "\n\n", "[[ ## queries", '{"queries": ', "the the the the the the", "\ud83d", "as an AI I cannot")
    toy = toy_with(fault=lambda number, prompt: garbage[number % 7] if number % 10 < 3 else None)
    compiled = compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert compiled.validation["after"] > compiled.validation["before"] + 0.1


@pytest.mark.slow
@every_optimizer
def test_some_failed_calls_do_not_end_a_compile(toy_with: Callable[..., Any], optimizer: str) -> None:
    def sometimes(number: int, prompt: str) -> str | None:
        if number > 10 and number % 7 == 0:
            raise TransportError("connection reset")
        return None

    compiled = compile_program(**toy_with(fault=sometimes).arguments, optimizer=optimizer, budget=BUDGET)
    assert compiled.validation["after"] > compiled.validation["before"]


@pytest.mark.slow
@everywhere
def test_a_spending_cap_surfaces_by_its_own_name_and_nothing_is_called_after_it(
    toy_with: Callable[..., Any], optimizer: str, at: int | None
) -> None:
    reached: list[int] = []
    cap = call_number(toy_with(), at)

    def cap_at(number: int, prompt: str) -> str | None:
        if number > cap:
            reached.append(number)
            raise SpendingCapError("The cap of 1 US dollar is reached")
        return None

    toy = toy_with(fault=cap_at)
    with pytest.raises(SpendingCapError, match="1 US dollar"):
        compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert len(reached) <= toy.arguments["threads"]


@everywhere
def test_a_metric_that_fails_ends_the_compile_with_its_own_error(toy: Any, optimizer: str, at: int | None) -> None:
    fails_at = call_number(toy, at)

    class Broken(type(toy.metric)):  # type: ignore[misc]
        def _one(self, document: Any, query: Any) -> Any:
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen > fails_at:
                raise OSError("the search engine is gone")
            return super()._one(document, query)

    with pytest.raises(OSError, match="the search engine is gone"):
        compile_program(**{**toy.arguments, "metric": Broken()}, optimizer=optimizer, budget=BUDGET)


def test_a_metric_that_contradicts_itself_is_noticed_at_once(toy: Any) -> None:
    class Contradicting(type(toy.metric)):  # type: ignore[misc]
        def __call__(self, *arguments: Any, **named: Any) -> float:
            return 0.9

    with pytest.raises(ConfigurationError, match=r"0\.900"):
        compile_program(**{**toy.arguments, "metric": Contradicting()}, budget=BUDGET)


def test_a_metric_out_of_range_is_noticed_at_once(toy: Any) -> None:
    class Percent(type(toy.metric)):  # type: ignore[misc]
        def __call__(self, *arguments: Any, **named: Any) -> float:
            return 90.0

    with pytest.raises(ConfigurationError, match=r"from 0 to 1, not 90\.0"):
        compile_program(**{**toy.arguments, "metric": Percent()}, budget=BUDGET)


@pytest.mark.parametrize("warm", [False, True])
def test_a_metric_with_a_fault_is_noticed_before_it_judges_the_queries_of_people(toy: Any, warm: bool) -> None:
    class Faulty(type(toy.metric)):  # type: ignore[misc]
        def judge(self, pairs: Any) -> Any:
            assert not any(query == "typed by people" for _, query in pairs)
            return super().judge(pairs)

        def __call__(self, *_: Any, **__: Any) -> float:
            return 2.0

    start = [compile_program(**toy.arguments, budget=BUDGET).program] if warm else []
    given = {**toy.arguments, "metric": Faulty(), "start": start, "human": [(toy.train[0], "typed by people")]}
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        compile_program(**given, budget=BUDGET)


@pytest.mark.slow
@every_optimizer
def test_a_model_that_never_writes_a_good_query_leaves_the_best_prompt_and_says_so(
    toy_with: Callable[..., Any], optimizer: str
) -> None:
    toy = toy_with(fault=lambda number, prompt: "")
    compiled = compile_program(**toy.arguments, optimizer=optimizer, budget=BUDGET)
    assert compiled.labels == 0
    assert compiled.validation == {"before": 0.0, "best_pool_prompt": 0.0, "after": 0.0}
    assert any("passed every check" in note for note in compiled.notes)


def test_an_unknown_optimizer_is_refused_with_the_names_of_those_there_are(toy: Any) -> None:
    with pytest.raises(ConfigurationError, match="miprov2, bootstrap, bootstrap-random-search, gepa"):
        compile_program(**toy.arguments, optimizer="copro")
    assert not toy.engine.prompts


def test_empty_documents_are_left_out(toy: Any) -> None:
    from inpars_plus.corpora.documents import Document
    from inpars_plus.programs import KeyTerms, example_of

    empty = [example_of(Document(id=f"e{number}"), key_terms=KeyTerms.fit([])) for number in range(40)]
    compiled = compile_program(**{**toy.arguments, "trainset": [*empty, *toy.train]}, budget=BUDGET)
    assert compiled.labels > 0
    assert not {name for trial in compiled.trials for name in trial.demonstrations if name.startswith("e")}


def test_a_prompt_model_writes_the_instructions_when_there_is_one(toy: Any) -> None:
    from inpars_plus.optimizers.prompts.pool_engine import PoolEngine

    written = ("Odd instruction one.", "Odd instruction two.")
    prompt_lm = dspy.LM("openai/prompter", engine=PoolEngine(written, summary="Answers."), cache=False)
    compiled = compile_program(**toy.arguments, prompt_lm=prompt_lm, budget=BUDGET)
    assert set(written) <= {trial.instruction for trial in compiled.trials if trial.stage == "optimizer"}
    assert compiled.settings["prompt_model"] == "openai/prompter"


@pytest.mark.parametrize("optimizer", ["miprov2", "gepa", "adapt"])
def test_a_dead_prompt_model_is_named(toy: Any, toy_with: Callable[..., Any], optimizer: str) -> None:
    def refuse(number: int, prompt: str) -> str:
        raise TransportError("prompter refused")

    engine = toy_with(fault=refuse).engine
    prompt_lm = dspy.LM("openai/prompter", engine=engine, cache=False, num_retries=0)
    with pytest.raises(DeadModelError, match="openai/prompter"):
        compile_program(**toy.arguments, optimizer=optimizer, prompt_lm=prompt_lm, budget=BUDGET)


def chat_of(reply: Callable[[str], str]) -> dspy.LM:
    return scripted_lm(reply, name="chat", chat=True, num_retries=0)


def test_a_model_of_which_nothing_can_be_read_ends_the_compile_after_the_first_stage(toy: Any) -> None:
    lm: Any = chat_of(lambda prompt: "Let me think about that.")
    with pytest.raises(DeadModelError, match=r"none of its \d+ replies .* 'Let me think about .*--max-reply-tokens"):
        compile_program(**{**toy.arguments, "lm": lm}, budget=BUDGET)
    plan = plan_for(toy.student, trainset=toy.train, valset=toy.validation, lm=lm, budget=BUDGET)
    assert len(lm.engine.prompts) == plan.preflight + sum(rung.asks for rung in plan.pool)


@pytest.mark.slow
def test_a_small_model_that_mostly_writes_what_cannot_be_read_is_compiled(toy: Any) -> None:
    good = '[[ ## queries ## ]]\n[{"text": "why does it lose its seal"}]\n\n[[ ## completed ## ]]'
    lm = chat_of(lambda prompt: good if len(prompt) % 10 == 0 else "Sorry?")
    assert compile_program(**{**toy.arguments, "lm": lm}, optimizer="bootstrap", budget=BUDGET).calls > 100


@pytest.mark.slow
def test_a_completion_model_is_never_refused_for_what_it_writes(toy_with: Callable[..., Any]) -> None:
    compiled = compile_program(**toy_with(fault=lambda number, prompt: "").arguments, optimizer="bootstrap", budget=120)
    assert compiled.validation["after"] == 0.0
