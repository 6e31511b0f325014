from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import TransportError

from inpars_plus.foundation.errors import DeadModelError
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric, evaluate_program
from inpars_plus.optimizers.prompts.watch import Halt, Watch

INTERRUPTED = """
import json, logging, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ToyModel, make_toy
from inpars_plus.lms import ReplyStore
from inpars_plus.optimizers.prompts.evaluation import evaluate_program

def answer(number, prompt):
    if number == 5:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    return "bad"  # is rejected, so that each document is asked about again

logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born ignoring it
store = ReplyStore(Path(sys.argv[2]))
toy = make_toy(ToyModel(fault=answer, store=store))
try:
    evaluate_program(toy.student, toy.test, toy.metric, toy.lm, threads=8)
except KeyboardInterrupt:
    found = {"sent": len(toy.engine.prompts), "kept": len(store)}
    print(json.dumps({**found, "later": toy.lm("a later one")}))
"""


def test_judgments_come_in_the_order_of_the_documents_whatever_the_threads_do(toy: Any) -> None:
    judged = evaluate_program(toy.student, toy.test, toy.metric, toy.lm, threads=8)
    one_by_one = [evaluate_program(toy.student, [example], toy.metric, toy.lm)[0] for example in toy.test]
    assert judged == one_by_one


def test_all_queries_are_judged_in_one_batch(toy: Any) -> None:
    sizes: list[int] = []

    class Counting(type(toy.metric)):  # type: ignore[misc]
        def judge(self, pairs: Any) -> Any:
            sizes.extend([len(pairs)] if any(query for _, query in pairs) else [])  # first it is tried without one
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


@pytest.mark.slow
def test_ctrl_c_sends_no_further_request_and_keeps_what_was_sent(tmp_path: Path) -> None:
    # In a process of its own, which a signal may end: this one belongs to all tests.
    command = [sys.executable, "-c", INTERRUPTED, str(Path(__file__).parent), str(tmp_path / "r.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Those that were sent in the moment of the interrupt, and none for the documents and attempts that are left.
    assert 5 <= found["sent"] == found["kept"] <= 8
    assert found["later"] == ["bad"]  # an application goes on
    assert done.stderr.count("Stopping; ") == 1


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


def test_a_document_that_changed_and_an_example_that_asks_for_more_are_scored_anew(toy: Any) -> None:
    calls = []
    guarded = GuardedMetric(lambda gold, pred: calls.append(gold) or 0.3, Watch(model="m"))  # type: ignore[arg-type,func-returns-value]
    gold = toy.test[0]
    changed = gold.source.model_copy(update={"text": "Another text."})
    for one in (gold, gold.copy(source=changed), gold.copy(number_of_queries=2), gold):
        guarded(one, dspy.Prediction(queries=["a"]))
    assert len(calls) == 3


def test_an_error_of_the_metric_passes_through_dspys_handlers(toy: Any) -> None:
    def broken(*arguments: Any) -> float:
        raise RuntimeError("index lost")

    with pytest.raises(Halt) as caught:
        dspy.Evaluate(devset=toy.test[:4], metric=GuardedMetric(broken, Watch(model="m")), num_threads=2)(  # type: ignore[arg-type]
            lambda **inputs: dspy.Prediction(queries=[])
        )
    assert str(caught.value.error) == "index lost"
