"""Self-written labels: queries of the program itself that pass every check become labels of train documents.

No human labels are used. With a small model the quality of the demonstrations decides, so what is shown is chosen: the
metric's best, from short documents, with different openings, because a model imitates the openings that it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dspy

from inpars_plus.optimizers.prompts.bench import Attempt, Bench
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["Label", "best_labels", "demonstration_sets", "harvest"]


@dataclass(frozen=True)
class Label:
    """A query that the program wrote for a train document.

    Attributes:
        example: the document, with the query where the signature's output stands.
        query: its text.
        score: the metric.
        accepted: whether it passed every check.
    """

    example: dspy.Example
    query: str
    score: float
    accepted: bool

    @classmethod
    def of(cls, attempt: Attempt) -> Label | None:
        """The label that an attempt gives, if it wrote anything that the metric thinks of."""
        if attempt.query is None or attempt.judged.score <= 0:
            return None
        example = attempt.example.copy(queries=[SyntheticQuery(text=attempt.query)], number_of_queries=1)
        return cls(example.with_inputs("source", "number_of_queries"), attempt.query, attempt.judged.score,
                   attempt.judged.accepted)  # fmt: skip

    @property
    def document_id(self) -> str:
        """Id of the train document."""
        return str(self.example.source.id)

    @property
    def rank(self) -> tuple[bool, float, int, str]:
        """Sorts better labels first: accepted, higher score, shorter document."""
        return (not self.accepted, -round(self.score, 2), len(self.example.document), self.document_id)


def harvest(bench: Bench, prompts: Sequence[Candidate], examples: Sequence[dspy.Example]) -> list[Label]:
    """Let each prompt write for each document and keep each document's best query.

    Returns:
        At most one label a document, best first; one that is not accepted only where nothing better was written.
    """
    if not prompts or not examples:
        return []
    attempts = bench.attempt([(prompt, examples) for prompt in prompts])
    for prompt, tried in zip(prompts, attempts, strict=True):
        bench.log.record(prompt, {attempt.example.source.id: attempt.score for attempt in tried})
    labels = [Label.of(attempt) for tried in attempts for attempt in tried]
    return best_labels([label for label in labels if label is not None])


def best_labels(labels: Sequence[Label]) -> list[Label]:
    """The best label of each document, best first."""
    best: dict[str, Label] = {}
    for label in labels:
        rival = best.get(label.document_id)
        if rival is None or label.rank < rival.rank:
            best[label.document_id] = label
    return sorted(best.values(), key=lambda label: label.rank)


def demonstration_sets(labels: Sequence[Label], *, size: int, sets: int) -> list[list[dspy.Example]]:
    """Disjoint sets of demonstrations, best first, each with as many different openings as there are.

    Args:
        labels: best first; those not accepted serve only when fewer than two are.
        size: demonstrations a set.
        sets: how many at most; the last may be smaller, down to two.
    """
    accepted = [label for label in labels if label.accepted]
    left = accepted if len(accepted) >= 2 else list(labels)
    found: list[list[dspy.Example]] = []
    while left and len(found) < sets:
        chosen: list[Label] = []
        openings: set[str] = set()
        for label in left:
            opening = label.query.split()[0].casefold()
            if len(chosen) < size and opening not in openings:
                chosen.append(label)
                openings.add(opening)
        chosen += [label for label in left if label not in chosen][: size - len(chosen)]
        if found and len(chosen) < 2:
            break
        left = [label for label in left if label not in chosen]
        found.append([label.example for label in chosen])
    return found
