"""What a person gives is checked before a model is asked, and a mistake is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts import compile_program, evaluate_program
from inpars_plus.programs import PointwiseReranker, QueryGenerator

BUDGET = 280


def names_the_seal(gold: Any, pred: Any, trace: Any = None) -> float:
    """A metric as DSPy's pages show it; it knows the whole example."""
    assert gold.document
    return 1.0 if gold.source.id in pred.queries[0] and "seal" in pred.queries[0] else 0.2


def with_feedback(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
    score = names_the_seal(gold, pred)
    return score if pred_name is None else dspy.Prediction(score=score, feedback="Name the unit and the seal.")


def two_arguments(gold: Any, pred: Any) -> float:
    return 1.0


class Fewer:
    def __call__(self, gold: Any, pred: Any, trace: Any = None) -> float:
        return 1.0

    def judge(self, pairs: Any) -> Any:
        return list(pairs)[:-1]


class Floats(Fewer):
    def judge(self, pairs: Any) -> Any:
        return [1.0 for _ in pairs]


class Nothing(Fewer):
    def judge(self, pairs: Any) -> Any:
        return None


class Careless(Fewer):
    def judge(self, pairs: Any) -> Any:
        return [len(query) for _, query in pairs]


METRICS = [
    (Fewer(), r"metric 'Fewer': judge gave 0 judgments for 1 queries\. The method judge takes"),
    (Floats(), r"metric 'Floats': judge gave a float without score and accepted"),
    (Nothing(), r"metric 'Nothing': judge gave a NoneType instead of a list"),
    (Careless(), r"metric 'Careless': judge failed for a query that is missing \(TypeError"),
    (Fewer, r"metric 'Fewer': this is a class\. Give an object of it"),
    (None, r"metric 'NoneType': the metric cannot be called\. Give a QueryMetric"),
]


@pytest.mark.parametrize(("metric", "message"), METRICS, ids=lambda one: str(one)[:20])
def test_a_metric_that_cannot_judge_is_refused_before_anything_is_asked(toy: Any, metric: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compile_program(**{**toy.arguments, "metric": metric}, budget=BUDGET)
    with pytest.raises(ConfigurationError, match=message):
        evaluate_program(toy.student, toy.test, metric, toy.lm)
    assert not toy.engine.prompts


def test_a_metric_that_forgets_a_query_later_is_refused_then(toy: Any) -> None:
    class Later(type(toy.metric)):  # type: ignore[misc]
        def judge(self, pairs: Any) -> Any:
            return super().judge([(document, query) for document, query in pairs if len(pairs) == 1 or query][:3])

    with pytest.raises(ConfigurationError, match=r"metric 'Later': judge gave 3 judgments for 8 queries"):
        evaluate_program(toy.student, toy.test[:8], Later(), toy.lm)


def test_dspys_plain_metric_scores_and_compiles_as_the_same_metric_with_judge_does(toy: Any) -> None:
    judged = evaluate_program(toy.student, toy.test, names_the_seal, toy.lm)
    assert [one.score for one in judged] == [
        one.score for one in evaluate_program(toy.student, toy.test, toy.metric, toy.lm)
    ]
    plain = compile_program(**{**toy.arguments, "metric": names_the_seal}, budget=BUDGET)
    assert plain.chosen.key == compile_program(**toy.arguments, budget=BUDGET).chosen.key


@pytest.mark.parametrize(
    ("metric", "optimizer", "message"),
    [
        (names_the_seal, "gepa", r"metric 'names_the_seal': GEPA calls it with 5 arguments.*pred_trace=None\)"),
        (two_arguments, "bootstrap", r"metric 'two_arguments': it is called with 3 arguments.*trace=None\)"),
    ],
)
def test_a_metric_that_takes_too_few_arguments_is_told_its_form(
    toy: Any, metric: Any, optimizer: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compile_program(**{**toy.arguments, "metric": metric}, optimizer=optimizer, budget=BUDGET)
    assert not toy.engine.prompts


def test_gepa_takes_a_plain_metric_with_feedback(toy: Any) -> None:
    assert compile_program(**{**toy.arguments, "metric": with_feedback}, optimizer="gepa", budget=BUDGET).calls > 0


def test_a_plain_metric_out_of_range_is_refused(toy: Any) -> None:
    def percent(gold: Any, pred: Any, trace: Any = None) -> int:
        return 90

    with pytest.raises(ConfigurationError, match=r"metric 'percent': it gave 90 instead of a number from 0 to 1"):
        evaluate_program(toy.student, toy.test[:2], percent, toy.lm)


def plain(example: Any) -> dspy.Example:
    return dspy.Example(source=example.source, number_of_queries=1).with_inputs("source", "number_of_queries")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: one.source, r"trainset, number 1: this is a Document, not an example of DSPy.*example_of"),
        (lambda one: one.without("source"), r"number 1: the example has no Document as its source.*example_of"),
        (plain, r"trainset, number 1: the example has no text in its field document.*example_of"),
        (lambda one: dspy.Example(**one.toDict()), r"the example has no Document|does not say which"),
    ],
)
def test_what_is_no_example_is_refused_and_told_how_to_make_one(
    toy: Any, spoil: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compile_program(**{**toy.arguments, "trainset": [spoil(one) for one in toy.train]}, budget=BUDGET)
    assert not toy.engine.prompts


def test_documents_are_not_scored_and_examples_need_no_more_than_their_inputs(toy: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"examples, number 1: this is a Document"):
        evaluate_program(toy.student, [one.source for one in toy.test], toy.metric, toy.lm)
    assert len(evaluate_program(toy.student, [plain(one) for one in toy.test[:2]], toy.metric, toy.lm)) == 2


@pytest.mark.parametrize("setting", ["lm", "prompt_lm"])
def test_the_name_of_a_model_is_no_model(toy: Any, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{setting}: 'embedded' is the name of.*load_lm\('embedded'\)"):
        compile_program(**{**toy.arguments, setting: "embedded"}, budget=BUDGET)
    with pytest.raises(ConfigurationError, match=r"lm: None is no language model of DSPy"):
        evaluate_program(toy.student, toy.test, toy.metric, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (PointwiseReranker(), r"program 'PointwiseReranker': it takes query, passages.*compile_reranker"),
        (QueryGenerator, r"program: the class QueryGenerator is no program of DSPy"),
    ],
)
def test_a_program_that_does_not_write_for_a_source_is_refused(toy: Any, student: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compile_program(**{**toy.arguments, "student": student}, budget=BUDGET)
    with pytest.raises(ConfigurationError, match=message):
        evaluate_program(student, toy.test, toy.metric, toy.lm)
    assert not toy.engine.prompts
