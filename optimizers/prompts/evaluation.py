"""Scoring a program on documents: all queries are written first, by many threads, then judged in one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.progress import bar
from inpars_plus.lms.failures import to_raise
from inpars_plus.lms.life import asking_threads
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.optimizers.prompts.candidates import asking_only
from inpars_plus.optimizers.prompts.given import check_examples, check_lm, check_program, judgments, metric_given
from inpars_plus.optimizers.prompts.watch import Halt, Watch, WatchedProgram

__all__ = ["CompileMetric", "GuardedMetric", "JudgedQuery", "evaluate_program", "generate_all", "judge_all", "query_of"]


class JudgedQuery(Protocol):
    """What a metric says about one query; :class:`inpars_plus.metrics.query_metric.Judged` is one."""

    @property
    def accepted(self) -> bool:
        """Whether the query passes every check."""
        ...

    @property
    def score(self) -> float:
        """The metric, in [0, 1]."""
        ...


class CompileMetric(Protocol):
    """A metric that programs can be compiled against.

    Called in DSPy's way, it gives a float in [0, 1], a bool when it gets a trace, and a ``dspy.Prediction`` with
    ``score`` and ``feedback`` when it gets a ``pred_name``. ``judge`` does the same work for many queries at once. Both
    must give the same score for the same query, and both are called again for queries they have seen.
    """

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        """Score one prediction."""
        ...

    def judge(self, pairs: Sequence[tuple[Document, str | None]]) -> Sequence[JudgedQuery]:
        """Judge many queries, each with the document it was written for; ``None`` is a missing query."""
        ...


def query_of(prediction: Any, position: int = 0) -> str | None:
    """One query of a prediction, or ``None`` where it has too few."""
    queries = prediction.get("queries") if prediction is not None else None
    return queries[position] if queries is not None and position < len(queries) else None


def generate_all(
    tasks: Sequence[tuple[dspy.Module, dspy.Example]],
    lm: dspy.BaseLM,
    *,
    threads: int,
    watch: Watch,
    on_done: Callable[[], object] | None = None,
    made: MutableMapping[int, dspy.Prediction] | None = None,
) -> list[dspy.Prediction | None]:
    """Run programs on examples from many threads.

    Args:
        tasks: programs with their examples; they are not changed.
        lm: the model that all of them ask, also those that have one of their own.
        threads: how many calls at once.
        watch: counts, and ends what makes no sense any more.
        on_done: called once a task.
        made: gets each prediction by its task's place, so that what was finished is there when the run is ended early.

    Returns:
        A prediction a task, in their order; ``None`` where the call failed.

    Raises:
        InParsError: the model is dead, the spending cap is reached, or another error that ends a run.
    """
    # Inside an optimizer the watch may be there already, and would count each call twice.
    callbacks = [*(one for one in dspy.settings.callbacks if one is not watch), watch]
    stopped = threading.Event()

    programs = {id(program): program for program, _ in tasks}
    watched = {known: WatchedProgram(asking_only(lm, program), watch) for known, program in programs.items()}
    seen: set[int] = set()
    first: list[int] = []
    rest: list[int] = []
    for position, (program, _) in enumerate(tasks):
        (rest if id(program) in seen else first).append(position)
        seen.add(id(program))

    def one(position: int) -> dspy.Prediction | None:
        program, example = tasks[position]
        if stopped.is_set():
            return None
        try:
            # A plain thread does not inherit DSPy's context.
            with dspy.context(lm=lm, callbacks=callbacks, disable_history=True):
                prediction: dspy.Prediction = watched[id(program)](**example.inputs())
            if made is not None:
                made[position] = prediction
            return prediction
        except Halt:
            stopped.set()
            raise
        except Exception:
            # Counted by the watch, which lets through only what is data or may pass.
            return None
        finally:
            if on_done is not None:
                on_done()

    with quiet_logs(), asking_threads(lm, threads) as pool:
        # The first call of each program comes first, because the others of that program wait for it.
        futures = {position: pool.submit(one, position) for position in (*first, *rest)}
        try:
            predictions = [futures[position].result() for position in range(len(tasks))]
            watch.raise_if_dead()
            return predictions
        except Halt as halt:
            raise halt.error from halt.error.__cause__
        finally:
            stopped.set()


def judge_all(
    metric: CompileMetric, examples: Sequence[dspy.Example], predictions: Sequence[Any]
) -> list[list[JudgedQuery]]:
    """Judge predictions in one batch.

    Returns:
        An example, one judgment for each query that it asked for, missing ones included.

    Raises:
        ConfigurationError: the metric does not give one judgment a query.
    """
    counts = [int(example.get("number_of_queries") or 1) for example in examples]
    pairs = [
        (example.source, query_of(prediction, position))
        for example, prediction, count in zip(examples, predictions, counts, strict=True)
        for position in range(count)
    ]
    judged = iter(judgments(metric, pairs) if pairs else ())
    return [[next(judged) for _ in range(count)] for count in counts]


def evaluate_program(
    program: dspy.Module,
    examples: Sequence[dspy.Example],
    metric: CompileMetric | Callable[..., Any],
    lm: dspy.BaseLM,
    threads: int = 16,
    *,
    label: str = "Scoring",
) -> list[JudgedQuery]:
    """Score a program on documents, outside of any optimizer: before and after, on test documents.

    Args:
        program: called with the inputs of each example; it is not changed.
        examples: what :func:`inpars_plus.programs.example_of` makes.
        metric: judges all queries in one call after the last was written. Before anything is asked it is tried on a
            query that is missing. A metric in DSPy's plain form, ``metric(gold, pred, trace=None)``, is called with
            each query by itself.
        lm: writes them, also where the program has a model of its own (``set_lm``, ``load_program(..., lm=...)``).
        threads: how many calls at once.
        label: of the progress bar.

    Returns:
        One judgment a query asked for, in the order of the examples.

    Raises:
        ConfigurationError: something given is not what it should be; nothing was asked.
        InParsError: the model is dead, the spending cap is reached, or another error that ends a run.
    """
    check_lm(lm)
    check_examples(examples, "examples")
    check_program(program, examples)
    metric = metric_given(metric, examples, arguments=0)
    watch = Watch(model=str(lm.model))
    tasks = [(program, example) for example in examples]
    with bar(label, len(tasks)) as progress:
        predictions = generate_all(tasks, lm, threads=threads, watch=watch, on_done=progress.update)
    return [judged for judgments in judge_all(metric, examples, predictions) for judged in judgments]


class GuardedMetric:
    """The metric as DSPy's loops get it: errors end the compile, and the same queries of a document are scored once.

    Args:
        metric: the metric.
        watch: what ends the compile.
        threshold: at and above it a score counts as success where a metric gives a float while bootstrapping.
    """

    def __init__(self, metric: CompileMetric, watch: Watch, *, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self._metric = metric
        self._watch = watch
        self._known: dict[tuple[str, tuple[Any, ...]], float] = {}

    def __deepcopy__(self, memo: Mapping[int, Any]) -> GuardedMetric:
        return self

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        """Score one prediction in DSPy's way."""
        if pred_name is not None:
            feedback: dspy.Prediction = self._guard(lambda: self._metric(gold, pred, trace, pred_name, pred_trace))
            return feedback
        if trace is not None:
            success = self._guard(lambda: self._metric(gold, pred, trace))
            # DSPy takes any truthy score for a success, .1 too.
            return success if isinstance(success, bool) else bool(float(success) >= self.threshold)
        key = (_content(gold), tuple(pred.get("queries") or ()))
        if key not in self._known:
            self._known[key] = float(self._guard(lambda: self._metric(gold, pred)))
        return self._known[key]

    def _guard(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:
            raise self._watch.halt(to_raise(error, model=self._watch.model)) from error


def _content(example: dspy.Example) -> str:
    """What a metric can know of an example, whose document may change and keep its id."""
    one = example.source
    told = (one.id, one.title, one.text, one.doc_type, one.language, repr(one.metadata))
    return digest(*told, int(example.get("number_of_queries") or 1))
