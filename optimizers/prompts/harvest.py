"""Self-written labels: queries of the program itself that pass every check become labels of train documents.

No human labels are needed. With a small model what is shown decides, from every query right to every query a copy of
the last demonstration. So labels are made to teach:

* **hindsight**: the key terms of a label are those of its document that its query names, not those that were asked for;
  the model learns to write about the terms it is given;
* only the beginning of the document is shown, where titles and first sentences stand, or that of the part that was
  asked about;
* a document's best query is one that names two of its terms or more, then the one with the best score.

Where people wrote queries for train documents, these are labels too, and the first to be shown.

Even so, sets of good labels differ widely in what they do. They are drawn at random and tried.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from inpars_plus.metrics.words import words
from inpars_plus.optimizers.prompts.bench import Attempt, Bench
from inpars_plus.optimizers.prompts.candidates import Candidate
from inpars_plus.signatures.generate_queries import SyntheticQuery

__all__ = ["Label", "best_labels", "demonstration_sets", "harvest", "human_labels", "named_terms"]

_SHOWN_WORDS = 40
_TERMS = 3
_TERMS_CONSIDERED = 15
_ENOUGH_TERMS = 2
_LABELS_DRAWN_FROM = 16
_SMALLEST_SET = 2


@dataclass(frozen=True)
class Label:
    """A query for a train document, that the program wrote or a person.

    Attributes:
        example: the document as it is shown in a demonstration, with the query where the signature's output stands.
        query: its text.
        score: the metric.
        accepted: whether it passed every check.
        terms: how many key terms of the document the query names, at most three.
        human: whether a person wrote it.
    """

    example: dspy.Example
    query: str
    score: float
    accepted: bool
    terms: int
    human: bool = False

    @classmethod
    def of(cls, attempt: Attempt, student: dspy.Module, *, human: bool = False) -> Label | None:
        """The label that an attempt gives, if it wrote anything that the metric thinks of, or a person did."""
        if attempt.query is None or (attempt.judged.score <= 0 and not human):
            return None
        terms = named_terms(attempt.query, attempt.example, student)
        example = attempt.example.copy(
            document=" ".join((attempt.shown or attempt.example.document).split()[:_SHOWN_WORDS]),
            key_terms=terms,
            queries=[SyntheticQuery(text=attempt.query)],
            number_of_queries=1,
        )
        example = example.with_inputs("source", "number_of_queries")
        return cls(example, attempt.query, attempt.judged.score, attempt.judged.accepted, len(terms), human)

    @property
    def document_id(self) -> str:
        """Id of the train document."""
        return str(self.example.source.id)

    @property
    def usable(self) -> bool:
        """Whether it is worth showing: people's queries need to pass no check."""
        return self.accepted or self.human

    @property
    def rank(self) -> tuple[bool, bool, int, float, str]:
        """Sorts better labels first, people's before the program's own."""
        named = -min(self.terms, _ENOUGH_TERMS)
        return (not self.usable, not self.human, named, -round(self.score, 3), self.document_id)


def named_terms(query: str, example: dspy.Example, student: dspy.Module) -> list[str]:
    """The key terms of a document that a query names, the document's best first, at most three."""
    key_terms: Any = getattr(student, "key_terms", None)
    terms = list(example.key_terms) if key_terms is None else key_terms.of(example.source, _TERMS_CONSIDERED)
    named = set(words(query))
    return [term for term in terms if set(words(term)) <= named][:_TERMS]


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
    labels = [Label.of(attempt, bench.student) for tried in attempts for attempt in tried]
    found = best_labels([label for label in labels if label is not None])
    for label in found:
        bench.log.names[label.example.document] = label.document_id
    return found


def human_labels(bench: Bench, written: Sequence[tuple[dspy.Example, str]]) -> list[Label]:
    """Queries of people as labels.

    Args:
        bench: judges them.
        written: train documents, each with a query that a person wrote for it.

    Returns:
        At most one label a document, best first.
    """
    judged = bench.metric.judge([(example.source, query) for example, query in written]) if written else ()
    attempts = [Attempt(example, query, one, one.score) for (example, query), one in zip(written, judged, strict=True)]
    labels = [Label.of(attempt, bench.student, human=True) for attempt in attempts]
    found = best_labels([label for label in labels if label is not None])
    for label in found:
        bench.log.names[label.example.document] = label.document_id
    return found


def best_labels(labels: Sequence[Label]) -> list[Label]:
    """The best label of each document, best first."""
    best: dict[str, Label] = {}
    for label in labels:
        rival = best.get(label.document_id)
        if rival is None or label.rank < rival.rank:
            best[label.document_id] = label
    return sorted(best.values(), key=lambda label: label.rank)


def demonstration_sets(labels: Sequence[Label], *, size: int, sets: int, seed: int) -> list[list[dspy.Example]]:
    """Different sets of demonstrations.

    Args:
        labels: best first; those that are not usable serve only when fewer than two are.
        size: demonstrations a set, at most.
        sets: how many sets, at most.
        seed: of the draws.

    Returns:
        First the best labels with as many different openings as there are, because a model imitates the openings that
        it is shown; then draws of two to ``size`` from the best labels. Fewer sets where there are few labels.
    """
    good = [label for label in labels if label.usable]
    usable = good if len(good) >= _SMALLEST_SET else list(labels)
    if not usable:
        return []
    best = usable[:_LABELS_DRAWN_FROM]
    rng = random.Random(seed)
    found = {tuple(label.document_id for label in chosen): chosen for chosen in [_varied(usable, size)]}
    for _ in range(4 * sets):
        if len(found) >= sets:
            break
        chosen = rng.sample(best, min(len(best), rng.randint(_SMALLEST_SET, max(size, _SMALLEST_SET))))
        found.setdefault(tuple(label.document_id for label in chosen), chosen)
    return [[label.example for label in chosen] for chosen in found.values()][:sets]


def _varied(labels: Sequence[Label], size: int) -> list[Label]:
    chosen: list[Label] = []
    openings: set[tuple[str, ...]] = set()
    for label in labels:
        opening = tuple(words(label.query)[:2])
        if len(chosen) < size and opening not in openings:
            chosen.append(label)
            openings.add(opening)
    return chosen + [label for label in labels if label not in chosen][: size - len(chosen)]
