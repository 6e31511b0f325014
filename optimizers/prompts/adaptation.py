"""Prompt adaptation: measure an instruction, say what fails under it, revise it, and keep only what is shown to help.

A round: the current instruction writes for some train documents; a proposer reads what was measured of them
(:class:`inpars_plus.programs.InstructionAdapter`) and writes a revision; the revision writes for validation documents
that the current instruction has written for too. Without a model that can write, the revisions come from the pool.

When is a revision better? A paired difference of scores scatters by about .45, so its mean over 24 to 64 documents has
a standard error of .09 to .06, and every other useless revision would look better by chance. So:

* documents are compared one by one with those of the current instruction, which no diagnosis has seen;
* a revision that is not ahead on the first third of them is rejected there, because going on costs calls;
* over all of them, the mean difference must be above 0 and a one-sided sign-flip test of the paired differences
  (Fisher, 1935) must give p <= .05 / tries (Bonferroni). The same documents are used for all tries, and this bound
  holds for any dependence between the tests: the chance that a search accepts any revision that is no better is at most
  .05, and for one that does harm far less. The first look can only reject, so it does not weaken the bound;
* no such test gives less than 2^-n with n documents, so no more is tried than this can accept: nothing with 4
  documents, one revision with 5, three with 6.

With 64 documents and four tries, simulated scores of that scatter were accepted for a gain of .22 in 9 of 10 cases, for
one of .13 in 4, for one of .05 in less than 1, without a gain in 1 to 2 of 100, and for a loss of .09 in none of 300.
Turning small gains down is the price; the final comparison of the harness would not tell them from noise either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dspy

from inpars_plus.corpora.ledger import LedgerEntry
from inpars_plus.foundation.progress import say
from inpars_plus.metrics.significance import paired_randomization
from inpars_plus.optimizers.prompts.bench import Attempt, Bench
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.policy import SearchTask
from inpars_plus.optimizers.prompts.proposers import InstructionProposer, ModelProposer, PoolTexts
from inpars_plus.programs.performance import measured_performance
from inpars_plus.signatures.diagnose_failures import MeasuredPerformance

__all__ = [
    "SIGNIFICANCE",
    "Adaptation",
    "AdaptationPolicy",
    "AdaptationSchedule",
    "Try",
    "adapt_instruction",
    "most_tries",
]

SIGNIFICANCE = 0.05
"""The chance that a whole search accepts a revision that is no better, at most."""

_MOST_DOCUMENTS = 64
_LEAST_DOCUMENTS = 4
_MOST_TRIES = 8
_MODEL_CALLS = 2
_SHOWN_TERMS = 5


@dataclass(frozen=True)
class AdaptationSchedule:
    """How an adaptation spends its program calls.

    Attributes:
        validation: documents of a whole comparison.
        first_look: those of them after which a revision that is not ahead is rejected.
        diagnosis: train documents of a report; 0 where nobody reads it.
        tries: revisions at most; the bound for accepting one is divided by it. 0 where none could be accepted.
    """

    validation: int
    first_look: int
    diagnosis: int
    tries: int

    @classmethod
    def within(cls, calls: int, *, train: int, validation: int, reads: bool) -> AdaptationSchedule:
        """The schedule for so many calls, where every other revision is rejected at the first look.

        Args:
            calls: of the program, and of a model that reads reports.
            train: documents that reports can be measured on.
            validation: documents that revisions can be compared on.
            reads: whether anybody reads reports.
        """
        documents = min(validation, max(_LEAST_DOCUMENTS, min(_MOST_DOCUMENTS, calls // 3)))
        first = max(2, documents // 3)
        diagnosis = min(train, max(_LEAST_DOCUMENTS, documents // 3)) if reads else 0
        cost = diagnosis + _MODEL_CALLS * reads + (first + documents) / 2
        tries = max(1, min(_MOST_TRIES, int((calls - documents) / cost)))
        return cls(documents, first, diagnosis, min(tries, most_tries(documents)))

    @property
    def dearest_try(self) -> int:
        """Calls of a try whose revision is scored on all documents."""
        return self.diagnosis + (_MODEL_CALLS if self.diagnosis else 0) + self.validation

    def fits(self, calls: int) -> bool:
        """Whether so many calls are enough to compare a revision, and the documents to accept one."""
        return self.tries > 0 and self.validation + self.dearest_try <= calls

    @property
    def level(self) -> float:
        """The p of a single test, at most."""
        return SIGNIFICANCE / max(1, self.tries)


def most_tries(documents: int) -> int:
    """How many revisions a comparison on so many documents can tell from chance; with more none could be accepted.

    The smallest one-sided p of a sign-flip test of n differences is 2^-n, where all of them are above 0.
    """
    return int(SIGNIFICANCE * 2**documents)


@dataclass(frozen=True)
class Try:
    """One proposal and what became of it.

    Attributes:
        instruction: the revision; ``None`` where none came.
        accepted: whether it became the current instruction.
        reason: why, or why not, as a sentence.
        documents: validation documents that it was scored on.
        difference: mean paired difference to the instruction that was current; ``None`` where nothing was scored.
    """

    instruction: str | None
    accepted: bool
    reason: str
    documents: int = 0
    difference: float | None = None


@dataclass(frozen=True)
class Adaptation:
    """What an adaptation gave.

    Attributes:
        chosen: the setting with the last accepted instruction, or the one that it began with.
        tries: all proposals, in order.
    """

    chosen: Candidate
    tries: tuple[Try, ...]


def adapt_instruction(
    bench: Bench,
    start: Candidate,
    proposer: InstructionProposer,
    schedule: AdaptationSchedule,
    *,
    train: Sequence[dspy.Example],
    validation: Sequence[dspy.Example],
    calls: int,
    seed: int,
) -> Adaptation:
    """Revise the instruction of a setting; form and demonstrations stay.

    Args:
        bench: program, model, metric and log; each proposal becomes a trial in it.
        start: the setting to begin with.
        proposer: where revisions come from.
        schedule: how many documents and tries.
        train: what reports are measured on, a fresh stretch a try, from the beginning again at the end.
        validation: what revisions are compared on.
        calls: program calls at most; a model's own calls count too. Nothing is called where no revision could be
            compared.
        seed: of the sign flips.
    """
    compared = validation[: schedule.validation]
    if not schedule.fits(calls):
        return Adaptation(start, ())
    bench.score([start], compared)
    known = bench.log.scores[start.key]
    best = [known[example.source.id] for example in compared]
    current, seen, tries = start, {start.instruction}, list[Try]()
    spent = len(compared)
    while len(tries) < schedule.tries and spent + schedule.dearest_try <= calls:
        at = len(tries) * schedule.diagnosis
        documents = [train[(at + step) % len(train)] for step in range(min(schedule.diagnosis, len(train)))]
        setting = current
        proposal = proposer.propose(current.instruction, lambda: _measured(bench, setting, documents))  # noqa: B023
        if proposal is None:
            break
        spent += schedule.dearest_try - schedule.validation
        if proposal.instruction is None or proposal.instruction in seen:
            told = "it was tried before" if proposal.instruction else f"no revision came: {proposal.reason}"
            tries.append(Try(proposal.instruction, False, told))
            bench.log.record(replace(current, instruction=proposal.instruction or ""), {}, accepted=False, reason=told)
            continue
        seen.add(proposal.instruction)
        revised = replace(current, instruction=proposal.instruction, origin="adapt")
        one, scores = _compared(bench, revised, compared, best, schedule, seed=seed + len(tries))
        spent += len(scores)
        named = {example.source.id: score for example, score in zip(compared, scores, strict=False)}
        bench.log.record(revised, named, accepted=one.accepted, reason=one.reason)
        tries.append(one)
        if one.accepted:
            current, best = revised, scores
    return Adaptation(current, tuple(tries))


def _compared(
    bench: Bench,
    revised: Candidate,
    examples: Sequence[dspy.Example],
    before: Sequence[float],
    schedule: AdaptationSchedule,
    *,
    seed: int,
) -> tuple[Try, list[float]]:
    """Whether a revision is better, and its scores on the documents that it took to tell."""
    first = [attempt.score for attempt in bench.attempt([(revised, examples[: schedule.first_look])])[0]]
    ahead = _mean_difference(before, first)
    if ahead <= 0:
        told = f"{ahead:+.3f} on the first {len(first)} documents"
        return Try(revised.instruction, False, told, len(first), ahead), first
    rest = [attempt.score for attempt in bench.attempt([(revised, examples[schedule.first_look :])])[0]]
    scores = [*first, *rest]
    difference = _mean_difference(before, scores)
    # Two-sided as it comes; where the mean is above 0, half of it is the one-sided p.
    p = paired_randomization(before, scores, seed=seed) / 2
    accepted = difference > 0 and p <= schedule.level
    told = f"{difference:+.3f} on {len(scores)} documents, p {p:.4f}, at most {schedule.level:.4f} would do"
    return Try(revised.instruction, accepted, told, len(scores), difference), scores


def _mean_difference(before: Sequence[float], after: Sequence[float]) -> float:
    return sum(two - one for one, two in zip(before, after, strict=False)) / max(1, len(after))


def _measured(bench: Bench, setting: Candidate, examples: Sequence[dspy.Example]) -> MeasuredPerformance:
    """What the setting's queries for some documents come to."""
    (attempts,) = bench.attempt([(setting, examples)])
    scores = {attempt.example.source.id: attempt.score for attempt in attempts}
    bench.log.record(setting, scores, counts=False)  # no rival is scored on train documents
    entries = [entry for attempt in attempts for entry in _entries(attempt)]
    key_terms: Any = getattr(bench.student, "key_terms", None)
    terms = {
        example.source.id: list(example.get("key_terms") or ())
        if key_terms is None
        else key_terms.of(example.source, _SHOWN_TERMS)
        for example in examples
    }
    return measured_performance(entries, instruction=setting.instruction, key_terms=terms)


def _entries(attempt: Attempt) -> Iterator[LedgerEntry]:
    """One attempt as the ledger would have it."""
    identifier = str(attempt.example.source.id)
    for candidate in attempt.rejected:
        yield LedgerEntry(
            document_id=identifier, candidate=candidate.text, accepted=False, reason=candidate.reason, program="adapt"
        )
    for query, one in [(attempt.query, attempt.judged), *attempt.others]:
        if query is None and attempt.rejected:
            continue
        judged: Any = one  # a metric of one's own may know no reasons and no ranks
        yield LedgerEntry(
            document_id=identifier,
            candidate=query or "",
            accepted=judged.accepted,
            reason=None if judged.accepted else getattr(judged, "reason", None) or "not_accepted",
            scores={"rank": getattr(judged, "rank", None)},
            program="adapt",
        )


class AdaptationPolicy:
    """Adaptation of the student's instruction; its form and demonstrations stay."""

    def settings(self, task: SearchTask) -> dict[str, int | float | str]:
        """The numbers it searches with."""
        schedule = _schedule(task)
        return {
            "tries": schedule.tries,
            "validation_documents": schedule.validation,
            "first_look_documents": schedule.first_look,
            "diagnosis_documents": schedule.diagnosis,
            "significance": SIGNIFICANCE,
            "proposer": task.prompt_lm.model if task.prompt_lm is not None else "pool",
        }

    def search(self, task: SearchTask) -> list[Candidate]:
        """See :class:`inpars_plus.optimizers.prompts.policy.Policy`."""
        start = Candidate.of(task.student.program, origin="adapt")
        proposer: InstructionProposer
        if task.prompt_lm is None:
            say("There is no model that can write instructions, so revisions are those of the pool")
            proposer = PoolTexts(task.instructions)
        else:
            proposer = ModelProposer(task.prompt_lm)
        # Where the student was chosen its scores are too good to be true; other documents come first.
        chosen_on = task.bench.log.scores.get(start.key, {})
        validation = sorted(task.validation, key=lambda example: example.source.id in chosen_on)
        schedule = _schedule(task)
        found = adapt_instruction(
            task.bench,
            start,
            proposer,
            schedule,
            train=_reported(task),
            validation=validation,
            calls=task.calls,
            seed=task.seed,
        )
        if isinstance(proposer, ModelProposer):
            proposer.raise_if_dead()
        if found.tries:
            say(f"{sum(one.accepted for one in found.tries)} of {len(found.tries)} revisions were accepted")
        elif schedule.fits(task.calls):
            task.note("No revision was tried: the pool has no other instruction")
        else:
            task.note(
                f"No revision was tried: {len(validation)} validation documents and {task.calls} calls are too few to "
                "show that one helps"
            )
        return [found.chosen] if found.chosen.key != start.key else []


def _schedule(task: SearchTask) -> AdaptationSchedule:
    return AdaptationSchedule.within(
        task.calls, train=len(_reported(task)), validation=len(task.validation), reads=task.prompt_lm is not None
    )


def _reported(task: SearchTask) -> Sequence[dspy.Example]:
    """What reports are measured on: train documents that the prompt does not show, where there are any."""
    return [example for example in task.train if example.source.id not in task.shown] or task.train
