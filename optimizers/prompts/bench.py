"""The bench that every stage of a compile works at: student, documents, metric, model, counters and the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dspy

from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.evaluation import (
    CompileMetric,
    GuardedMetric,
    JudgedQuery,
    generate_all,
    judge_all,
    query_of,
)
from inpars_plus.optimizers.prompts.trials import TrialLog
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs.outcomes import RejectedCandidate

__all__ = ["Attempt", "Bench"]


@dataclass(frozen=True)
class Attempt:
    """What one candidate wrote for one document.

    Attributes:
        example: the document.
        query: the first query; ``None`` where there is none.
        judged: what the metric says of it.
        score: mean score of all queries asked for.
        rejected: candidates that the program itself turned down.
        shown: what the model read of the document when it wrote the query; empty where the program does not say.
        others: the other queries asked for, each with what the metric says of it; ``None`` for one that is missing.
    """

    example: dspy.Example
    query: str | None
    judged: JudgedQuery
    score: float
    rejected: tuple[RejectedCandidate, ...] = ()
    shown: str = ""
    others: tuple[tuple[str | None, JudgedQuery], ...] = ()


@dataclass(frozen=True)
class Bench:
    """What stages share.

    Attributes:
        student: the program, asking once a query; candidates are applied to copies.
        metric: judges in batches.
        guarded: the same metric for DSPy's loops.
        lm: writes the queries.
        threads: calls at once.
        watch: counts calls and ends the compile.
        log: trials and scores.
    """

    student: dspy.Module
    metric: CompileMetric
    guarded: GuardedMetric
    lm: dspy.BaseLM
    threads: int
    watch: Watch
    log: TrialLog

    def attempt(self, work: Sequence[tuple[Candidate, Sequence[dspy.Example]]]) -> list[list[Attempt]]:
        """Let each candidate write for its documents, all at once, and judge all of it in one batch."""
        programs = [candidate.apply(self.student) for candidate, _ in work]
        tasks = [
            (program, example) for program, (_, examples) in zip(programs, work, strict=True) for example in examples
        ]
        predictions = generate_all(tasks, self.lm, threads=self.threads, watch=self.watch)
        self.watch.note(predictions)
        judgments = judge_all(self.metric, [example for _, example in tasks], predictions)
        attempts = iter(
            Attempt(
                example,
                query_of(prediction),
                judged[0],
                sum(one.score for one in judged) / len(judged),
                tuple(prediction.get("rejected") or ()) if prediction is not None else (),
                next(iter(prediction.get("shown") or ()), "") if prediction is not None else "",
                tuple((query_of(prediction, position), one) for position, one in enumerate(judged) if position),
            )
            for (_, example), prediction, judged in zip(tasks, predictions, judgments, strict=True)
        )
        return [[next(attempts) for _ in examples] for _, examples in work]

    def raise_if_nothing_was_read(self, *, certain: bool = False) -> None:
        """Raise if no reply of a chat model could be read so far; see :class:`Watch`.

        A completion model has no form to keep to: what it writes can be read, or is a bad reply like others.

        Raises:
            DeadModelError: there were replies, and none could be read.
        """
        if not isinstance(adapter_for(self.lm, None), CompletionAdapter):
            self.watch.raise_if_nothing_was_read(tokens=self.lm.kwargs.get("max_tokens"), certain=certain)

    def score(self, candidates: Sequence[Candidate], examples: Sequence[dspy.Example]) -> list[float]:
        """Mean score of candidates on the same documents; a document that a candidate was scored on is not asked again.

        Each candidate becomes one trial in the log.
        """
        missing = []
        for candidate in candidates:
            known = self.log.scores.get(candidate.key, {})
            missing.append((candidate, [example for example in examples if example.source.id not in known]))
        means = []
        for (candidate, _), attempts in zip(missing, self.attempt(missing), strict=True):
            known = self.log.scores.get(candidate.key, {})
            fresh = {attempt.example.source.id: attempt.score for attempt in attempts}
            scores = {example.source.id: {**known, **fresh}[example.source.id] for example in examples}
            self.log.record(candidate, scores)
            means.append(sum(scores.values()) / len(scores))
        return means
