"""Adaptation on the documents of one type, with every proposal scored on test documents; and a scripted proposer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import dspy

from inpars_plus.corpora import Document
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.selection import TypeDocuments, safe_name
from inpars_plus.experiments.warm_starts import warm_programs
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, ConfigurationError, bar, digest
from inpars_plus.lms import scripted_lm
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import Candidate, pool_for
from inpars_plus.optimizers.prompts.adaptation import AdaptationSchedule, adapt_instruction, most_tries
from inpars_plus.optimizers.prompts.bench import Bench
from inpars_plus.optimizers.prompts.candidates import one_ask
from inpars_plus.optimizers.prompts.evaluation import GuardedMetric
from inpars_plus.optimizers.prompts.proposers import ModelProposer
from inpars_plus.optimizers.prompts.trials import TrialLog
from inpars_plus.optimizers.prompts.warm_start import starting_points
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs import KeyTerms, QueryGenerator, example_of

if TYPE_CHECKING:
    from inpars_plus.experiments.measure_adaptation import MeasureAdaptationSettings

__all__ = ["HARMFUL", "SCRIPTED", "MeasuredAdaptation", "scripted_proposer"]

SCRIPTED = "scripted"
HARMFUL = (
    "Copy the first sentence.",
    "Write the title.",
    "Write one word.",
    "Each text is followed by its translation into French.",
)
"""Revisions that are meant to make queries useless; none of them is a task of writing queries."""

_DIAGNOSIS = {
    "reasoning": "As the script says.",
    "diagnosis": {"patterns": ["Queries are vague."], "missed_aspects": []},
}


def scripted_proposer(doc_type: str, tries: int) -> tuple[dspy.LM, list[str]]:
    """A model that offers good revisions and ones that are meant to harm in turn, whatever it reads; and these.

    Args:
        doc_type: whose pool the good ones are from.
        tries: at most two for each harmful revision; beyond that they come again.
    """
    good = pool_for(doc_type).texts
    # A good one first: from a start that is no good there is nothing to be harmed.
    pairs = ((good[at % len(good)], HARMFUL[at % len(HARMFUL)]) for at in range(tries))
    revisions = [text for pair in pairs for text in pair][:tries]
    left = iter(revisions)

    def reply(prompt: str) -> str:
        asked = prompt.rpartition("Respond with")[2]
        return json.dumps(
            {"reasoning": "As the script says.", "revision": {"text": next(left)}}
            if "revision" in asked
            else _DIAGNOSIS
        )

    return scripted_lm(reply, chat=True, name="scripted/proposer"), revisions


class MeasuredAdaptation:
    """Adaptations on the documents of one type and seed.

    Args:
        doc_type: the type.
        documents: of this type; those that a compiled program shows are left out.
        key_terms: of the whole corpus.
        settings: of the job.
        bench: corpus, model and metric.
        steps: of the run.
        seed: of everything random.
        proposers: models that write revisions, by their names.

    Raises:
        ConfigurationError: no revision could be accepted with so many tries on so few documents, or there are several
            programs to begin with.
    """

    def __init__(
        self,
        doc_type: str,
        documents: TypeDocuments,
        key_terms: KeyTerms,
        settings: MeasureAdaptationSettings,
        bench: Workbench,
        steps: Steps,
        seed: int,
        proposers: Mapping[str, dspy.LM],
    ) -> None:
        self._doc_type = doc_type
        self._key_terms = key_terms
        self._settings = settings
        self._bench = bench
        self._steps = steps
        self._seed = seed
        self._proposers = proposers
        student = QueryGenerator(key_terms=key_terms)
        if settings.program is not None:
            given = starting_points(student, warm_programs([settings.program], what="an adaptation"))
            if len(given) > 1:
                raise ConfigurationError(
                    f"an adaptation begins with one program, and here are {len(given)}",
                    place=str(settings.program),
                    remedy="Name the file of one",
                )
            student = next(iter(given.values())).apply(student)
        self._student = one_ask(student)
        self._first = Candidate.of(self._student)
        self._documents = TypeDocuments(
            *(self._unseen(part) for part in (documents.train, documents.validation, documents.test))
        )
        self._compared = min(settings.validation_documents, len(self._documents.validation))
        most = most_tries(self._compared)
        if settings.tries > most:
            raise ConfigurationError(
                f"with {self._compared} validation documents of type '{doc_type}' none of {settings.tries} revisions "
                "could be accepted, whatever it does",
                place="--tries",
                remedy=f"Give more documents, or at most {most} tries" if most else "Give more documents",
            )

    def _unseen(self, documents: list[Document]) -> list[Document]:
        """Those that no demonstration shows, where there are any."""
        shown = [f" {' '.join(str(one.get('document', '')).split())} " for one in self._first.demonstrations]
        texts = [example_of(one, key_terms=self._key_terms).document for one in documents]
        kept = [
            document
            for document, text in zip(documents, texts, strict=True)
            if not any(one in f" {' '.join(text.split())} " for one in shown)
        ]
        return kept or documents

    def by(self, proposer: str) -> dict[str, Any]:
        """What became of one proposer's revisions.

        Raises:
            DeadModelError: a model does not answer, be it that of the proposer.
        """
        lm, revisions = (
            scripted_proposer(self._doc_type, self._settings.tries)
            if proposer == SCRIPTED
            else (self._proposers[proposer], None)
        )
        # A name stays when what it stands for is another checkpoint or another script.
        inputs = {
            **self._inputs(),
            "proposer": str(lm.model),
            "revisions": revisions,
            "tries": self._settings.tries,
        }
        name = f"{self._doc_type}, seed {self._seed}, {proposer}"
        found: dict[str, Any] = self._steps.do(f"adapt {name}", inputs, lambda: self._adapt(lm))
        current = self._first.instruction
        first = self._scores(current)
        for one in found["tries"]:
            if one["instruction"] is None:
                continue
            scores = self._scores(one["instruction"])
            one["test"] = paired_bootstrap(self._scores(current), scores, seed=self._seed).as_dict()
            current = one["instruction"] if one["accepted"] else current
        final = self._scores(current)
        return {
            "seed": self._seed,
            **found,
            "first": sum(first) / len(first),
            "final": sum(final) / len(final),
            "difference": paired_bootstrap(first, final, seed=self._seed).as_dict(),
        }

    def _adapt(self, lm: dspy.LM) -> dict[str, Any]:
        tries, documents, train = self._settings.tries, self._compared, self._examples("train")
        first_look = max(2, documents // 3)
        schedule = AdaptationSchedule(documents, first_look, min(first_look, len(train)), tries)
        proposer, calls = ModelProposer(lm), documents + tries * schedule.dearest_try
        with bar(f"Adapting, {self._doc_type}", calls) as progress:
            bench = self._tools(progress.update)
            with dspy.context(callbacks=[*dspy.settings.callbacks, bench.watch], disable_history=True), quiet_logs():
                found = adapt_instruction(
                    bench,
                    self._first,
                    proposer,
                    schedule,
                    train=train,
                    validation=self._examples("validation"),
                    calls=calls,
                    seed=self._seed,
                )
        # Inside the step, or a server that was down would stand as a finished result.
        proposer.raise_if_dead()
        return {
            "tries": [asdict(one) for one in found.tries],
            "chosen": found.chosen.instruction,
            "calls": bench.watch.calls,
        }

    def _scores(self, instruction: str) -> list[float]:
        """The score of an instruction on each test document."""
        inputs = {**self._inputs(), "test": documents_digest(self._documents.test), "instruction": instruction}

        def work() -> list[float]:
            candidate = Candidate(instruction, self._first.form, self._first.demonstrations)
            examples = self._examples("test")
            with bar(f"Scoring an instruction, {self._doc_type}", len(examples)) as progress, quiet_logs():
                (attempts,) = self._tools(progress.update).attempt([(candidate, examples)])
            return [round(attempt.score, 6) for attempt in attempts]

        name = f"score {safe_name(self._doc_type)}, seed {self._seed}, {digest(instruction)[:12]}"
        scores: list[float] = self._steps.do(name, inputs, work)
        return scores

    def _tools(self, on_call: Callable[[int], object]) -> Bench:
        lm, metric = self._bench.lm, self._bench.metric
        watch = Watch(model=str(lm.model), on_call=on_call)
        log = TrialLog(None, calls=lambda: watch.calls, names={})
        return Bench(self._student, metric, GuardedMetric(metric, watch), lm, self._settings.threads, watch, log)

    def _examples(self, part: str) -> list[dspy.Example]:
        return [example_of(one, key_terms=self._key_terms) for one in getattr(self._documents, part)]

    def _inputs(self) -> dict[str, JSON]:
        return {
            "corpus": self._bench.corpus.digest(),
            "lm": str(self._bench.lm.model),
            "api_base": self._bench.address(self._settings.lm),
            "retriever": self._bench.retriever_key,
            "train": documents_digest(self._documents.train),
            "validation": documents_digest(self._documents.validation),
            "first": self._first.key,
            "seed": self._seed,
            **self._bench.asked_with,
        }
