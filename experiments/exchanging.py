"""Where several types are compiled: whether a type goes on with the program of another one.

In the run's directory::

    work/<type>/exchanged.json      the program to go on with
    trials/<type>-exchange.jsonl    what was compared
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.compiling import TypeCompile, described
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, say, write_text
from inpars_plus.optimizers.prompts.exchange import ExchangePlan, exchange_programs, plan_exchange
from inpars_plus.programs import OptimizerRecord, save_program

if TYPE_CHECKING:
    from inpars_plus.experiments.compile_programs import CompileSettings

__all__ = ["Exchanges", "exchange_plan"]

_OF_A_WARM_START = 3
"""A warm start spends a third of the budget, and its exchange a third of an exchange."""


def exchange_plan(settings: CompileSettings, *, types: int, validation: int) -> ExchangePlan | None:
    """What the exchange of one type may spend; ``None`` where there is none.

    Args:
        settings: of the job.
        types: that are compiled.
        validation: documents of the type to compare on.
    """
    if not settings.exchange:
        return None
    return plan_exchange(
        settings.budget // (_OF_A_WARM_START if settings.warm_start else 1),
        others=types - 1,
        validation=validation,
        calls_per_document=settings.queries_per_document,
    )


class Exchanges:
    """The exchanges of a run.

    Args:
        jobs: all types, each compiled.
        found: what the compiles found, by type.
        settings: of the job.
        bench: corpus, model and metric.
        steps: of the run.
    """

    def __init__(
        self,
        jobs: Sequence[TypeCompile],
        found: Mapping[str, dict[str, Any]],
        settings: CompileSettings,
        bench: Workbench,
        steps: Steps,
    ) -> None:
        self._jobs = {job.doc_type: job for job in jobs}
        self._found = found
        self._settings = settings
        self._bench = bench
        self._steps = steps
        # What a type may take over is the other's own program, never what that took over.
        several = settings.exchange and len(jobs) > 1
        self._own = {name: job.program("own") for name, job in self._jobs.items()} if several else {}

    def do(self, doc_type: str) -> dict[str, Any]:
        """Let a type take over the program of another one where that does better on its validation documents.

        Returns:
            What its compile found; where programs were compared with ``exchange``, and where another one took over with
            the prompt, optimizer and settings of that, scores of this comparison, and a note.
        """
        job, found = self._jobs[doc_type], self._found[doc_type]
        validation = job.documents.validation
        plan = exchange_plan(self._settings, types=len(self._jobs), validation=len(validation))
        if plan is None:
            if self._own:
                say(f"Too few documents or calls to try the programs of the other types for '{doc_type}'")
            return found
        inputs: dict[str, JSON] = {
            **job.measured_with(),
            "validation": documents_digest(validation),
            "programs": {name: program.card.digest for name, program in self._own.items()},
            "documents": [plan.first.documents, plan.documents],
        }
        files = [f"{job.work}/exchanged.json", f"trials/{job.name}-exchange.jsonl"]
        told = self._steps.do(f"exchange {doc_type}", inputs, lambda: self._exchange(job, plan, *files), files=files)
        told = dict(told)
        chosen, taken = told.pop("chosen"), told["taken_from"]
        if taken is None:
            return {**found, "exchange": told}
        job.donor = self._jobs[taken]
        note = (
            f"The program for '{taken}' does better on {told['documents']} validation documents ({told['other']:.3f} "
            f"against {told['own']:.3f}), and is taken over"
        )
        say(note)
        other = self._found[taken]
        return {
            **found,
            "exchange": {**told, "validation_before": found["validation"], "notes_before": found["notes"]},
            "chosen": chosen,
            "optimizer": other.get("optimizer", self._settings.optimizer),
            "settings": {**other["settings"], "taken_from": taken},
            # Of the documents of this comparison, which are not those that the compile ended on.
            "validation": {"own": told["own"], "after": told["other"]},
            "validation_documents": told["documents"],
            "notes": [note],
        }

    def _exchange(self, job: TypeCompile, plan: ExchangePlan, file: str, trials: str) -> dict[str, Any]:
        out = self._steps.directory
        exchange = exchange_programs(
            job.program("before"),
            self._own[job.doc_type],
            {name: program for name, program in self._own.items() if name != job.doc_type},
            valset=job.examples(job.documents.validation),
            metric=self._bench.metric,
            lm=self._bench.lm,
            plan=plan,
            seed=self._settings.seed,
            directory=out / job.work,
            threads=self._settings.threads,
        )
        source = self._found[exchange.taken or job.doc_type]
        made_by = OptimizerRecord(
            name=source.get("optimizer", self._settings.optimizer),
            settings={**source["settings"], "taken_from": exchange.taken or "none"},
        )
        program: Any = exchange.chosen.apply(job.program("before"))
        save_program(program, out / file, job.card(made_by))
        log = out / job.work / "trials.jsonl"
        # There is none where all types have come to the same prompt.
        write_text(out / trials, log.read_text(encoding="utf-8") if log.exists() else "")
        log.unlink(missing_ok=True)
        return {
            "taken_from": exchange.taken,
            "best_other": exchange.best,
            "own": exchange.own_score,
            "other": exchange.best_score,
            "documents": exchange.documents,
            "calls": exchange.calls,
            "chosen": described(exchange.chosen),
        }
