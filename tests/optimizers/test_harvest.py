from __future__ import annotations

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.optimizers.prompts.harvest import Label, best_labels, demonstration_sets


def label(name: str, query: str, score: float = 1.0, *, accepted: bool = True, length: int = 100) -> Label:
    document = Document(id=name, text="x" * length)
    return Label(dspy.Example(source=document, document=document.text), query, score, accepted)


def names(demonstrations: list[dspy.Example]) -> list[str]:
    return [demo.source.id for demo in demonstrations]


def test_a_document_keeps_its_best_query() -> None:
    found = best_labels([label("a", "poor", 0.4), label("a", "good", 0.9), label("a", "odd", 1.0, accepted=False)])
    assert [one.query for one in found] == ["good"]


def test_of_equal_queries_those_of_short_documents_come_first() -> None:
    found = best_labels([label("long", "why a", length=900), label("short", "why b", length=90)])
    assert [one.document_id for one in found] == ["short", "long"]


def test_a_set_has_different_openings_before_it_repeats_one() -> None:
    labels = [label("a", "why is it"), label("b", "Why so"), label("c", "how to"), label("d", "when to")]
    assert names(demonstration_sets(labels, size=3, sets=1)[0]) == ["a", "c", "d"]
    assert names(demonstration_sets(labels, size=4, sets=1)[0]) == ["a", "c", "d", "b"]


def test_sets_share_no_document_and_a_last_one_of_a_single_demonstration_is_dropped() -> None:
    labels = [label(str(number), f"q{number} is it") for number in range(5)]
    assert [names(one) for one in demonstration_sets(labels, size=2, sets=3)] == [["0", "1"], ["2", "3"]]


def test_rejected_queries_are_shown_only_when_there_is_nothing_better() -> None:
    accepted = [label("a", "why"), label("b", "how")]
    rejected = [label("c", "when", 0.3, accepted=False), label("d", "who", 0.2, accepted=False)]
    assert names(demonstration_sets([*accepted, *rejected], size=4, sets=1)[0]) == ["a", "b"]
    assert names(demonstration_sets(rejected, size=4, sets=1)[0]) == ["c", "d"]


def test_no_labels_give_no_sets() -> None:
    assert demonstration_sets([], size=4, sets=2) == []
