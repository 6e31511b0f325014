"""A warm start: a new document type begins with the nearest compiled program instead of with nothing.

Which program is nearest is measured, not guessed from the documents' vectors: each given program writes for the same
few train documents, and the one with the best score is taken. What a program is worth on other documents follows its
prompt more than its type (a program for abstracts was better on news than the one compiled for news), no vectors have
to be stored beside programs, and the calls are not lost: what they write, and the nearest one writes for some more
documents, becomes the self-written labels of the new type.

1. **preflight**, as in a cold start;
2. **nearest**: each given program on the same train documents, and beside them what the pool has for the new type: its
   first instruction with its invented examples. Programs of other types may all be poor, and what they wrote would be
   poor labels;
3. **harvest**: the best of these prompts on other train documents;
4. **demonstrations**, by successive halving: the nearest program as it is; the pool's prompt; the nearest program with
   the pool's examples; and the best prompt with labels of the new type, and with some of its own and some labels;
5. **final**: the best few and the nearest program as it is. With so few calls every comparable score counts: the choice
   is by the mean over the validation documents that all of these were scored on, here or in step 4. Train documents do
   not count, because only the starting prompts wrote for them.

The search of the pool, other prompt forms and the optimizer proper are left out, so the whole takes less than a
third of the budget.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.progress import say
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.optimizers.prompts.halving import rank_prompts
from inpars_plus.optimizers.prompts.harvest import Label, best_labels, demonstration_sets, harvest, human_labels
from inpars_plus.optimizers.prompts.stages import Result, Stages
from inpars_plus.programs.fingerprints import differences, fingerprint
from inpars_plus.programs.query_generator import QueryGenerator

__all__ = ["WARM_START", "WarmStages", "starting_points"]

WARM_START = "warm-start"
"""Stands where a cold start names its optimizer."""

_BEST_LABELS = 12
_MIXED_SETS = 2


def starting_points(student: dspy.Module, programs: Sequence[dspy.Module]) -> dict[str, Candidate]:
    """The settings of compiled programs, for a program of the same kind.

    Only instruction, prompt form and demonstrations are taken over. The key terms are the student's, of its corpus. For
    a generator that asks about parts, or for a constraint, programs of every kind that writes queries will do, as they
    do where queries are generated; what is shown to one that asks about documents must be documents.

    Returns:
        The settings by the type of documents that each was compiled for; with a number where there are several.

    Raises:
        ConfigurationError: a program is of a class that will not do, or was made for another signature.
    """
    found: dict[str, Candidate] = {}
    for number, program in enumerate(programs, 1):
        card = getattr(program, "card", None)
        place = str(card.path) if card is not None else f"program {number} of the warm start"
        if isinstance(program, QueryGenerator) and isinstance(student, QueryGenerator):
            kind = type(student)
            program = program if kind is QueryGenerator else kind.from_program(program)
        if type(program) is not type(student):
            raise ConfigurationError(
                f"a {type(student).__name__} cannot start from a {type(program).__name__}",
                place=place,
                remedy="Name programs that compile-programs compiled for whole documents, without --granularity",
            )
        told = differences(fingerprint(program), fingerprint(student))
        if told:
            raise ConfigurationError(
                f"the program has another signature: {'; '.join(told)}", place=place, remedy="Compile it again"
            )
        name = card.document_type if card is not None else f"program {number}"
        point = Candidate.of(program, origin="start")
        # A type may have taken over the program of another one; the same prompt is tried once.
        if all(point.key != other.key for other in found.values()):
            found[name if name not in found else f"{name} ({number})"] = point
    return found


class WarmStages(Stages):
    """The stages of a warm start.

    Args:
        parts: as for :class:`~inpars_plus.optimizers.prompts.stages.Stages`.
        starts: from :func:`starting_points`, by name; at least one.
        more: as there.
    """

    def __init__(self, *parts: Any, starts: Mapping[str, Candidate], **more: Any) -> None:
        super().__init__(*parts, **more)
        self._starts = starts

    def run(self, train: Sequence[dspy.Example], validation: Sequence[dspy.Example]) -> Result:
        """All steps."""
        bench, log = self._bench, self._bench.log
        first, second = self._plan.harvest
        invented = self._seeds()
        pool = Candidate(self._pool.texts[0], self._forms[0], origin="pool").with_demonstrations(invented, self._fields)
        starts = list({one.key: one for one in [*self._starts.values(), pool]}.values())[: first.prompts]
        self._preflight(train[: self._plan.preflight])
        for name, start in self._starts.items():
            log.names.update(
                {demo.get("document", ""): f"{name}:{at}" for at, demo in enumerate(start.demonstrations, 1)}
            )
        log.stage = "nearest"
        labels = harvest(bench, starts, train[: first.documents])
        bench.raise_if_nothing_was_read()
        ids = [str(example.source.id) for example in train[: first.documents]]
        scores = {name: log.mean(start, ids) or 0.0 for name, start in self._starts.items()}
        name = max(scores, key=scores.__getitem__)
        nearest = self._starts[name]
        say(f"The nearest program is that for {name}: score {scores[name]:.3f} on {len(ids)} train documents")
        best = max(starts, key=lambda one: (log.mean(one, ids) or 0.0, one.key == nearest.key))
        if best.key != nearest.key:
            say(f"The pool's examples for '{self._pool.name}' are better there: {log.mean(best, ids):.3f}")
        log.stage = "harvest"
        others = train[first.documents : first.documents + second.documents]
        human = human_labels(bench, self._human)
        labels = best_labels([*human, *labels, *harvest(bench, [best], others)])
        usable = [label for label in labels if label.usable]
        log.stage = "demonstrations"
        as_they_are = [nearest, *(one for one in starts if one.key == pool.key)]
        if invented and len(as_they_are) > 1:
            as_they_are.append(nearest.with_demonstrations(invented, self._fields))
        settings = self._settings_with_demonstrations(as_they_are, best, usable)
        ranked = rank_prompts(bench, settings, validation, self._plan.demonstrations)
        log.stage = "final"
        finalists = list({one.key: one for one in (nearest, *ranked)}.values())[: self._plan.final.prompts]
        documents = validation[-self._plan.final.documents :]
        final = dict(zip([one.key for one in finalists], bench.score(finalists, documents), strict=True))
        scored = [log.scores[one.key].keys() for one in finalists]
        shared = [str(one.source.id) for one in validation if all(one.source.id in known for known in scored)]
        chosen = max(finalists, key=lambda one: log.mean(one, shared) or 0.0)
        if chosen.key == nearest.key:
            self._note("No other demonstrations were better than those of the nearest program")
        elif chosen.key == pool.key:
            self._note("Nothing was better than the pool's examples for this type; the other programs gave nothing")
        return Result(
            chosen=chosen,
            nearest=nearest,
            validation={"nearest": final[nearest.key], "after": final[chosen.key]},
            documents=len(documents),
            labels=sum(label.accepted and not label.human for label in labels),
            settings={
                "programs": len(self._starts),
                "nearest": name,
                "nearest_documents": first.documents,
                "demonstration_sets": len(settings),
            },
        )

    def _settings_with_demonstrations(
        self, as_they_are: Sequence[Candidate], best: Candidate, labels: Sequence[Label]
    ) -> list[Candidate]:
        """Prompts as they are, then the best one with labels of the new type alone, and with some of both."""
        count = max(2, self._plan.demonstrations[0].prompts - len(as_they_are))
        own = list(best.demonstrations)
        half = max(1, self._demonstrations // 2)
        generator = random.Random(self._seed)
        mixed = [
            [*generator.sample(own, min(half, len(own))), *(one.example for one in generator.sample(best, half))]
            for best in [list(labels[:_BEST_LABELS])]
            for _ in range(min(_MIXED_SETS, count - 1))
            if own and len(best) >= half
        ]
        sets = demonstration_sets(labels, size=self._demonstrations, sets=max(1, count - len(mixed)), seed=self._seed)
        shown = [best.with_demonstrations(one, self._fields) for one in [*sets, *mixed]]
        # Where few can be tried, labels come before the pool's examples.
        return [as_they_are[0], *shown[:2], *as_they_are[1:], *shown[2:]]
