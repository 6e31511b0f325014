from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.optimizers.prompts.bench import Attempt
from inpars_plus.optimizers.prompts.harvest import Label, best_labels, demonstration_sets


def label(
    name: str, query: str, score: float = 1.0, *, accepted: bool = True, terms: int = 2, human: bool = False
) -> Label:
    document = Document(id=name, text="x")
    return Label(dspy.Example(source=document, document=document.text), query, score, accepted, terms, human)


def names(demonstrations: list[dspy.Example]) -> list[str]:
    return [demo.source.id for demo in demonstrations]


def test_a_document_keeps_its_best_query() -> None:
    found = best_labels([label("a", "poor", 0.4), label("a", "good", 0.9), label("a", "odd", 1.0, accepted=False)])
    assert [one.query for one in found] == ["good"]


def test_a_query_that_names_two_terms_is_a_better_label_than_one_that_scores_higher() -> None:
    found = best_labels([label("a", "vague", 0.9, terms=1), label("a", "named", 0.7, terms=2)])
    assert [one.query for one in found] == ["named"]


def test_the_first_set_has_different_openings_before_it_repeats_one() -> None:
    labels = [label("a", "why is it"), label("b", "Why is that"), label("c", "how to"), label("d", "when to")]
    assert names(demonstration_sets(labels, size=3, sets=1, seed=0)[0]) == ["a", "c", "d"]
    assert names(demonstration_sets(labels, size=4, sets=1, seed=0)[0]) == ["a", "c", "d", "b"]


def test_sets_differ_and_are_drawn_by_the_seed_alone() -> None:
    labels = [label(str(number), f"q{number} is it") for number in range(9)]
    sets = [names(one) for one in demonstration_sets(labels, size=4, sets=12, seed=3)]
    assert len({tuple(one) for one in sets}) == 12
    assert {len(one) for one in sets} <= {2, 3, 4}
    assert sets == [names(one) for one in demonstration_sets(labels, size=4, sets=12, seed=3)]
    assert sets[1:] != [names(one) for one in demonstration_sets(labels, size=4, sets=12, seed=4)][1:]


def test_few_labels_give_few_sets() -> None:
    assert [names(one) for one in demonstration_sets([label("a", "why")], size=4, sets=9, seed=0)] == [["a"]]
    assert len(demonstration_sets([label("a", "why"), label("b", "how")], size=4, sets=9, seed=0)) == 2


def test_rejected_queries_are_shown_only_when_there_is_nothing_better() -> None:
    accepted = [label("a", "why"), label("b", "how")]
    rejected = [label("c", "when", 0.3, accepted=False), label("d", "who", 0.2, accepted=False)]
    assert names(demonstration_sets([*accepted, *rejected], size=4, sets=1, seed=0)[0]) == ["a", "b"]
    assert names(demonstration_sets(rejected, size=4, sets=1, seed=0)[0]) == ["c", "d"]


def test_what_people_wrote_comes_first_and_needs_to_pass_no_check() -> None:
    person = label("a", "typed", 0.1, accepted=False, terms=0, human=True)
    found = best_labels([label("b", "why"), label("a", "good", 1.0), person])
    assert [one.query for one in found] == ["typed", "why"]
    assert names(demonstration_sets(found, size=2, sets=1, seed=0)[0]) == ["a", "b"]


def test_no_labels_give_no_sets() -> None:
    assert demonstration_sets([], size=4, sets=2, seed=0) == []


def test_a_label_shows_the_terms_that_its_query_names_and_the_beginning_of_its_document(toy: Any) -> None:
    example = toy.train[3]
    machine = example.document.split()[1]
    attempt = Attempt(example, f"why does the {machine} of a3 leak", SimpleNamespace(score=1.0, accepted=True), 1.0)
    found = Label.of(attempt, toy.student)
    assert found is not None
    assert set(found.example.key_terms) <= {"a3", machine}
    assert machine in found.example.key_terms
    assert found.example.document == " ".join(example.document.split()[:40])
    assert found.example.queries[0].text == attempt.query
    assert set(found.example.inputs().keys()) == {"source", "number_of_queries"}


def test_a_missing_query_and_one_that_is_worth_nothing_give_no_label(toy: Any) -> None:
    nothing = SimpleNamespace(score=0.0, accepted=False)
    assert Label.of(Attempt(toy.train[0], None, nothing, 0.0), toy.student) is None
    assert Label.of(Attempt(toy.train[0], "why", nothing, 0.0), toy.student) is None
