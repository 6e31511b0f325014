"""The stages of a compile, one after the other; see :mod:`inpars_plus.optimizers.prompts.harness` for what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.progress import say
from inpars_plus.lms.quiet import quiet
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.budget import BudgetPlan
from inpars_plus.optimizers.prompts.candidates import Candidate, predictor_of
from inpars_plus.optimizers.prompts.evaluation import judge_all
from inpars_plus.optimizers.prompts.halving import pool_prompts, rank_prompts
from inpars_plus.optimizers.prompts.harvest import Label, best_labels, demonstration_sets, harvest, human_labels
from inpars_plus.optimizers.prompts.policy import Policy, SearchTask
from inpars_plus.optimizers.prompts.pool import InstructionPool
from inpars_plus.optimizers.prompts.watch import BudgetSpent, Halt, WatchedProgram

__all__ = ["Result", "Stages"]

_MAX_LABELLED = 24
_SHRINKAGE = 10
_FINALISTS = 3


@dataclass(frozen=True)
class Result:
    """What the stages found; see :class:`inpars_plus.optimizers.prompts.harness.Compiled`."""

    chosen: Candidate
    validation: Mapping[str, float]
    documents: int
    labels: int
    settings: Mapping[str, int | float | str]
    best_pool_prompt: Candidate | None = None
    nearest: Candidate | None = None


class Stages:
    """The steps in their order; what they share is on the bench.

    Args:
        bench: program, model, metric, trial log and what watches over the calls.
        plan: what each stage may spend.
        policy: the optimizer proper.
        prompt_lm: writes instructions; ``None`` for the pool.
        pool: of the document type.
        forms: prompt forms to try; ``(None,)`` for a chat model.
        demonstrations: how many a prompt shows at most.
        seed: of what is drawn.
        human: examples of train documents, each with a query that a person wrote for it.
    """

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
        human: Sequence[tuple[dspy.Example, str]] = (),
    ) -> None:
        self._human = human
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

    def run(self, train: Sequence[dspy.Example], validation: Sequence[dspy.Example]) -> Result:
        """All steps."""
        log = self._bench.log
        self._preflight(train[: self._plan.preflight])
        log.stage = "pool"
        ranked = rank_prompts(self._bench, pool_prompts(self._pool, self._forms), validation, self._plan.pool)
        self._bench.raise_if_nothing_was_read()
        best_pool_prompt = ranked[0]
        labels, start = self._harvest(ranked, train, validation)
        accepted = [label for label in labels if label.accepted and not label.human]
        usable = [label for label in labels if label.usable]
        if len(usable) < 2:
            self._note(
                f"Only {len(accepted)} of the queries written for train documents passed every check, so "
                "demonstrations are few or of low quality"
            )
        labelled = [label.example for label in (usable if len(usable) >= 2 else labels)[:_MAX_LABELLED]]
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
        return Result(
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
        bench.watch.note(predictions)
        bench.raise_if_nothing_was_read(certain=True)
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
        seeds = self._seeds()
        seeded = [one.with_demonstrations(seeds, self._fields) for one in ranked[: first.prompts]]
        human = human_labels(self._bench, self._human)
        labels = best_labels([*human, *harvest(self._bench, seeded, train[: first.documents])])
        shown = self._with_demonstrations(ranked, labels, seeds)
        if shown:
            log.stage = "demonstrations"
            shown = rank_prompts(self._bench, shown, validation, self._plan.demonstrations)
        log.stage = "harvest 2"
        prompts = (shown or list(ranked))[: second.prompts]
        others = train[first.documents : first.documents + second.documents]
        labels = best_labels([*labels, *harvest(self._bench, prompts, others)])
        return labels, (shown or list(ranked))[0]

    def _seeds(self) -> list[dspy.Example]:
        """The pool's invented demonstrations, for a completion model; a chat model does well without."""
        if self._forms == (None,):
            return []
        invented = self._pool.demonstrations[: self._demonstrations]
        self._bench.log.names.update({one.document: f"pool:{number}" for number, one in enumerate(invented, start=1)})
        return [one.example(self._pool.name) for one in invented]

    def _with_demonstrations(
        self, ranked: Sequence[Candidate], labels: Sequence[Label], seeds: Sequence[dspy.Example]
    ) -> list[Candidate]:
        """Sets of demonstrations below the best two instructions; every other one is in the best form."""
        count = self._plan.demonstrations[0].prompts
        # The invented ones twice, once in another form: the labels have to be better than they are.
        sets = [list(seeds)] * min(2, count) if seeds else []
        sets += demonstration_sets(labels, size=self._demonstrations, sets=count - len(sets), seed=self._seed)
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
            bench=bench,
            calls=self._plan.optimizer,
            demonstrations=self._demonstrations,
            shown=frozenset(bench.log.names.get(demo.document, "") for demo in start.demonstrations),
            threads=bench.threads,
            seed=self._seed,
            note=self._note,
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
        except (Halt, BudgetSpent) as stop:
            if not isinstance(getattr(stop, "error", stop), BudgetSpent):
                raise
            self._note("The program called its model more often than planned, so the optimizer ended early")
            return []

    def _finalists(self, unscored: Sequence[Candidate], *, exclude: Set[str]) -> list[Candidate]:
        """The few best by their mean, pulled towards the mean of all where few documents were seen."""
        log = self._bench.log
        mean = self._shrunken_means(exclude)
        new = [one for one in unscored if one.key not in mean and one.key not in exclude]
        by_mean = sorted((log.candidates[key] for key in mean), key=lambda one: -mean[one.key])
        # What was never scored, such as BootstrapFewShot's one result, takes part, but not all of the places.
        return _distinct([*new[: _FINALISTS - 1], *by_mean])[:_FINALISTS]

    def _shrunken_means(self, exclude: Set[str] = frozenset()) -> dict[str, float]:
        """The mean score of each setting by its key, pulled towards the mean of all where few documents were seen."""
        scored = self._bench.log.scores
        known = {key: list(scores.values()) for key, scores in scored.items() if key not in exclude}
        everything = [score for scores in known.values() for score in scores]
        prior = sum(everything) / len(everything) if everything else 0.0
        return {key: (sum(scores) + _SHRINKAGE * prior) / (len(scores) + _SHRINKAGE) for key, scores in known.items()}


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({candidate.key: candidate for candidate in candidates}.values())
