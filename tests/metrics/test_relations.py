"""What is foreign to a document in a query: the signs, with a counting encoder and a scorer that knows the document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.corpora import Document
from inpars_plus.lms import CompletionScore
from inpars_plus.metrics.relations import FALSE_RELATION, RelationCheck, RelationSigns
from inpars_plus.metrics.words import words

DOCUMENT = Document(
    id="1",
    title="Statins and muscles",
    text="Patients who take statins against high cholesterol report muscle pain, mostly in the first weeks.",
)


class WordCounts:
    """Vectors of word counts, of length 1."""

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        rows = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                row[sum(word.encode()) % 512] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


class Knowing:
    """Finds words of the prompt likely and others unlikely; a token a word."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, str]]] = []

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        self.calls.append(list(pairs))
        return [
            CompletionScore(tuple(-1.0 if word in words(prompt) else -9.0 for word in words(completion)))
            for prompt, completion in pairs
        ]


def signs(*queries: str) -> list[RelationSigns]:
    return RelationCheck(Knowing(), WordCounts()).signs([(DOCUMENT, query) for query in queries])


def test_a_swapped_entity_is_foreign_unlikely_and_leads_away() -> None:
    own, swapped = signs("statins muscle pain", "kinases muscle pain")
    assert (own.foreign, swapped.foreign) == (0, 1)
    assert (own.unlikely, swapped.unlikely) == (0.0, -9.0)
    assert swapped.similarity < own.similarity
    assert swapped.nearer > own.nearer


def test_other_forms_of_a_word_are_not_foreign() -> None:
    (found,) = signs("statin patient weekly")
    assert found.foreign == 0
    assert found.unlikely == 0.0


@pytest.mark.parametrize("query", ["", "   ", "the of", "?"])
def test_a_query_without_words_has_no_signs(query: str) -> None:
    (found,) = signs(query)
    assert (found.foreign, found.unlikely, found.nearer) == (0, 0.0, 0.0)


def test_whole_queries_are_scored_before_their_beginnings() -> None:
    scorer = Knowing()
    RelationCheck(scorer, WordCounts()).signs([(DOCUMENT, "do kinases hurt")])
    assert [completion for _, completion in scorer.calls[0]] == [" do kinases hurt"]
    assert [completion for _, completion in scorer.calls[1]] == [
        " do kinases",
        " do",
        " do kinases hurt",
        " do kinases",
    ]


def test_a_swap_makes_the_probability_rise() -> None:
    check = RelationCheck(Knowing(), WordCounts())
    own, swapped = check.probabilities([(DOCUMENT, "statins muscle pain"), (DOCUMENT, "kinases muscle pain")])
    assert own < swapped
    assert 0 < own < 1
    assert 0 < FALSE_RELATION < 1
