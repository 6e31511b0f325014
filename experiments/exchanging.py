"""Where several types are compiled: whether a type goes on with the program of another one.

::

    <run>/work/<type>/exchanged.json      the program to go on with
    <run>/trials/<type>-exchange.jsonl    what was compared
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inpars_plus.experiments.compiling import TypeCompile, described
from inpars_plus.experiments.workbench import Steps, Workbench, documents_digest
from inpars_plus.foundation import JSON, say, write_text
from inpars_plus.optimizers.prompts.exchange import ExchangePlan, exchange_programs, plan_exchange
from inpars_plus.programs import OptimizerRecord, save_program

if TYPE_CHECKING:
    from inpars_plus.experiments.compile_programs import CompileSettings

__all__ = ["exchange_for", "exchange_plan"]


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
        settings.budget,
        others=types - 1,
        validation=validation,
        calls_per_document=settings.queries_per_document,
    )


def exchange_for(
    job: TypeCompile,
    jobs: Sequence[TypeCompile],
    found: Mapping[str, Any],
    settings: CompileSettings,
    bench: Workbench,
    steps: Steps,
) -> dict[str, Any]:
    """Let a type take over the program of another one where that does better on its validation documents.

    Args:
        job: the type.
        jobs: all types, each compiled.
        found: what its compile found.
        settings: of the job.
        bench: corpus, model and metric.
        steps: of the run.

    Returns:
        ``found``; where programs were compared with ``exchange``, and where another one took over also with its prompt,
        its scores and a note.
    """
    validation = [one for one in job.documents.validation if not one.is_empty]
    plan = exchange_plan(settings, types=len(jobs), validation=len(validation))
    if plan is None:
        return dict(found)
    own = job.program("own")
    others = {one.doc_type: one.program("own") for one in jobs if one is not job}
    inputs: dict[str, JSON] = {
        **job.measured_with(),
        "validation": documents_digest(validation),
        "own": own.card.digest,
        "others": {name: program.card.digest for name, program in others.items()},
        "documents": plan.documents,
    }
    file, trials = f"{job.work}/exchanged.json", f"trials/{job.name}-exchange.jsonl"

    def work() -> dict[str, Any]:
        say(f"Trying the programs of the other types for '{job.doc_type}'")
        folder = steps.directory / job.work
        exchange = exchange_programs(
            job.program("before"),
            own,
            others,
            valset=job.examples(validation),
            metric=bench.metric,
            lm=bench.lm,
            plan=plan,
            seed=settings.seed,
            directory=folder,
            threads=settings.threads,
        )
        made_by = OptimizerRecord(
            name=found["optimizer"], settings={**found["settings"], "taken_from": exchange.taken or "none"}
        )
        program: Any = exchange.chosen.apply(job.program("before"))
        save_program(program, steps.directory / file, job.card(made_by))
        log = folder / "trials.jsonl"
        # There is none where all types have come to the same prompt.
        write_text(steps.directory / trials, log.read_text(encoding="utf-8") if log.exists() else "")
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

    told = steps.do(f"exchange {job.doc_type}", inputs, work, files=[file, trials])
    exchanged = {name: value for name, value in told.items() if name != "chosen"}
    taken = told["taken_from"]
    job.taken_over = taken is not None
    if taken is None:
        return {**found, "exchange": exchanged}
    note = (
        f"The program for '{taken}' does better on {told['documents']} validation documents ({told['other']:.3f} "
        f"against {told['own']:.3f}), and is taken over"
    )
    say(note)
    return {
        **found,
        "exchange": {**exchanged, "validation_before": found["validation"]},
        "chosen": told["chosen"],
        "settings": {**found["settings"], "taken_from": taken},
        # Of the documents of this comparison, which are not those that the compile ended on.
        "validation": {"own": told["own"], "after": told["other"]},
        "validation_documents": told["documents"],
        "notes": [*found["notes"], note],
    }
