"""The instruction adapter: a diagnosis and a revision, or a reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import TransportError

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.programs import (
    InstructionAdapter,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    list_programs,
    load_program,
    save_program,
)
from inpars_plus.signatures import FailedQuery, FailureDiagnosis, MeasuredPerformance

Make = Callable[..., tuple[dspy.LM, Any]]

REPORT = MeasuredPerformance(
    instruction="Write about the machine.",
    documents=4,
    written=4,
    precision=0.5,
    recall=0.5,
    mrr=0.4,
    reasons={"the query does not find its document in the top 10": 2},
    failed=[FailedQuery(query="how do machines work", reason="it does not find it", document_terms=["pump", "seal"])],
)
DIAGNOSIS = {"patterns": ["They ask about machines in general."], "missed_aspects": ["the worn seal"]}
FIRST = json.dumps({"reasoning": {"lines": ["They are vague."]}, "diagnosis": DIAGNOSIS})
SECOND = json.dumps({"reasoning": "So name the part.", "revision": {"text": "Ask about the named part."}})
CARD = ProgramCard(
    document_type="any",
    lm="chat/scripted",
    optimizer=OptimizerRecord(name="none"),
    seed=0,
    metric=MetricRecord(name="none"),
    data_hash="",
)


def _propose(lm: dspy.LM, adapter: InstructionAdapter | None = None) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return (adapter or InstructionAdapter())(report=REPORT)


def test_two_good_replies_become_a_diagnosis_and_a_revision(chat_lm: Make) -> None:
    lm, engine = chat_lm([FIRST, SECOND])
    prediction = _propose(lm)
    assert prediction.diagnosis == FailureDiagnosis.model_validate(DIAGNOSIS)
    assert prediction.instruction == "Ask about the named part."
    assert prediction.reason is None
    assert len(engine.prompts) == 2


def test_the_model_reads_the_instruction_the_figures_the_failures_and_then_the_diagnosis(chat_lm: Make) -> None:
    lm, engine = chat_lm([FIRST, SECOND])
    _propose(lm)
    for part in ("Write about the machine.", "0.4", "how do machines work", "it does not find it", "seal"):
        assert part in engine.prompts[0]
    assert "the worn seal" in engine.prompts[1]
    assert "Write about the machine." in engine.prompts[1]


@pytest.mark.parametrize(
    "reply",
    ["", "You could do better!", "{}", json.dumps({"diagnosis": "bad"}), "[" * 3000, '{"reasoning": "a'],
)
def test_nonsense_gives_no_revision_and_says_which_step_failed(chat_lm: Make, reply: str) -> None:
    lm, engine = chat_lm([reply])
    prediction = _propose(lm)
    assert (prediction.diagnosis, prediction.instruction) == (None, None)
    assert prediction.reason == "unreadable_diagnosis"
    assert len(engine.prompts) == 1
    lm, engine = chat_lm([FIRST, reply])
    prediction = _propose(lm)
    assert prediction.diagnosis is not None
    assert (prediction.instruction, prediction.reason) == (None, "unreadable_revision")
    assert len(engine.prompts) == 2


def test_an_instruction_with_markup_is_no_revision(chat_lm: Make) -> None:
    lm, _ = chat_lm([FIRST, json.dumps({"reasoning": "x", "revision": {"text": "<b>Ask</b> about the part."}})])
    assert _propose(lm).reason == "unreadable_revision"


def test_a_dead_model_passes_through(chat_lm: Make) -> None:
    lm, _ = chat_lm([DeadModelError("the model is gone")])
    with pytest.raises(DeadModelError, match=r"gone"):
        _propose(lm)


def test_one_failed_call_is_no_revision_and_no_crash(chat_lm: Make) -> None:
    lm, _ = chat_lm([TransportError("connection refused")])
    assert _propose(lm).reason == "unreadable_diagnosis"


def test_a_foreign_model_that_never_answered_is_told_as_dead_and_not_as_unreadable(
    chat_lm: Make,
) -> None:
    _, engine = chat_lm([TransportError("connection refused")])
    lm = dspy.LM("chat/foreign", engine=engine, cache=False, num_retries=0)
    with pytest.raises(DeadModelError, match=r"connection refused"):
        _propose(lm)


def test_without_a_model_the_error_says_so() -> None:
    with dspy.context(lm=None), pytest.raises(ConfigurationError, match=r"no language model"):
        InstructionAdapter()(report=REPORT)


@pytest.mark.parametrize("report", [None, "abc", REPORT.model_dump()], ids=["none", "text", "mapping"])
def test_what_is_no_report_is_refused_before_the_model_is_asked(report: Any, chat_lm: Make) -> None:
    lm, engine = chat_lm([FIRST, SECOND])
    with (
        dspy.context(lm=lm),
        pytest.raises(
            ConfigurationError, match=r"^report: .* by a MeasuredPerformance, not .*\. Pass what measured_perf"
        ),
    ):
        InstructionAdapter()(report=report)
    assert engine.prompts == []


def test_what_the_program_learnt_survives_the_store(tmp_path: Path, chat_lm: Make) -> None:
    program = InstructionAdapter()
    for step, text in ((program.diagnose, "Find the mistake."), (program.adapt, "Mend the sentence.")):
        step.predict.signature = step.predict.signature.with_instructions(text)
    program.diagnose.predict.demos = [
        dspy.Example(performance=REPORT, reasoning={"lines": ["Vague."]}, diagnosis=FailureDiagnosis(**DIAGNOSIS))
    ]
    saved = save_program(program, tmp_path / "adapter.json", CARD)
    assert [card.program for card in list_programs(tmp_path)] == [saved.program] == ["InstructionAdapter"]
    loaded = load_program(tmp_path / "adapter.json")
    prompts = []
    for one in (program, loaded):
        lm, engine = chat_lm([FIRST, SECOND])
        assert _propose(lm, one).instruction == "Ask about the named part."
        prompts.append(engine.prompts)
    assert prompts[0] == prompts[1]
    assert "Find the mistake." in prompts[0][0]
    assert "Mend the sentence." in prompts[0][1]


@pytest.mark.model
@pytest.mark.slow
def test_the_embedded_model_gives_a_revision_or_a_reason() -> None:
    from inpars_plus.lms import load_lm

    prediction = _propose(load_lm("embedded"))
    assert (prediction.instruction is None) == (prediction.reason is not None)
    assert prediction.diagnosis is not None
    assert len(prediction.diagnosis.patterns) >= 1
