from __future__ import annotations

import copy
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import TransportError

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.lms import ReplyStore
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric, evaluate_program
from inpars_plus.optimizers.prompts.watch import Halt, Watch


def test_judgments_come_in_the_order_of_the_documents_whatever_the_threads_do(toy: Any) -> None:
    judged = evaluate_program(toy.student, toy.test, toy.metric, toy.lm, threads=8)
    one_by_one = [evaluate_program(toy.student, [example], toy.metric, toy.lm)[0] for example in toy.test]
    assert judged == one_by_one


def test_all_queries_are_judged_in_one_batch(toy: Any) -> None:
    sizes: list[int] = []

    class Counting(type(toy.metric)):  # type: ignore[misc]
        def judge(self, pairs: Any) -> Any:
            sizes.append(len(pairs))
            return super().judge(pairs)

    evaluate_program(toy.student, toy.test, Counting(), toy.lm)
    assert sizes == [len(toy.test)]


def test_a_query_asked_for_and_not_written_counts_as_not_accepted(toy_with: Callable[..., Any]) -> None:
    toy = toy_with(fault=lambda number, prompt: "")
    examples = [example.copy(number_of_queries=3) for example in toy.test[:4]]
    examples = [example.with_inputs("source", "number_of_queries") for example in examples]
    judged = evaluate_program(toy.student, examples, toy.metric, toy.lm)
    assert [one.accepted for one in judged] == [False] * 12


def test_a_dead_model_is_an_error_and_not_a_score_of_zero(toy_with: Callable[..., Any]) -> None:
    def refuse(number: int, prompt: str) -> str:
        raise TransportError("connection refused")

    toy = toy_with(fault=refuse)
    with pytest.raises(DeadModelError, match="connection refused"):
        evaluate_program(toy.student, toy.test, toy.metric, toy.lm, threads=2)
    assert len(toy.engine.prompts) < 30


def test_ctrl_c_sends_no_further_request_and_keeps_what_was_sent(
    toy_with: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(number: int, prompt: str) -> str:
        if number == 5:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        return "bad"  # is rejected, so that each document is asked about again

    store = ReplyStore(tmp_path / "r.sqlite")
    toy = toy_with(fault=answer, store=store)
    with caplog.at_level(logging.INFO, logger="inpars_plus"), pytest.raises(KeyboardInterrupt):
        evaluate_program(toy.student, toy.test, toy.metric, toy.lm, threads=8)
    # Those that were sent in the moment of the interrupt, and none for the documents and attempts that are left.
    assert len(toy.engine.prompts) == len(store) <= 8
    assert [message.partition(";")[0] for message in caplog.messages] == ["Stopping"]
    assert toy.lm("a later one")  # an application goes on


def test_no_documents_give_no_judgments(toy: Any) -> None:
    assert evaluate_program(toy.student, [], toy.metric, toy.lm) == []


def test_the_model_of_the_surrounding_context_is_not_asked(toy: Any, toy_with: Callable[..., Any]) -> None:
    other = toy_with()
    with dspy.context(lm=other.lm):
        evaluate_program(toy.student, toy.test[:3], toy.metric, toy.lm)
    assert not other.engine.prompts


@pytest.mark.parametrize(("value", "success"), [(0.1, False), (0.5, True), (True, True), (False, False)])
def test_while_bootstrapping_a_small_score_is_no_success(toy: Any, value: Any, success: bool) -> None:
    guarded = GuardedMetric(lambda *arguments: value, Watch(model="m"))  # type: ignore[arg-type]
    assert guarded(toy.test[0], dspy.Prediction(queries=["a"]), trace=[]) is success


def test_the_same_query_of_a_document_is_scored_once(toy: Any) -> None:
    calls = []
    guarded = GuardedMetric(lambda *arguments: calls.append(1) or 0.3, Watch(model="m"))  # type: ignore[arg-type,func-returns-value]
    for _ in range(3):
        assert guarded(toy.test[0], dspy.Prediction(queries=["a"])) == 0.3
    assert guarded(toy.test[1], dspy.Prediction(queries=["a"])) == 0.3
    assert len(calls) == 2
    assert copy.deepcopy(guarded) is guarded


def test_an_error_of_the_metric_passes_through_dspys_handlers(toy: Any) -> None:
    def broken(*arguments: Any) -> float:
        raise RuntimeError("index lost")

    with pytest.raises(Halt) as caught:
        dspy.Evaluate(devset=toy.test[:4], metric=GuardedMetric(broken, Watch(model="m")), num_threads=2)(  # type: ignore[arg-type]
            lambda **inputs: dspy.Prediction(queries=[])
        )
    assert str(caught.value.error) == "index lost"
