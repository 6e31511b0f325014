"""Prompt adaptation: revisions are tried, and only those that are shown to help are kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from dspy.lm15 import TransportError

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.prompts import compile_program
from inpars_plus.optimizers.prompts.adaptation import (
    Adaptation,
    AdaptationPolicy,
    AdaptationSchedule,
    adapt_instruction,
)
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric
from inpars_plus.optimizers.prompts.proposers import InstructionProposer, ModelProposer, PoolTexts
from inpars_plus.optimizers.prompts.trials import TrialLog
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.signatures.diagnose_failures import MeasuredPerformance

# How often a query is good under each instruction; any other gets .2.
CHANCES = {
    "Copy the first sentence.": 0.0,
    "Write the title.": 0.05,
    "Write one word.": 0.0,
    "Translate the text into French.": 0.02,
    "Name the machine and the broken part.": 0.6,
    "Ask why the named part breaks.": 1.0,
    "Ask briefly about the machine.": 0.2,
}
HARMFUL = ("Copy the first sentence.", "Write the title.", "Write one word.", "Translate the text into French.")
GOOD = ("Name the machine and the broken part.", "Ask why the named part breaks.")
DIAGNOSIS = json.dumps({"reasoning": "x", "diagnosis": {"patterns": ["They are vague."], "missed_aspects": []}})


def obedient(prompt: str) -> str:
    """What a model writes that does as it is told: the instruction alone decides how often the query is good."""
    instruction, _, last = prompt.partition("Document:")
    chance = next((share for text, share in CHANCES.items() if text in instruction), 0.2)
    draw = int(hashlib.sha256(f"{last}{instruction}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    machine, name = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
    return f" why does the {machine} of {name} lose its seal" if draw < chance else " why do machines break in plants"


def proposer_of(revisions: Sequence[str | None]) -> tuple[Any, list[str]]:
    """A model that diagnoses and then proposes these revisions, garbage for ``None``; and what it read."""
    left, read = list(revisions), list[str]()

    def reply(prompt: str) -> str:
        read.append(prompt)
        if "`revision`" not in prompt.rpartition("Respond with")[2]:
            return DIAGNOSIS
        text = left.pop(0)
        return "no idea" if text is None else json.dumps({"reasoning": "x", "revision": {"text": text}})

    return scripted_lm(reply, chat=True, name="chat/proposer", num_retries=0), read


def bench_of(toy: Any, reply: Callable[[str], str] = obedient) -> Bench:
    lm = scripted_lm(reply, name="embedded@obedient", num_retries=0)
    watch = Watch(model=str(lm.model))
    log = TrialLog(None, calls=lambda: watch.calls, names={})
    return Bench(one_ask(toy.student), toy.metric, GuardedMetric(toy.metric, watch), lm, 4, watch, log)


def adapted(toy: Any, proposer: InstructionProposer, bench: Bench | None = None, **numbers: Any) -> Adaptation:
    bench = bench or bench_of(toy)
    tries = numbers.pop("tries", 8)
    diagnosis = 8 if isinstance(proposer, ModelProposer) else 0
    schedule = AdaptationSchedule(validation=48, first_look=16, diagnosis=diagnosis, tries=tries)
    start = Candidate.of(bench.student)
    sets = {"train": toy.train, "validation": toy.validation, "calls": 10_000, "seed": 0}
    return adapt_instruction(bench, start, proposer, schedule, **{**sets, **numbers})


def test_every_harmful_revision_is_rejected_and_the_accepted_ones_help_on_unseen_documents(toy: Any) -> None:
    offered = [
        text for pair in zip(HARMFUL, [*GOOD, "Ask briefly about the machine.", GOOD[0]], strict=True) for text in pair
    ]
    lm, _ = proposer_of(offered)
    bench = bench_of(toy)
    found = adapted(toy, ModelProposer(lm), bench)
    assert [one.instruction for one in found.tries] == offered
    assert [one.instruction for one in found.tries if one.accepted] == list(GOOD)
    assert found.chosen.instruction == GOOD[-1]
    before, after = (
        sum(attempt.score for attempt in bench.attempt([(one, toy.test)])[0]) / len(toy.test)
        for one in (Candidate.of(bench.student), found.chosen)
    )
    assert after > before + 0.3


@pytest.mark.parametrize("seed", range(5))
def test_useless_and_harmful_revisions_are_rejected_whatever_the_seed(toy: Any, seed: int) -> None:
    useless = [f"Ask about unit number {seed * 10 + number}." for number in range(4)]
    found = adapted(toy, PoolTexts([*HARMFUL, *useless]), seed=seed)
    assert len(found.tries) == 8
    assert not any(one.accepted for one in found.tries)
    assert found.chosen == Candidate.of(bench_of(toy).student)


def test_every_proposal_stands_in_the_log_with_the_verdict_and_its_reason(toy: Any) -> None:
    lm, _ = proposer_of([HARMFUL[0], GOOD[1], None, HARMFUL[0]])
    bench = bench_of(toy)
    adapted(toy, ModelProposer(lm), bench, tries=4)
    told = [(one.instruction, one.accepted, one.reason) for one in bench.log.trials if one.accepted is not None]
    assert [(text, accepted) for text, accepted, _ in told] == [
        (HARMFUL[0], False),
        (GOOD[1], True),
        ("", False),
        (HARMFUL[0], False),
    ]
    reasons = [reason for _, _, reason in told]
    assert re.fullmatch(r"-0\.\d+ on the first 16 documents", reasons[0])
    assert re.fullmatch(r"\+0\.\d+ on 48 documents, p 0\.0\d+, at most 0\.0125 would do", reasons[1])
    assert reasons[2:] == ["no revision came: unreadable_revision", "it was tried before"]


def test_a_rejected_revision_can_never_be_chosen_for_its_scores(toy: Any) -> None:
    bench = bench_of(toy)
    adapted(toy, PoolTexts(HARMFUL), bench)
    assert {one.instruction for one in bench.log.candidates.values()}.isdisjoint(HARMFUL)


def test_reports_are_measured_on_train_documents_and_revisions_compared_on_validation_documents(toy: Any) -> None:
    seen: dict[str, set[str]] = {}

    def reply(prompt: str) -> str:
        instruction = prompt.partition("Document:")[0].strip()
        seen.setdefault(instruction, set()).update(re.findall(r"of unit ([abc])\d+", prompt.rpartition("Document:")[2]))
        return obedient(prompt)

    lm, _ = proposer_of(HARMFUL)
    bench = bench_of(toy, reply)
    adapted(toy, ModelProposer(lm), bench, tries=4)
    assert {text: seen[text] for text in HARMFUL} == {text: {"b"} for text in HARMFUL}
    assert seen[Candidate.of(bench.student).instruction.strip()] == {"a", "b"}


def test_the_scores_of_a_report_are_told_of_and_count_for_no_choice(toy: Any) -> None:
    lm, _ = proposer_of([HARMFUL[0], GOOD[1], HARMFUL[1]])
    bench = bench_of(toy)
    found = adapted(toy, ModelProposer(lm), bench, tries=3)
    assert [one.documents for one in bench.log.trials if one.accepted is None] == [48, 8, 8, 8]
    compared = {example.source.id for example in toy.validation[:48]}
    for setting in (Candidate.of(bench.student), found.chosen):
        assert bench.log.scores[setting.key].keys() == compared


def test_each_try_reports_on_fresh_train_documents(toy: Any) -> None:
    seen: list[str] = []

    def reply(prompt: str) -> str:
        seen.extend(re.findall(r"of unit (a\d+)", prompt.rpartition("Document:")[2]))
        return obedient(prompt)

    lm, _ = proposer_of(HARMFUL)
    adapted(toy, ModelProposer(lm), bench_of(toy, reply), tries=4)
    assert len(seen) == len(set(seen)) == 4 * 8


def test_a_pool_is_not_measured_for(toy: Any) -> None:
    seen: list[str] = []

    def reply(prompt: str) -> str:
        seen.extend(re.findall(r"of unit ([abc])\d+", prompt.rpartition("Document:")[2]))
        return obedient(prompt)

    adapted(toy, PoolTexts(HARMFUL), bench_of(toy, reply))
    assert set(seen) == {"b"}


def task_of(toy: Any, bench: Bench, **given: Any) -> tuple[Any, list[str]]:
    """What the policy reads of a search without a model that writes, and the notes that it will make."""
    notes: list[str] = []
    shared = {"train": toy.train, "validation": toy.validation, "shown": set(), "seed": 0, "prompt_lm": None}
    student = SimpleNamespace(program=bench.student)
    return SimpleNamespace(**{**shared, "bench": bench, "student": student, "note": notes.append, **given}), notes


@pytest.mark.parametrize("calls", [1, 95, 96, 200, 300])
def test_no_more_is_called_than_allowed_and_nothing_where_no_revision_could_be_compared(toy: Any, calls: int) -> None:
    bench = bench_of(toy)
    found = adapted(toy, PoolTexts([*HARMFUL, *GOOD]), bench, calls=calls)
    assert bench.watch.calls <= calls
    assert (bench.watch.calls > 0) == bool(found.tries) == (calls >= 48 + 48)
    # It ends when another whole comparison would not fit, or when there is nothing left to try.
    assert not found.tries or len(found.tries) == 6 or bench.watch.calls + 48 > calls


@pytest.mark.parametrize(
    ("calls", "documents", "told"),
    [
        (90, 60, "the pool has no other instruction"),
        (7, 60, "60 validation documents and 7 calls are too few to show that one helps"),
        (90, 4, "4 validation documents and 90 calls are too few to show that one helps"),
    ],
)
def test_a_note_says_whether_the_pool_or_documents_and_calls_did_not_suffice(
    toy: Any, calls: int, documents: int, told: str
) -> None:
    task, notes = task_of(toy, bench_of(toy), calls=calls, validation=toy.validation[:documents], instructions=[])
    assert AdaptationPolicy().search(task) == []
    assert notes == [f"No revision was tried: {told}"]


def test_documents_that_the_setting_was_chosen_on_come_last(toy: Any) -> None:
    seen: set[str] = set()

    def reply(prompt: str) -> str:
        if HARMFUL[0] in prompt:
            seen.update(re.findall(r"of unit (b\d+)", prompt.rpartition("Document:")[2]))
        return obedient(prompt)

    bench = bench_of(toy, reply)
    bench.score([Candidate.of(bench.student)], toy.validation[:20])
    task, _ = task_of(toy, bench, calls=90, instructions=[HARMFUL[0]])
    assert AdaptationPolicy().search(task) == []
    assert seen == {example.source.id for example in toy.validation[20:30]}


def test_where_no_revision_could_be_accepted_nothing_is_spent_and_a_note_says_so(toy: Any) -> None:
    lm, read = proposer_of(GOOD)
    few = {**toy.arguments, "valset": toy.validation[:4]}
    compiled = compile_program(**few, optimizer="adapt", prompt_lm=lm, budget=600)
    assert read == []
    assert "optimizer" not in {trial.stage for trial in compiled.trials}
    assert any("No revision was tried: 4 validation documents" in note for note in compiled.notes)


def test_a_report_counts_no_document_twice(toy: Any) -> None:
    lm, _ = proposer_of([HARMFUL[0]])
    bench = bench_of(toy)
    adapted(toy, ModelProposer(lm), bench, tries=1, train=toy.train[:3])
    (trial,) = [one for one in bench.log.trials if one.accepted is None and one.documents != 48]
    assert trial.documents == 3
    assert bench.watch.calls - bench.watch.prompt_calls == 48 + 16 + 3
    assert AdaptationSchedule.within(10_000, train=3, validation=64, reads=True).diagnosis == 3


def test_a_report_tells_of_every_query_that_was_asked_for(toy: Any) -> None:
    asked = iter(range(1, 1000))

    def reply(prompt: str) -> str:
        machine, name = re.search(r"The (\w+) of unit (\w+)", prompt.rpartition("Document:")[2]).groups()  # type: ignore[union-attr]
        return f" how does the seal of {machine} {name} break" if next(asked) % 3 == 1 else " why do machines break"

    reports: list[MeasuredPerformance] = []

    class Reader:
        def propose(self, current: str, report: Callable[[], MeasuredPerformance]) -> None:
            reports.append(report())

    documents = [example.copy(number_of_queries=3) for example in toy.train[:2]]
    schedule = AdaptationSchedule(validation=3, first_look=2, diagnosis=2, tries=1)
    bench = replace(bench_of(toy, reply), threads=1)
    start = Candidate.of(bench.student)
    sets: Any = {"train": documents, "validation": toy.validation[:3], "calls": 10_000, "seed": 0}
    adapt_instruction(bench, start, Reader(), schedule, **sets)
    (told,) = reports
    # Of each document one query is good, one is not, and one the program itself turns down for repeating that.
    assert (told.documents, told.written, told.precision) == (2, 6, pytest.approx(2 / 6))
    assert sorted(told.reasons.values()) == [2, 2]
    assert len(told.failed) == 4


def test_a_document_that_the_prompt_shows_is_in_no_report_and_not_counted_for_one(toy: Any) -> None:
    settings, documents = AdaptationPolicy().settings, toy.train[:6]
    task: Any = SimpleNamespace(
        calls=400, train=documents, validation=toy.validation, shown={"a0", "a1"}, prompt_lm=proposer_of([])[0]
    )
    assert settings(task)["diagnosis_documents"] == 4
    task.shown = {example.source.id for example in documents}
    assert settings(task)["diagnosis_documents"] == 6


def test_a_proposer_whose_calls_sometimes_fail_costs_a_try(toy: Any) -> None:
    calls: list[str] = []

    def reply(prompt: str) -> str:
        calls.append(prompt)
        if len(calls) == 1:
            raise TransportError("connection reset")
        if "`revision`" not in prompt.rpartition("Respond with")[2]:
            return DIAGNOSIS
        return json.dumps({"reasoning": "x", "revision": {"text": GOOD[1]}})

    lm = scripted_lm(reply, chat=True, name="chat/proposer", num_retries=0)
    proposer = ModelProposer(lm)
    found = adapted(toy, proposer, tries=2)
    assert [(one.instruction, one.accepted) for one in found.tries] == [(None, False), (GOOD[1], True)]
    assert re.fullmatch(r"no revision came: failed_call \(.*connection reset.*\)", found.tries[0].reason)
    proposer.raise_if_dead()


@pytest.mark.parametrize("name", ["chat/proposer", "embedded@obedient"])
def test_a_proposer_that_never_answered_is_told_from_one_without_ideas_also_by_the_generators_name(
    toy: Any, name: str
) -> None:
    failures = {number: TransportError("connection refused") for number in range(9)}
    lm = scripted_lm([], failures=failures, chat=True, name=name, num_retries=0)
    proposer = ModelProposer(lm)
    found = adapted(toy, proposer, tries=2)
    assert ["connection refused" in one.reason for one in found.tries] == [True, True]
    with pytest.raises(DeadModelError, match=rf"{name}.*all 2 calls .*connection refused"):
        proposer.raise_if_dead()


def test_a_proposer_of_ones_own_that_never_answered_ends_the_work_at_its_first_call(toy: Any) -> None:
    failures = {number: TransportError("connection refused") for number in range(9)}
    engine = scripted_lm([], failures=failures, chat=True, name="chat/proposer", num_retries=0).engine
    lm = dspy.LM("chat/proposer", engine=engine, cache=False, num_retries=0)
    with pytest.raises(DeadModelError, match=r"chat/proposer': the model did not answer .*connection refused"):
        adapted(toy, ModelProposer(lm), tries=2)


def test_nothing_more_is_measured_for_a_proposer_that_failed_in_its_first_two_calls(toy: Any) -> None:
    seen: list[str] = []

    def reply(prompt: str) -> str:
        seen.extend(re.findall(r"of unit (a\d+)", prompt.rpartition("Document:")[2]))
        return obedient(prompt)

    failures = {number: TransportError("connection refused") for number in range(9)}
    lm = scripted_lm([], failures=failures, chat=True, name="chat/proposer", num_retries=0)
    with pytest.raises(DeadModelError, match=r"all 2 calls .*connection refused"):
        adapted(toy, ModelProposer(lm), bench_of(toy, reply))
    assert len(seen) == 2 * 8


@pytest.mark.slow
def test_the_policy_takes_its_revisions_from_the_prompt_model(toy: Any) -> None:
    lm, read = proposer_of([f"Ask about the thing with number {number}." for number in range(9)])
    compiled = compile_program(**toy.arguments, optimizer="adapt", prompt_lm=lm, budget=600)
    tried = [trial for trial in compiled.trials if trial.accepted is not None]
    assert tried
    assert all(trial.instruction.startswith("Ask about the thing") for trial in tried)
    assert all(trial.reason for trial in tried)
    assert len(read) == 2 * len(tried)
    assert compiled.settings["proposer"] == "chat/proposer"
    assert compiled.calls <= compiled.plan.calls


@pytest.mark.slow
def test_a_prompt_model_that_is_gone_ends_the_compile(toy: Any) -> None:
    lm = scripted_lm([], failures={0: DeadModelError("the proposer is gone")}, chat=True, name="chat/proposer")
    with pytest.raises(DeadModelError, match=r"the proposer is gone"):
        compile_program(**toy.arguments, optimizer="adapt", prompt_lm=lm, budget=600)


@pytest.mark.slow
def test_a_prompt_model_that_never_answers_ends_the_compile(toy: Any) -> None:
    failures = {number: TransportError("connection refused") for number in range(99)}
    lm = scripted_lm([], failures=failures, chat=True, name=str(toy.lm.model), num_retries=0)
    with pytest.raises(DeadModelError, match=r"calls for a new instruction \(.*connection refused"):
        compile_program(**toy.arguments, optimizer="adapt", prompt_lm=lm, budget=600)
