"""A program that has a model of its own is compiled and scored with the model that was named."""

from __future__ import annotations

import threading
from typing import Any

import dspy
import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.prompts import OPTIMIZERS, compile_program, evaluate_program
from inpars_plus.optimizers.prompts.candidates import Candidate, asking_only, one_ask
from inpars_plus.optimizers.prompts.reranking import JudgedList, compile_reranker
from inpars_plus.programs import AdaptiveQueryGenerator, DocumentAnalyst, PointwiseReranker, QueryGenerator


def own_model() -> Any:
    return scripted_lm(lambda prompt: "what does a model that nobody named write", name="own")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_student_with_a_model_of_its_own_is_compiled_with_the_model_that_is_named(toy: Any, optimizer: str) -> None:
    own = own_model()
    toy.student.set_lm(own)
    compiled = compile_program(**toy.arguments, optimizer=optimizer, budget=280)
    assert own.engine.usage.calls == 0
    assert compiled.calls == len(toy.engine.prompts) <= compiled.plan.calls
    assert compiled.program.generate.lm is None
    assert toy.student.generate.lm is own


def test_a_program_with_a_model_of_its_own_is_scored_with_the_model_that_is_named(toy: Any) -> None:
    own = own_model()
    toy.student.set_lm(own)
    judged = evaluate_program(toy.student, toy.test[:8], toy.metric, toy.lm)
    assert own.engine.usage.calls == 0
    assert len(toy.engine.prompts) >= 8
    assert toy.student.generate.lm is own
    toy.student.set_lm(None)
    assert judged == evaluate_program(toy.student, toy.test[:8], toy.metric, toy.lm)


def test_a_re_ranker_with_a_model_of_its_own_is_compiled_with_the_model_that_is_named() -> None:
    own, named = (scripted_lm(lambda prompt: '{"judgment": {"grade": 2}}', chat=True, name=one) for one in "ab")
    student = PointwiseReranker()
    student.set_lm(own)
    lists = [JudgedList(f"seal {number}", ("about a seal", "about a valve"), (3, 0)) for number in range(4)]
    compiled = compile_reranker(student, train=lists, validation=lists, lm=named)
    assert (own.engine.usage.calls, compiled.calls) == (0, named.engine.usage.calls)


def test_every_part_of_a_program_asks_the_model_that_is_named() -> None:
    own, named = own_model(), own_model()
    base = QueryGenerator()
    program = AdaptiveQueryGenerator({"a": base}, base, DocumentAnalyst(["a"]))
    program.set_lm(own)
    with dspy.context(lm=named):
        asked = asking_only(named, program)
        asked(source=Document(id="1", text="A worn seal lets a pump leak. It is replaced within an hour."))
    assert own.engine.usage.calls == 0
    assert named.engine.usage.calls > 0
    assert asked.base_name == "a"
    assert base.generate.lm is own


class Uncopyable(dspy.LM):
    """Holds a lock, as clients of servers do."""

    def __init__(self) -> None:
        super().__init__("openai/mine", api_key="none")
        self.lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> Any:
        raise TypeError("cannot pickle a lock")


def test_taking_the_model_from_a_copy_leaves_it_to_the_program_even_where_the_model_cannot_be_copied() -> None:
    own = Uncopyable()
    base = QueryGenerator()
    program = AdaptiveQueryGenerator({"a": base}, base, DocumentAnalyst(["a"]))
    program.set_lm(own)
    assert asking_only(own, program) is program
    copy: Any = asking_only(own_model(), program)
    assert copy.base.generate.lm is None
    assert base.generate.lm is own
    base._compiled = True
    assert one_ask(base).generate.lm is None  # type: ignore[attr-defined]
    assert Candidate("Ask.").apply(base).generate.lm is None  # type: ignore[attr-defined]
    assert base.generate.lm is own
