"""Compiling a program: from an unlabelled pile of documents to an instruction, a prompt form and demonstrations.

The steps, all inside one budget of LM calls (see :mod:`inpars_plus.optimizers.prompts.budget`):

1. **preflight**: program and metric on two documents, with nothing swallowed;
2. **pool**: the prompts of the pool, without demonstrations, by successive halving;
3. **harvest**: the best prompts write for train documents; what passes every check becomes self-written labels;
4. **demonstrations**: sets of labels, in several prompt forms, by successive halving; then the two best settings write
   for other train documents, for more and better labels;
5. **optimizer**: one of DSPy's, on the labelled train examples and the validation documents;
6. **final**: the best few candidates, the best pool prompt and the uncompiled program on the same validation documents,
   other ones than before where there are enough, because the best of many noisy scores is too good to be true. Test
   documents are never seen here.

Going on after a kill: run the same command with the same seed and the same store of replies. Everything here is
determined by the seed and the replies, so the finished calls come from the store and cost nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.progress import bar, say
from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.budget import DEFAULT_BUDGET, BudgetPlan, plan_budget
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask, predictor_of
from inpars_plus.optimizers.prompts.evaluation import CompileMetric, GuardedMetric, judge_all
from inpars_plus.optimizers.prompts.halving import pool_prompts, rank_prompts
from inpars_plus.optimizers.prompts.harvest import Label, best_labels, demonstration_sets, harvest
from inpars_plus.optimizers.prompts.policy import Policy, SearchTask, policy_named
from inpars_plus.optimizers.prompts.pool import InstructionPool, pool_for
from inpars_plus.optimizers.prompts.quiet import quiet, quiet_logs
from inpars_plus.optimizers.prompts.trials import Trial, TrialLog
from inpars_plus.optimizers.prompts.watch import BudgetSpent, Halt, Watch, WatchedProgram, to_raise

__all__ = ["Compiled", "compile_program", "forms_for", "plan_for"]

_MAX_LABELLED = 24
_SHRINKAGE = 10
_FINALISTS = 3


@dataclass(frozen=True)
class Compiled:
    """What a compile gives.

    Attributes:
        program: the compiled program, asking as often as the student did.
        best_pool_program: the student with the best single prompt of the pool; a baseline.
        chosen: the setting of ``program``.
        best_pool_prompt: the setting of ``best_pool_program``.
        validation: mean score on the documents of the final comparison, of ``before``, ``best_pool_prompt`` and
            ``after``. The last is the best of a few, so it is a little too high: report test documents.
        validation_documents: how many these are.
        optimizer: its name.
        settings: what it searched with.
        labels: how many train documents got a self-written label that passes every check.
        trials: the trial log.
        plan: the budget's division.
        calls: LM calls, replayed ones included.
        seconds: wall-clock time.
        notes: sentences that a person should read.
    """

    program: dspy.Module
    best_pool_program: dspy.Module
    chosen: Candidate
    best_pool_prompt: Candidate
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
) -> BudgetPlan:
    """The plan that :func:`compile_program` would follow; calls no model."""
    predictor_of(student)
    train, validation = _usable(trainset), _usable(valset)
    pool = pool_for(document_type or (validation[0].source.doc_type if validation else ""))
    queries = [int(example.get("number_of_queries") or 1) for example in (*train, *validation)]
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
    metric: CompileMetric,
    lm: dspy.BaseLM,
    prompt_lm: dspy.BaseLM | None = None,
    optimizer: str = "miprov2",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    directory: Path | None = None,
    document_type: str | None = None,
    demonstrations: int = 4,
    threads: int = 16,
) -> Compiled:
    """Compile a program against a metric, without labels.

    Args:
        student: a program with one predictor; it is not changed.
        trainset: examples of train documents, as :func:`inpars_plus.programs.example_of` makes them.
        valset: examples of validation documents.
        metric: what to improve.
        lm: the model that the program is compiled for.
        prompt_lm: writes instructions for MIPROv2 and GEPA; without it they choose from the pool.
        optimizer: one of :data:`inpars_plus.optimizers.prompts.policy.OPTIMIZERS`.
        budget: LM calls at most, replayed ones included.
        seed: of everything random; 0 is a seed like any other.
        directory: where ``trials.jsonl`` goes; ``None`` writes nothing.
        document_type: chooses the pool; by default that of the first validation document.
        demonstrations: how many a prompt shows at most.
        threads: calls at once.

    Returns:
        The compiled program with all that a report needs.

    Raises:
        ConfigurationError: too small a budget, too few documents, an unknown optimizer.
        DeadModelError: the model does not answer, or fails too often.
        SpendingCapError: the cap is reached; finished calls are kept by the store of replies.
    """
    started = time.monotonic()
    policy = policy_named(optimizer)
    train, validation = _shuffled(trainset, seed), _shuffled(valset, seed)
    plan = plan_for(student, trainset=train, valset=validation, lm=lm, budget=budget, document_type=document_type)
    pool = pool_for(document_type or validation[0].source.doc_type)
    with bar("Compiling", plan.calls) as progress:
        watch = Watch(model=str(lm.model), on_call=progress.update)
        names = {example.document: example.source.id for example in train}
        log = TrialLog(
            None if directory is None else Path(directory) / "trials.jsonl", calls=lambda: watch.calls, names=names
        )
        guarded = GuardedMetric(metric, watch)
        bench = Bench(one_ask(student), metric, guarded, lm, threads, watch, log)
        compile_ = _Compile(bench, plan, policy, prompt_lm, pool, forms_for(lm, pool), demonstrations, seed)
        with _surfaced(str(lm.model)), quiet_logs():
            result = compile_.run(train, validation)
    return Compiled(
        program=result.chosen.apply(student),
        best_pool_program=result.best_pool_prompt.apply(student),
        chosen=result.chosen,
        best_pool_prompt=result.best_pool_prompt,
        validation=result.validation,
        validation_documents=result.documents,
        optimizer=optimizer,
        settings=result.settings,
        labels=result.labels,
        trials=tuple(log.trials),
        plan=plan,
        calls=watch.calls,
        seconds=time.monotonic() - started,
        notes=tuple(compile_.notes),
    )


@dataclass(frozen=True)
class _Result:
    chosen: Candidate
    best_pool_prompt: Candidate
    validation: Mapping[str, float]
    documents: int
    labels: int
    settings: Mapping[str, int | float | str]


class _Compile:
    """The steps in their order; what they share is on the bench."""

    def __init__(
        self,
        bench: Bench,
        plan: BudgetPlan,
        policy: Policy,
        prompt_lm: dspy.BaseLM | None,
        pool: InstructionPool,
        forms: Sequence[str | None],
        demonstrations: int,
        seed: int,
    ) -> None:
        self.notes: list[str] = []
        self._bench = bench
        self._plan = plan
        self._policy = policy
        self._prompt_lm = prompt_lm
        self._pool = pool
        self._forms = forms
        self._demonstrations = demonstrations
        self._seed = seed
        self._fields = predictor_of(bench.student).signature.fields

    def run(self, train: Sequence[dspy.Example], validation: Sequence[dspy.Example]) -> _Result:
        """All steps."""
        log = self._bench.log
        self._preflight(train[: self._plan.preflight])
        log.stage = "pool"
        ranked = rank_prompts(self._bench, pool_prompts(self._pool, self._forms), validation, self._plan.pool)
        best_pool_prompt = ranked[0]
        labels, start = self._harvest(ranked, train, validation)
        accepted = [label for label in labels if label.accepted]
        if len(accepted) < 2:
            self._note(
                f"Only {len(accepted)} of the queries written for train documents passed every check, so "
                "demonstrations are few or of low quality"
            )
        labelled = [label.example for label in (accepted if len(accepted) >= 2 else labels)[:_MAX_LABELLED]]
        log.stage = "optimizer"
        task = self._task(start, ranked, labelled, train, validation)
        found = self._search(task)
        log.stage = "final"
        before = Candidate.of(self._bench.student, origin="uncompiled")
        rest = self._finalists([*found, start], exclude={before.key, best_pool_prompt.key})
        finalists = _distinct([before, best_pool_prompt, *rest])
        documents = validation[-self._plan.final.documents :]
        scores = dict(zip([one.key for one in finalists], self._bench.score(finalists, documents), strict=True))
        chosen = max(finalists, key=lambda one: scores[one.key])
        if chosen.key in (before.key, best_pool_prompt.key):
            self._note("No candidate with demonstrations was better than the best prompt without them")
        return _Result(
            chosen=chosen,
            best_pool_prompt=best_pool_prompt,
            validation={
                "before": scores[before.key],
                "best_pool_prompt": scores[best_pool_prompt.key],
                "after": scores[chosen.key],
            },
            documents=len(documents),
            labels=len(accepted),
            settings=self._policy.settings(task),
        )

    def _note(self, text: str) -> None:
        self.notes.append(text)
        say(text)

    def _preflight(self, examples: Sequence[dspy.Example]) -> None:
        """The program and both ways into the metric, so that a fault shows before DSPy can turn it into a zero."""
        bench = self._bench
        bench.log.stage = "preflight"
        with dspy.context(lm=bench.lm, callbacks=[*dspy.settings.callbacks, bench.watch]):
            predictions = [bench.student(**example.inputs()) for example in examples]
        bench.watch.raise_if_dead()
        allowed = len(examples) * self._plan.calls_per_document
        if bench.watch.calls > allowed:
            raise ConfigurationError(
                f"The program made {bench.watch.calls} LM calls for {len(examples)} documents instead of {allowed}",
                place=f"program '{type(bench.student).__name__}'",
                remedy="Let it ask once a query; retries are for using a compiled program, not for compiling it",
            )
        judgments = judge_all(bench.metric, examples, predictions)
        for example, prediction, judged in zip(examples, predictions, judgments, strict=True):
            score = bench.metric(example, prediction)
            mean = sum(one.score for one in judged) / len(judged)
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
                raise ConfigurationError(f"The metric must give a number from 0 to 1, not {score!r}", place="metric")
            if abs(score - mean) > 0.05:
                raise ConfigurationError(
                    f"Called, the metric gives {score:.3f} for a query that it judges to be worth {mean:.3f}",
                    place="metric",
                )

    def _harvest(
        self, ranked: Sequence[Candidate], train: Sequence[dspy.Example], validation: Sequence[dspy.Example]
    ) -> tuple[list[Label], Candidate]:
        """Labels, and the setting to go on with."""
        log, (first, second) = self._bench.log, self._plan.harvest
        log.stage = "harvest 1"
        labels = harvest(self._bench, ranked[: first.prompts], train[: first.documents])
        shown = self._with_demonstrations(ranked, labels)
        if shown:
            log.stage = "demonstrations"
            shown = rank_prompts(self._bench, shown, validation, self._plan.demonstrations)
        log.stage = "harvest 2"
        prompts = (shown or list(ranked))[: second.prompts]
        others = train[first.documents : first.documents + second.documents]
        labels = best_labels([*labels, *harvest(self._bench, prompts, others)])
        return labels, (shown or list(ranked))[0]

    def _with_demonstrations(self, ranked: Sequence[Candidate], labels: Sequence[Label]) -> list[Candidate]:
        """Sets of demonstrations below the best two instructions; every other one is in the best form."""
        sets = demonstration_sets(
            labels, size=self._demonstrations, sets=self._plan.demonstrations[0].prompts, seed=self._seed
        )
        best = ranked[0]
        instructions = list(dict.fromkeys(one.instruction for one in ranked))[:2]
        others = [form for form in self._forms if form != best.form] or [best.form]
        found = []
        for number, demos in enumerate(sets):
            form = best.form if number % 2 == 0 else others[number // 2 % len(others)]
            prompt = Candidate(instructions[number // 2 % len(instructions)], form, origin="demonstrations")
            found.append(prompt.with_demonstrations(demos, self._fields))
        return found

    def _task(
        self,
        start: Candidate,
        ranked: Sequence[Candidate],
        labelled: Sequence[dspy.Example],
        train: Sequence[dspy.Example],
        validation: Sequence[dspy.Example],
    ) -> SearchTask:
        bench = self._bench
        texts = dict.fromkeys([start.instruction, *(one.instruction for one in ranked), *self._pool.texts])
        return SearchTask(
            student=WatchedProgram(start.apply(bench.student), bench.watch),
            labelled=labelled,
            train=train,
            validation=validation,
            metric=bench.guarded,
            lm=bench.lm,
            prompt_lm=self._prompt_lm,
            instructions=tuple(texts),
            summary=self._pool.about,
            watch=bench.watch,
            calls=self._plan.optimizer,
            demonstrations=self._demonstrations,
            shown=frozenset(bench.log.names.get(demo.document, "") for demo in start.demonstrations),
            threads=bench.threads,
            seed=self._seed,
        )

    def _search(self, task: SearchTask) -> list[Candidate]:
        """Run the optimizer proper; only its own conditions end here, all else ends the compile."""
        bench = self._bench
        callbacks = [*dspy.settings.callbacks, bench.watch, bench.log]
        try:
            with (
                bench.watch.ceiling(self._plan.budget - self._plan.final.asks * self._plan.calls_per_document),
                dspy.context(lm=bench.lm, callbacks=callbacks, adapter=dspy.ChatAdapter(), disable_history=True),
                quiet(),
            ):
                return self._policy.search(task)
        except Halt as halt:
            if not isinstance(halt.error, BudgetSpent):
                raise
            self._note("The program called its model more often than planned, so the optimizer ended early")
            return []

    def _finalists(self, unscored: Sequence[Candidate], *, exclude: set[str]) -> list[Candidate]:
        """The few best by their mean, pulled towards the mean of all where few documents were seen."""
        log = self._bench.log
        known = {key: list(scores.values()) for key, scores in log.scores.items() if key not in exclude}
        everything = [score for scores in known.values() for score in scores]
        prior = sum(everything) / len(everything) if everything else 0.0
        mean = {key: (sum(scores) + _SHRINKAGE * prior) / (len(scores) + _SHRINKAGE) for key, scores in known.items()}
        new = [one for one in unscored if one.key not in known and one.key not in exclude]
        by_mean = sorted((log.candidates[key] for key in mean), key=lambda one: -mean[one.key])
        # What was never scored, such as BootstrapFewShot's one result, takes part, but not all of the places.
        return _distinct([*new[: _FINALISTS - 1], *by_mean])[:_FINALISTS]


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({candidate.key: candidate for candidate in candidates}.values())


def _usable(examples: Sequence[dspy.Example]) -> list[dspy.Example]:
    """Examples with something to generate from: an empty document teaches nothing."""
    return [example for example in examples if not example.source.is_empty]


def _shuffled(examples: Sequence[dspy.Example], seed: int) -> list[dspy.Example]:
    # By id first, so that the order in which documents were read does not matter.
    found = sorted(_usable(examples), key=lambda example: str(example.source.id))
    random.Random(seed).shuffle(found)
    return found


@contextmanager
def _surfaced(model: str) -> Iterator[None]:
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
