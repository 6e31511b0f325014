"""Generators that ask about passages and sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.names import load_lm
from inpars_plus.programs import (
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    PassageQueryGenerator,
    ProgramCard,
    QueryGenerator,
    SentenceQueryGenerator,
    load_program,
    save_program,
)
from inpars_plus.signatures import GeneratePassageQueries, GenerateSentenceQueries, SyntheticQuery

Make = Callable[..., tuple[dspy.LM, Any]]

SENTENCES = (
    "Heat pumps keep homes warm at low outdoor temperatures when radiators are sized well.",
    "The compressor needs more electricity below minus ten degrees.",
    "Methods are described below.",
    "Noise complaints of neighbours are settled by a distance of three metres.",
)
DOCUMENT = Document(id="d1", title="Heat pumps in winter", text=" ".join(SENTENCES))
OTHER = Document(id="d2", title="Ferry strike", text="The islands were cut off for days, and described below is why.")
TERMS = KeyTerms.fit([DOCUMENT, OTHER])
QUERIES = {
    "compressor": "does a compressor draw extra electricity in deep frost",
    "neighbours": "how far from neighbours to avoid noise trouble",
    "radiators": "will heat pumps work with old radiators",
}


def _ask(program: QueryGenerator, lm: dspy.LM, source: Document = DOCUMENT, n: int = 1) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return program(source=source, number_of_queries=n)


def _shown(prompt: str) -> str:
    return prompt.rpartition("Document: ")[2].splitlines()[0]


def _write(text: str) -> str:
    """A query about what is shown last."""
    last = text.rpartition("Heat pumps in winter")[2]
    return next(query for word, query in QUERIES.items() if word in last)


def _write_as_chat(text: str) -> str:
    queries = json.dumps([{"text": _write(text)}])
    return f"[[ ## queries ## ]]\n{queries}\n\n[[ ## completed ## ]]"


def test_each_sentence_is_asked_about_once_before_any_is_asked_about_twice(completion_lm: Make) -> None:
    lm, engine = completion_lm(_write)
    prediction = _ask(SentenceQueryGenerator(key_terms=TERMS), lm, n=3)
    assert set(prediction.queries) == set(QUERIES.values())
    shown = [_shown(prompt) for prompt in engine.prompts]
    assert len(set(shown)) == 3
    assert all(one.startswith("Heat pumps in winter ") for one in shown)
    assert {one.removeprefix("Heat pumps in winter ") for one in shown} <= set(SENTENCES)


def test_the_part_with_most_of_the_key_terms_is_asked_about_first(completion_lm: Make) -> None:
    backwards = DOCUMENT.model_copy(update={"text": " ".join(reversed(SENTENCES))})
    lm, engine = completion_lm(_write)
    _ask(SentenceQueryGenerator(key_terms=TERMS), lm, backwards, n=3)
    _ask(PassageQueryGenerator(key_terms=TERMS, max_characters=100), lm, backwards)
    shown = [_shown(prompt) for prompt in engine.prompts]
    assert shown[0] == shown[3] == f"Heat pumps in winter {SENTENCES[0]}"
    assert len(shown) == 4


def test_a_sentence_that_says_nothing_is_not_asked_about(completion_lm: Make) -> None:
    lm, engine = completion_lm(["pump"] * 20)
    _ask(SentenceQueryGenerator(key_terms=TERMS, attempts=4), lm, n=2)
    assert len(engine.prompts) == 8
    assert not any("Methods" in _shown(prompt) for prompt in engine.prompts)


def test_the_words_asked_for_are_those_of_the_part(completion_lm: Make) -> None:
    lm, engine = completion_lm(_write)
    _ask(SentenceQueryGenerator(key_terms=TERMS), lm, n=3)
    for prompt in engine.prompts:
        words = prompt.rpartition("Words: ")[2].splitlines()[0].split(", ")
        sentence = _shown(prompt).removeprefix("Heat pumps in winter ").lower()
        assert all(word.lower() in sentence for word in words)


def test_what_is_copied_from_another_part_is_copied(completion_lm: Make) -> None:
    query = QUERIES["radiators"]
    lm, _ = completion_lm([SENTENCES[3], query])
    prediction = _ask(SentenceQueryGenerator(key_terms=TERMS, attempts=2), lm)
    assert [candidate.reason for candidate in prediction.rejected] == ["copied"]
    assert prediction.queries == [query]


def test_passages_are_as_long_as_allowed(completion_lm: Make) -> None:
    program = PassageQueryGenerator(key_terms=TERMS, max_characters=160)
    assert [part.title for part in program.parts(DOCUMENT)] == [DOCUMENT.title] * 2
    assert all(len(part.text) <= 160 for part in program.parts(DOCUMENT))
    assert program.parts(OTHER) == [OTHER]
    lm, engine = completion_lm(_write)
    assert _ask(program, lm, n=2).shortfall == 0
    assert len({_shown(prompt) for prompt in engine.prompts}) == 2


def test_a_passage_without_length_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_characters is 0, but must be at least 1"):
        PassageQueryGenerator(max_characters=0)


@pytest.mark.parametrize("kind", [PassageQueryGenerator, SentenceQueryGenerator])
def test_a_document_of_a_title_alone_is_asked_about_as_it_is(kind: type[QueryGenerator], completion_lm: Make) -> None:
    lm, engine = completion_lm(["are heat pumps any good in january"])
    assert _ask(kind(), lm, Document(id="t", title="Heat pumps in winter")).shortfall == 0
    assert "Document: Heat pumps in winter\n" in engine.prompts[0]


@pytest.mark.parametrize("kind", [PassageQueryGenerator, SentenceQueryGenerator])
def test_an_empty_document_is_never_sent(kind: type[QueryGenerator], completion_lm: Make) -> None:
    lm, engine = completion_lm([])
    prediction = _ask(kind(), lm, Document(id="e"))
    assert [candidate.reason for candidate in prediction.rejected] == ["empty_document"]
    assert engine.prompts == []


def test_a_chat_model_is_asked_about_one_part_at_a_time(chat_lm: Make) -> None:
    lm, engine = chat_lm(_write_as_chat)
    prediction = _ask(SentenceQueryGenerator(key_terms=TERMS), lm, n=3)
    assert set(prediction.queries) == set(QUERIES.values())
    assert len(engine.prompts) == 3


@pytest.mark.parametrize(
    ("kind", "signature"),
    [(PassageQueryGenerator, GeneratePassageQueries), (SentenceQueryGenerator, GenerateSentenceQueries)],
)
def test_what_a_program_for_documents_has_learnt_serves_for_parts(
    kind: type[QueryGenerator], signature: type[dspy.Signature], tmp_path: Path
) -> None:
    learnt = QueryGenerator(key_terms=TERMS, prompt_form="document-query", attempts=5, last_opening="Why")
    assert kind.from_program(learnt).generate.signature.instructions == signature.instructions
    learnt.generate.signature = learnt.generate.signature.with_instructions("Texts and questions about them.")
    learnt.generate.demos = [
        dspy.Example(document="Bread rises.", key_terms=["bread"], queries=[SyntheticQuery(text="why does bread rise")])
    ]
    made = kind.from_program(learnt)
    assert made.generate.signature.instructions == "Texts and questions about them."
    assert [demo.toDict() for demo in made.generate.demos] == [demo.toDict() for demo in learnt.generate.demos]
    assert made.dump_settings() == {**made.dump_settings(), **learnt.dump_settings()}

    card = ProgramCard(
        document_type="guide",
        lm="embedded",
        optimizer=OptimizerRecord(name="none"),
        seed=0,
        metric=MetricRecord(name="query"),
        data_hash="",
    )
    assert save_program(made, tmp_path / "guide.json", card).program == kind.__name__
    loaded = load_program(tmp_path / "guide.json")
    assert type(loaded) is kind
    assert loaded.dump_settings() == made.dump_settings()
    assert loaded.generate.signature.instructions == made.generate.signature.instructions


@pytest.mark.model
def test_the_embedded_model_writes_about_sentences() -> None:
    program = SentenceQueryGenerator(key_terms=TERMS)
    program.generate.demos = [
        dspy.Example(
            document="Sourdough bread rises by wild yeast. A starter that is fed daily keeps for years.",
            key_terms=["sourdough", "starter"],
            queries=[SyntheticQuery(text="how long does a sourdough starter keep in the fridge")],
        )
    ]
    prediction = _ask(program, load_lm("embedded"), n=3)
    assert len(prediction.queries) + prediction.shortfall == 3
    assert prediction.queries
