"""Whether the program of another type of documents writes better for this one than the program compiled for it.

A search of some hundred calls does not find everything: the best prompt for abstracts may be better on news than the
one that was found for news. So where several types are compiled, each tries what the others have found. The programs of
the other types write for the same few validation documents; the best of them writes for all that the type's own program
is compared on. It takes over where its mean score over these is higher. Both are flattered a little: the own one was
chosen on some of the same documents, and the other one is the best of several on a quarter of them.

Instruction, prompt form and demonstrations are taken over; key terms are those of the corpus, which all share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dspy

from inpars_plus.foundation.progress import bar
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.budget import Rung
from inpars_plus.optimizers.prompts.candidates import Candidate, one_ask
from inpars_plus.optimizers.prompts.evaluation import CompileMetric, GuardedMetric
from inpars_plus.optimizers.prompts.halving import rank_prompts
from inpars_plus.optimizers.prompts.harness import shuffled, surfaced
from inpars_plus.optimizers.prompts.trials import TrialLog
from inpars_plus.optimizers.prompts.watch import Watch

__all__ = ["Exchange", "ExchangePlan", "exchange_programs", "plan_exchange"]

_OWN = "own"
_SHARE = 0.3
"""Of the budget of a compile; it comes on top."""
_LEAST_DOCUMENTS = 8
_LEAST_FIRST = 6
"""Documents for each of the others; on fewer, the best of many would be drawn by chance."""


@dataclass(frozen=True)
class ExchangePlan:
    """What an exchange may spend.

    Attributes:
        first: the programs of the other types on their first documents.
        rest: the best of them on the others.
        own: the type's own program on all of them; what it wrote while it was compiled is in the store of replies.
        calls_per_document: LM calls of a program call.
    """

    first: Rung
    rest: Rung
    own: Rung
    calls_per_document: int

    @property
    def documents(self) -> int:
        """Validation documents that both are scored on."""
        return self.own.documents

    @property
    def calls(self) -> int:
        """LM calls at most."""
        return (self.first.asks + self.rest.asks + self.own.asks) * self.calls_per_document


@dataclass(frozen=True)
class Exchange:
    """What came of it.

    Attributes:
        chosen: the setting to go on with.
        taken: the type whose program it is; ``None`` for the own one.
        best: the type of the best other program; ``None`` if none was tried.
        own_score: mean of the own program on the documents of the comparison; ``None`` if none was tried.
        best_score: that of the best other program.
        documents: how many these are.
        calls: LM calls, replayed ones included.
    """

    chosen: Candidate
    taken: str | None = None
    best: str | None = None
    own_score: float | None = None
    best_score: float | None = None
    documents: int = 0
    calls: int = 0


def plan_exchange(budget: int, *, others: int, validation: int, calls_per_document: int = 1) -> ExchangePlan | None:
    """How many documents an exchange takes.

    Args:
        budget: of the compile of the type; up to 30 % of it come on top.
        others: programs of other types.
        validation: documents to compare on, at most.
        calls_per_document: LM calls of a program call.

    Returns:
        The plan; ``None`` where there are too few documents or calls to tell programs apart.
    """
    if others < 1:
        return None
    asks = int(_SHARE * budget / calls_per_document)
    # Each of the others on a quarter of the documents, then the best on the rest, and the own one on all.
    documents = min(validation, int(asks / (others / 4 + 3 / 4 + 1)))
    first = documents // 4
    if first < _LEAST_FIRST:
        first = _LEAST_FIRST
        documents = min(validation, (asks - (others - 1) * first) // 2)
    if documents < _LEAST_DOCUMENTS:
        return None
    return ExchangePlan(
        first=Rung(prompts=others, documents=first),
        rest=Rung(prompts=1, documents=documents - first),
        own=Rung(prompts=1, documents=documents),
        calls_per_document=calls_per_document,
    )


def exchange_programs(
    student: dspy.Module,
    own: dspy.Module,
    others: Mapping[str, dspy.Module],
    *,
    valset: Sequence[dspy.Example],
    metric: CompileMetric,
    lm: dspy.BaseLM,
    plan: ExchangePlan,
    seed: int = 0,
    directory: Path | None = None,
    threads: int = 16,
) -> Exchange:
    """Compare a type's compiled program with those of other types on its validation documents.

    Args:
        student: the uncompiled program of this type; it is not changed.
        own: the compiled one.
        others: compiled programs of other types, of the same kind, by type.
        valset: examples of validation documents, those that the type was compiled with.
        metric: as of the compile.
        lm: as of the compile.
        plan: from :func:`plan_exchange`.
        seed: as of the compile.
        directory: where ``trials.jsonl`` goes; ``None`` writes nothing.
        threads: calls at once.

    Raises:
        DeadModelError: the model does not answer, or fails too often.
        SpendingCapError: the cap is reached; finished calls are kept by the store of replies.
    """
    # The last ones come first: the own program wrote for some of them at the end of its compile, and replies are kept.
    validation = shuffled(valset, seed)[::-1][: plan.documents]
    kept = Candidate.of(own, origin=_OWN)
    tried = {name: Candidate.of(one, origin=name) for name, one in others.items()}
    described = {**tried, _OWN: kept}
    names = {one.key: name for name, one in reversed(tried.items()) if one.key != kept.key}
    rivals = [tried[name] for name in tried if names.get(tried[name].key) == name]
    if not rivals:
        return Exchange(kept)
    shown = {
        demo.get("document", ""): f"{name}:{at}"
        for name, one in described.items()
        for at, demo in enumerate(one.demonstrations, 1)
    }
    with bar(f"Comparing programs, {validation[0].source.doc_type}", plan.calls) as progress:
        watch = Watch(model=str(lm.model), on_call=progress.update)
        trials = None if directory is None else directory / "trials.jsonl"
        log = TrialLog(trials, calls=lambda: watch.calls, names=shown)
        log.stage = "exchange"
        bench = Bench(one_ask(student), metric, GuardedMetric(metric, watch), lm, threads, watch, log)
        with surfaced(str(lm.model)), quiet_logs():
            best = rank_prompts(bench, rivals, validation, [plan.first, plan.rest])[0]
            best_score, own_score = bench.score([best, kept], validation)
    name = names[best.key]
    taken = best_score > own_score
    return Exchange(
        chosen=best if taken else kept,
        taken=name if taken else None,
        best=name,
        own_score=own_score,
        best_score=best_score,
        documents=len(validation),
        calls=watch.calls,
    )
