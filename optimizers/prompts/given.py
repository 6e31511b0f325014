"""Checks of what a person gives to a compile or an evaluation, before anything is asked and paid for."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, InParsError
from inpars_plus.optimizers.prompts.describing import metric_name

if TYPE_CHECKING:
    from inpars_plus.optimizers.prompts.evaluation import CompileMetric, JudgedQuery

__all__ = ["PlainMetric", "check_examples", "check_lm", "check_program", "judgments", "metric_given"]

_EXAMPLE_OF = "Make each with example_of(document, key_terms=...) of inpars_plus.programs"
_FORM = "metric(gold, pred, trace=None)"
_GEPA_FORM = "metric(gold, pred, trace=None, pred_name=None, pred_trace=None)"
_CONTRACT = (
    "The method judge takes (document, query or None) pairs and gives one object a pair, in order, with score, a "
    "number from 0 to 1, and accepted"
)


@dataclass(frozen=True)
class _Judged:
    accepted: bool
    score: float


class PlainMetric:
    """A metric in DSPy's plain form, ``metric(gold, pred, trace=None) -> float``, as a compile needs it.

    Each query is judged on its own, as a prediction of this one query. A missing one scores 0, and the metric is not
    asked. Several queries of a document score what they do on the mean.

    Args:
        metric: gives a number from 0 to 1, a bool, or a prediction with ``score``.
        examples: the golds that it gets, found by their documents.
        threshold: score from which a query counts as accepted.
    """

    def __init__(
        self, metric: Callable[..., Any], examples: Iterable[dspy.Example] = (), threshold: float = 0.5
    ) -> None:
        self.threshold = threshold
        self._metric = metric
        self._golds: dict[str, list[dspy.Example]] = {}
        for example in examples:
            self._golds.setdefault(example.source.id, []).append(example)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> PlainMetric:
        return self

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        """Score one prediction in DSPy's way."""
        queries = list(pred.get("queries") or ())
        if pred_name is not None:
            if not queries:
                return dspy.Prediction(score=0.0, feedback="A query is missing.")
            told = self._metric(gold, pred, trace, pred_name, pred_trace)
            feedback = told.get("feedback") if isinstance(told, dspy.Prediction) else None
            return dspy.Prediction(
                score=self._number(told), feedback=feedback or f"It scores {self._number(told):.2f}."
            )
        if trace is not None:
            return bool(queries) and self._number(self._metric(gold, pred, trace)) >= self.threshold
        wanted = max(int(gold.get("number_of_queries") or 1), 1)
        return math.fsum(self._one(gold, query).score for query in [*queries, *[None] * wanted][:wanted]) / wanted

    def judge(self, pairs: Sequence[tuple[Document, str | None]]) -> list[_Judged]:
        """Judge many queries, one after the other."""
        return [self._one(self._gold(document), query) for document, query in pairs]

    def _gold(self, document: Document) -> dspy.Example:
        for example in self._golds.get(document.id, ()):
            if example.source == document:
                return example
        return dspy.Example(source=document).with_inputs("source", "number_of_queries")

    def _one(self, gold: dspy.Example, query: str | None) -> _Judged:
        if not query:
            return _Judged(False, 0.0)
        prediction = dspy.Prediction(queries=[query], rejected=[], shortfall=0)
        score = self._number(self._metric(gold.copy(number_of_queries=1), prediction))
        return _Judged(score >= self.threshold, score)

    def _number(self, told: Any) -> float:
        score = told.get("score") if isinstance(told, dspy.Prediction) else told
        if not isinstance(score, numbers.Real) or not 0.0 <= float(score) <= 1.0:
            raise ConfigurationError(
                f"it gave {score!r} instead of a number from 0 to 1",
                place=_place(self._metric),
                remedy=f"It is {_FORM}",
            )
        return float(score)


def metric_given(
    metric: Any, examples: Sequence[dspy.Example], *, arguments: int, optimizer: str | None = None
) -> CompileMetric:
    """The metric as a compile needs it, tried on a query that is missing.

    Args:
        metric: with ``judge``, or in DSPy's plain form.
        examples: that it will judge.
        arguments: how many it is called with; 0 where only its ``judge`` is.
        optimizer: GEPA calls it with five.

    Raises:
        ConfigurationError: it is no metric, takes fewer arguments, or its ``judge`` does not give what it should.
    """
    place = _place(metric)
    if isinstance(metric, type):
        raise ConfigurationError("this is a class", place=place, remedy="Give an object of it")
    judges = callable(getattr(metric, "judge", None))
    arguments = arguments if judges else max(arguments, 2)
    if arguments and not callable(metric):
        raise ConfigurationError(
            "the metric cannot be called", place=place, remedy=f"Give a QueryMetric of inpars_plus.metrics, or {_FORM}"
        )
    needed = 5 if optimizer == "gepa" else arguments
    if needed and not _takes(metric, needed):
        raise ConfigurationError(
            f"{'GEPA calls it' if needed == 5 else 'it is called'} with {needed} arguments, which it does not take",
            place=place,
            remedy=f"Write it as {_GEPA_FORM if needed == 5 else _FORM}",
        )
    found: CompileMetric = metric if judges else PlainMetric(metric, examples)
    if judges and examples:
        try:
            judgments(found, [(examples[0].source, None)])
        except InParsError:
            raise
        except Exception as problem:
            raise ConfigurationError(
                f"judge failed for a query that is missing ({type(problem).__name__}: {problem})",
                place=place,
                remedy=_CONTRACT,
            ) from problem
    return found


def judgments(metric: CompileMetric, pairs: Sequence[tuple[Document, str | None]]) -> list[JudgedQuery]:
    """What the metric judges of some queries.

    Raises:
        ConfigurationError: it does not give one judgment a query, or something else than judgments.
    """
    told: Any = metric.judge(pairs)
    problem = None
    if not isinstance(told, Sequence) or isinstance(told, str):
        problem = f"judge gave a {type(told).__name__} instead of a list"
    elif len(told) != len(pairs):
        problem = f"judge gave {len(told)} judgments for {len(pairs)} queries"
    else:
        for one in told:
            if not hasattr(one, "accepted") or not isinstance(getattr(one, "score", None), numbers.Real):
                problem = f"judge gave a {type(one).__name__} without score and accepted"
                break
    if problem:
        raise ConfigurationError(problem, place=_place(metric), remedy=_CONTRACT)
    return list(told)


def check_lm(lm: Any, setting: str = "lm") -> None:
    """Refuse what is no language model, such as its name.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(lm, str):
        raise ConfigurationError(
            f"'{lm}' is the name of a model, not the model",
            place=setting,
            remedy=f"Load it: load_lm({lm!r}) of inpars_plus.lms",
        )
    if not isinstance(lm, dspy.BaseLM):
        raise ConfigurationError(
            f"{_a(lm)} is no language model of DSPy", place=setting, remedy="Give what load_lm of inpars_plus.lms gives"
        )


def check_examples(examples: Sequence[Any], setting: str, *, shown: bool = False) -> None:
    """Refuse what cannot be generated for.

    Args:
        examples: as a person gave them.
        setting: its name, for messages.
        shown: whether they may become demonstrations, which have the fields of the signature too.

    Raises:
        ConfigurationError: one is no example with a document as ``source``, or does not say what its inputs are.
    """
    for number, example in enumerate(examples, 1):
        problem = None
        if not isinstance(example, dspy.Example):
            problem = f"this is {_a(example)}, not an example of DSPy"
        elif not isinstance(example.get("source"), Document):
            problem = "the example has no Document as its source"
        elif shown and not isinstance(example.get("document"), str):
            problem = "the example has no text in its field document, which demonstrations show"
        else:
            try:
                example.inputs()
            except ValueError:
                problem = "the example does not say which of its fields are inputs"
        if problem:
            raise ConfigurationError(problem, place=f"{setting}, number {number}", remedy=_EXAMPLE_OF)


def check_program(program: Any, examples: Sequence[dspy.Example]) -> None:
    """Refuse a program that cannot be called with the inputs of the examples.

    Raises:
        ConfigurationError: it is no module of DSPy, or takes other inputs.
    """
    if isinstance(program, type) or not isinstance(program, dspy.Module):
        raise ConfigurationError(
            f"{_a(program)} is no program of DSPy",
            place="program",
            remedy="Give an object such as QueryGenerator() of inpars_plus.programs",
        )
    inputs = list(examples[0].inputs().keys()) if examples else ["source"]
    # Of the class, because DSPy warns of whoever touches the method of an object.
    taken = _parameters(getattr(type(program), "forward", None))
    if taken is None:
        return
    try:
        taken.bind(program, **dict.fromkeys(inputs))
    except TypeError as problem:
        raise ConfigurationError(
            f"it takes {', '.join(list(taken.parameters)[1:])}, and the examples have {', '.join(inputs)}",
            place=f"program '{type(program).__name__}'",
            remedy="Give a program that writes queries for a source; re-rankers have compile_reranker of "
            "inpars_plus.optimizers.prompts.reranking",
        ) from problem


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    known = _parameters(function)
    if known is None:
        return True
    try:
        known.bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def _parameters(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some built-in ones do not say
        return None


def _place(metric: Any) -> str:
    return f"metric '{metric_name(metric)}'"


def _a(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
