from __future__ import annotations

from typing import Any

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask, predictor_of


def test_what_is_applied_is_what_is_read_back(toy: Any) -> None:
    fields = predictor_of(toy.student).signature.fields
    candidate = Candidate("Answers.", "document-query").with_demonstrations(toy.train[:2], fields)
    program = candidate.apply(toy.student)
    assert Candidate.of(program).key == candidate.key
    assert program.prompt_form == "document-query"
    assert toy.student.prompt_form is None
    assert toy.student.generate.demos == []


def test_demonstrations_lose_what_is_not_in_the_signature(toy: Any) -> None:
    program = toy.student.deepcopy()
    program.generate.demos = [dspy.Example(augmented=True, source=toy.train[0].source, document="a", queries=["b"])]
    assert Candidate.of(program).demonstrations == (dspy.Example(document="a", queries=["b"]),)


def test_the_same_prompt_has_the_same_key_wherever_it_came_from() -> None:
    assert Candidate("a", "f", origin="pool").key == Candidate("a", "f", origin="miprov2").key
    assert len({Candidate("a").key, Candidate("b").key, Candidate("a", "f").key}) == 3


def test_during_the_search_a_program_asks_once_and_shows_its_predictors_though_compiled(toy: Any) -> None:
    toy.student._compiled = True
    copy = one_ask(toy.student)
    assert (copy.attempts, toy.student.attempts) == (1, 3)
    assert copy.named_predictors()[0][0] == "generate"


def test_a_program_with_several_predictors_is_refused() -> None:
    class Two(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = dspy.Predict("a -> b"), dspy.Predict("b -> c")

    with pytest.raises(ConfigurationError, match="this one has 2"):
        predictor_of(Two())
