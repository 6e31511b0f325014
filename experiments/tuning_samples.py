"""The candidates of a round: sampled from the model that is tuned, asked of teachers, written by people; all judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dspy

from inpars_plus.corpora import Document
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import bar
from inpars_plus.metrics.cheats import FINDING_CHEATS, cheat_queries
from inpars_plus.metrics.query_metric import Judged, retrieval_score, summarize
from inpars_plus.optimizers.generators.candidates import Candidate, ScoredCandidate
from inpars_plus.optimizers.generators.sampling import SamplePlan, sample_candidates, worthy_openings
from inpars_plus.optimizers.prompts.evaluation import generate_all, query_of
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs import example_of

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings

__all__ = ["judged_candidates", "sample_round", "sampling_plan"]


def sampling_plan(settings: TuneSettings, openings: tuple[str, ...]) -> SamplePlan:
    """About a quarter of the samples go on from the prompt as it stands, the others from an opening.

    At least one of each: an opening that was never sampled with would be served unseen.
    """
    opened = max(1, settings.samples // 4)
    draws = min(SamplePlan().draws, settings.samples - opened)
    free = settings.samples - opened * draws
    return SamplePlan(free=free, opened=opened, draws=draws, openings=openings)


def sample_round(
    program: Any,
    documents: Sequence[Document],
    lm: dspy.LM,
    settings: TuneSettings,
    *,
    plan: SamplePlan,
    seed: int,
    teachers: Mapping[str, dspy.LM],
    human: Mapping[str, Sequence[str]],
) -> list[list[Candidate]]:
    """Candidates for documents, people's, cheats and teachers' first.

    Args:
        program: renders the prompts, and asks the teachers.
        documents: none is empty.
        lm: the model that is tuned.
        settings: of the job.
        plan: what is sampled of it.
        seed: of the samples.
        teachers: other models by name; each writes one query a document.
        human: document id → queries that people wrote.

    Returns:
        For each document its distinct candidates.
    """
    given: list[dict[str, str]] = [dict.fromkeys(human.get(one.id, ()), "human") for one in documents]
    if settings.offer_cheats:
        terms = [program.key_terms.of(one) for one in documents]
        for name in FINDING_CHEATS:
            cheats = cheat_queries(name, documents, terms, [""] * len(documents))
            for known, cheat in zip(given, cheats, strict=True):
                if cheat:
                    known.setdefault(" ".join(cheat.split()), f"cheat: {name}")
    examples = [example_of(one, key_terms=program.key_terms) for one in documents]
    for name, teacher in teachers.items():
        watch = Watch(model=str(teacher.model))
        taught = program.deepcopy()
        taught.set_lm(teacher)
        with bar(f"Asking {name}", len(examples)) as progress:
            replies = generate_all(
                [(taught, example) for example in examples],
                teacher,
                threads=settings.threads,
                watch=watch,
                on_done=progress.update,
            )
        for known, reply in zip(given, replies, strict=True):
            text = query_of(reply)
            if text:
                known.setdefault(text, str(teacher.model))
    with bar("Sampling", len(documents) * plan.calls) as progress:
        sampled = sample_candidates(
            program, documents, lm, plan, seed=seed, threads=settings.threads, on_done=progress.update
        )
    found = []
    for document, known, own in zip(documents, given, sampled, strict=True):
        prompt = program.completion_prompt(document, lm) if known else ""
        others = [
            Candidate(document_id=document.id, prompt=prompt, text=text, origin=origin, own=False)
            for text, origin in known.items()
        ]
        found.append([*others, *(one for one in own if one.text not in known)])
    return found


def judged_candidates(
    bench: Workbench,
    documents: Sequence[Document],
    candidates: Sequence[Sequence[Candidate]],
    *,
    openings: tuple[str, ...],
    guarded: bool,
) -> tuple[list[ScoredCandidate], dict[str, Any]]:
    """Candidates with their rewards, and what ``summary.json`` says of them.

    Args:
        bench: judges.
        documents: one a row of candidates.
        candidates: of each document.
        openings: that were given.
        guarded: reward by the whole metric; otherwise by retrieval alone.
    """
    judged: dict[tuple[int, int], Judged] = {}
    # One candidate of each document at a time: judged together, the later ones would count as duplicates.
    for turn in range(max(map(len, candidates), default=0)):
        there = [at for at, found in enumerate(candidates) if turn < len(found)]
        verdicts = bench.metric.judge([(documents[at], candidates[at][turn].text) for at in there])
        judged.update({(at, turn): verdict for at, verdict in zip(there, verdicts, strict=True)})
    scored = [
        ScoredCandidate.of(candidate, one, None if guarded else retrieval_score(one.rank))
        for at, found in enumerate(candidates)
        for turn, candidate in enumerate(found)
        for one in [judged[at, turn]]
    ]
    free = [one for (at, turn), one in judged.items() if candidates[at][turn].own and not candidates[at][turn].opening]
    return scored, {
        "documents": len(documents),
        "candidates": len(scored),
        "accepted": sum(one.accepted for one in scored) / max(1, len(scored)),
        "reward": sum(one.reward for one in scored) / max(1, len(scored)),
        "without_opening": summarize(free),
        "openings": worthy_openings(scored, openings),
    }
