"""Compiling a program: from an unlabelled pile of documents to an instruction, a prompt form and demonstrations.

The steps, all inside one budget of LM calls (see :mod:`inpars_plus.optimizers.prompts.budget`):

1. **preflight**: program and metric on two documents, with nothing swallowed;
2. **pool**: the prompts of the pool, without demonstrations, by successive halving;
3. **harvest**: the best prompts, with the pool's invented demonstrations for a small model, write for train documents;
   what passes every check becomes self-written labels;
4. **demonstrations**: sets of labels and the invented ones, in several prompt forms, by successive halving; then the
   two best settings write for other train documents, for more and better labels;
5. **optimizer**: one of DSPy's, on the labelled train examples and the validation documents;
6. **final**: the best few candidates, the best pool prompt and the uncompiled program on the same validation documents,
   other ones than before where there are enough, because the best of many noisy scores is too good to be true. Test
   documents are never seen here.

Given compiled programs to start from, :mod:`inpars_plus.optimizers.prompts.warm_start` takes the place of the steps 2
to 5, and less than a third of the budget.

Going on after a kill: run the same command with the same seed and the same store of replies. Everything here is
determined by the seed and the replies, so the finished calls come from the store and cost nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from inpars_plus.corpora.documents import documents_digest
from inpars_plus.foundation.progress import bar
from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.lms.failures import to_raise
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.budget import DEFAULT_BUDGET, BudgetPlan, plan_budget, plan_warm_start
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask, predictor_of
from inpars_plus.optimizers.prompts.describing import Circumstances, metric_name
from inpars_plus.optimizers.prompts.evaluation import CompileMetric, GuardedMetric
from inpars_plus.optimizers.prompts.given import check_examples, check_lm, check_program, metric_given
from inpars_plus.optimizers.prompts.policy import policy_named
from inpars_plus.optimizers.prompts.pool import InstructionPool, pool_for
from inpars_plus.optimizers.prompts.stages import Stages
from inpars_plus.optimizers.prompts.trials import Trial, TrialLog
from inpars_plus.optimizers.prompts.warm_start import WARM_START, WarmStages, starting_points
from inpars_plus.optimizers.prompts.watch import Halt, Watch
from inpars_plus.programs.cards import MetricRecord, OptimizerRecord, ProgramCard, Scores

__all__ = ["Compiled", "compile_program", "forms_for", "plan_for", "shuffled", "surfaced"]


@dataclass(frozen=True)
class Compiled:
    """What a compile gives.

    Attributes:
        program: the compiled program, asking as often as the student did. Like the two below it has no model of its
            own: it asks that of ``dspy.context`` or ``dspy.configure``, or what ``set_lm`` gives it.
        best_pool_program: the student with the best single prompt of the pool, a baseline; ``None`` after a warm start.
        nearest_program: the student with the prompt of the nearest program, a warm start's baseline; ``None`` after a
            cold one.
        chosen: the setting of ``program``.
        best_pool_prompt: the setting of ``best_pool_program``.
        nearest: the setting of ``nearest_program``.
        validation: mean score on the documents of the final comparison, of ``before``, ``best_pool_prompt`` and
            ``after``, or of ``nearest`` and ``after``. The last is the best of a few, so it is a little too high:
            report test documents.
        validation_documents: how many these are.
        optimizer: its name.
        settings: what it searched with.
        labels: how many train documents got a self-written label that passes every check.
        trials: the trial log.
        plan: the budget's division.
        calls: LM calls, replayed ones included.
        seconds: wall-clock time.
        notes: sentences that a person should read.
        circumstances: what the compile was given, for :meth:`card`.
    """

    program: dspy.Module
    best_pool_program: dspy.Module | None
    nearest_program: dspy.Module | None
    chosen: Candidate
    best_pool_prompt: Candidate | None
    nearest: Candidate | None
    validation: Mapping[str, float]
    validation_documents: int
    optimizer: str
    settings: Mapping[str, int | float | str]
    labels: int
    trials: tuple[Trial, ...]
    plan: BudgetPlan
    calls: int
    seconds: float
    notes: tuple[str, ...]
    circumstances: Circumstances

    def card(self, *, test: Scores | None = None) -> ProgramCard:
        """The description that ``save_program`` takes, as far as the compile knows it.

        Args:
            test: mean scores on test documents, before and after; ``None`` where nobody measured them.
        """
        given = self.circumstances
        validation = Scores(before=self.validation.get("before"), after=self.validation.get("after"))
        return ProgramCard(
            document_type=given.document_type,
            lm=given.lm,
            adapter=given.adapter,
            optimizer=OptimizerRecord(name=self.optimizer, settings=self.settings),
            seed=given.seed,
            metric=MetricRecord(name=given.metric, validation=validation, test=test or Scores()),
            data_hash=given.data_hash,
        )


def forms_for(lm: dspy.BaseLM, pool: InstructionPool) -> tuple[str | None, ...]:
    """Names of the prompt forms to try: the pool's for a completion model, ``(None,)`` for a chat model."""
    return pool.forms if isinstance(adapter_for(lm, None), CompletionAdapter) else (None,)


def plan_for(
    student: dspy.Module,
    *,
    trainset: Sequence[dspy.Example],
    valset: Sequence[dspy.Example],
    lm: dspy.BaseLM,
    budget: int = DEFAULT_BUDGET,
    document_type: str | None = None,
    start: Sequence[dspy.Module] = (),
) -> BudgetPlan:
    """The plan that :func:`compile_program` would follow; calls no model."""
    predictor_of(student)
    train, validation = _usable(trainset), _usable(valset)
    pool = pool_for(document_type or (validation[0].source.doc_type if validation else ""))
    queries = [int(example.get("number_of_queries") or 1) for example in (*train, *validation)]
    if start:
        return plan_warm_start(
            budget,
            programs=len(starting_points(student, start)),
            train=len(train),
            validation=len(validation),
            calls_per_document=max(queries, default=1),
        )
    return plan_budget(
        budget,
        instructions=len(pool.instructions),
        forms=len(forms_for(lm, pool)),
        train=len(train),
        validation=len(validation),
        calls_per_document=max(queries, default=1),
    )


def compile_program(
    student: dspy.Module,
    *,
    trainset: Sequence[dspy.Example],
    valset: Sequence[dspy.Example],
    metric: CompileMetric | Callable[..., Any],
    lm: dspy.BaseLM,
    prompt_lm: dspy.BaseLM | None = None,
    optimizer: str = "miprov2",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    directory: Path | None = None,
    document_type: str | None = None,
    demonstrations: int = 4,
    threads: int = 16,
    start: Sequence[dspy.Module] = (),
    human: Sequence[tuple[dspy.Example, str]] = (),
) -> Compiled:
    """Compile a program against a metric; labels are not needed.

    Args:
        student: a program with one predictor; it is not changed.
        trainset: examples of train documents, as :func:`inpars_plus.programs.example_of` makes them.
        valset: examples of validation documents.
        metric: what to improve; one in DSPy's plain form, ``metric(gold, pred, trace=None)``, is called with each query
            by itself.
        lm: the model that the program is compiled for. It alone is asked, also where the student has one of its own.
        prompt_lm: writes instructions for MIPROv2, GEPA and adaptation; without it they choose from the pool.
        optimizer: one of :data:`inpars_plus.optimizers.prompts.policy.OPTIMIZERS`.
        budget: LM calls at most, replayed ones included.
        seed: of everything random; 0 is a seed like any other.
        directory: where ``trials.jsonl`` goes; ``None`` writes nothing.
        document_type: chooses the pool; by default that of the first validation document.
        demonstrations: how many a prompt shows at most.
        threads: calls at once.
        start: compiled query generators for a warm start, from the nearest of them: of every kind for a student that
            asks about parts or constraints, else of its own class; ``optimizer`` and ``prompt_lm`` then have nothing to
            do, and less than a third of the budget is enough.
        human: examples of train documents, each with a query that a person wrote for it; they are tried as
            demonstrations before those that the program writes.

    Returns:
        The compiled program, without a model of its own, with all that a report needs.

    Raises:
        ConfigurationError: too small a budget, too few documents, an unknown optimizer, a program to start from that
            is none for the student, or something else that is not what it should be; nothing was asked.
        DeadModelError: the model does not answer, or fails too often.
        SpendingCapError: the cap is reached; finished calls are kept by the store of replies.
    """
    started = time.monotonic()
    policy = policy_named(optimizer)
    check_lm(lm)
    if prompt_lm is not None:
        check_lm(prompt_lm, "prompt_lm")
    check_examples(trainset, "trainset", shown=True)
    check_examples(valset, "valset")
    check_program(student, trainset)
    name = metric_name(metric)
    metric = metric_given(metric, [*trainset, *valset], arguments=3, optimizer=None if start else optimizer)
    train, validation = shuffled(trainset, seed), shuffled(valset, seed)
    plan = plan_for(
        student, trainset=train, valset=validation, lm=lm, budget=budget, document_type=document_type, start=start
    )
    document_type = document_type or validation[0].source.doc_type
    pool = pool_for(document_type)
    with bar("Compiling", plan.calls) as progress:
        watch = Watch(model=str(lm.model), on_call=progress.update)
        names = {example.document: example.source.id for example in train}
        log = TrialLog(
            None if directory is None else Path(directory) / "trials.jsonl", calls=lambda: watch.calls, names=names
        )
        guarded = GuardedMetric(metric, watch)
        bench = Bench(one_ask(student), metric, guarded, lm, threads, watch, log)
        parts = (bench, plan, policy, prompt_lm, pool, forms_for(lm, pool), demonstrations, seed)
        with surfaced(str(lm.model)), quiet_logs():
            compile_ = (
                WarmStages(*parts, starts=starting_points(student, start), human=human)
                if start
                else Stages(*parts, human=human)
            )
            result = compile_.run(train, validation)
    return Compiled(
        program=result.chosen.apply(student),
        best_pool_program=None if result.best_pool_prompt is None else result.best_pool_prompt.apply(student),
        nearest_program=None if result.nearest is None else result.nearest.apply(student),
        chosen=result.chosen,
        best_pool_prompt=result.best_pool_prompt,
        nearest=result.nearest,
        validation=result.validation,
        validation_documents=result.documents,
        optimizer=WARM_START if start else optimizer,
        settings=result.settings,
        labels=result.labels,
        trials=tuple(log.trials),
        plan=plan,
        calls=watch.calls,
        seconds=time.monotonic() - started,
        notes=tuple(compile_.notes),
        circumstances=Circumstances(
            document_type=document_type,
            lm=str(lm.model),
            adapter=type(adapter_for(lm, None)).__name__,
            metric=name,
            seed=seed,
            data_hash=documents_digest(example.source for example in [*trainset, *valset]),
        ),
    )


def _usable(examples: Sequence[dspy.Example]) -> list[dspy.Example]:
    """Examples with something to generate from: an empty document teaches nothing."""
    return [example for example in examples if not example.source.is_empty]


def shuffled(examples: Sequence[dspy.Example], seed: int) -> list[dspy.Example]:
    """Examples that are not empty, in the order in which a compile takes them."""
    # By id first, so that the order in which documents were read does not matter.
    found = sorted(_usable(examples), key=lambda example: str(example.source.id))
    random.Random(seed).shuffle(found)
    return found


@contextmanager
def surfaced(model: str) -> Iterator[None]:
    """Turn what ends a compile into what a caller expects."""
    try:
        yield
    except Halt as halt:
        raise halt.error from halt.error.__cause__
    except Exception as error:
        meaning = to_raise(error, model=model)
        if meaning is error:
            raise
        raise meaning from error
