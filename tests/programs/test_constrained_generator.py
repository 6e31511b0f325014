"""The generator of queries with a constraint on metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from inpars_plus.corpora.constraints import ConstraintReader, constraints_of, meets
from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.names import load_lm
from inpars_plus.programs import (
    ConstrainedQueryGenerator,
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    load_program,
    save_program,
)

Make = Callable[..., tuple[dspy.LM, Any]]

ARTICLE = Document(
    id="a",
    title="Strike of ferry crews leaves islands without bread",
    text="Ferry crews walked out over pay on Monday, and shops on three islands ran out of bread within days.",
    doc_type="news",
    metadata={"source": "Harbour Post", "authors": "Ann Lee, Bo Kim", "date": "2018-06-20", "topic": "labour"},
)
OTHER = Document(id="b", title="Storm", text="A storm is on its way.", metadata={"source": "Daily Tide"})
READER = ConstraintReader.fit([ARTICLE, OTHER])
ABOUT = "walkout of ferry crews over wages"


def _ask(
    lm: dspy.LM, source: Document = ARTICLE, n: int = 1, reader: ConstraintReader | None = READER, **settings: Any
) -> dspy.Prediction:
    program = ConstrainedQueryGenerator(key_terms=KeyTerms.fit([ARTICLE, OTHER]), reader=reader, **settings)
    with dspy.context(lm=lm):
        return program(source=source, number_of_queries=n)


def test_a_completion_model_goes_on_from_the_words_of_the_constraint(completion_lm: Make) -> None:
    lm, engine = completion_lm([ABOUT])
    (query,) = _ask(lm).queries
    opening = engine.prompts[0].rpartition("Query: ")[2]
    assert query == f"{opening} {ABOUT}"
    assert opening in {constraint.opening for constraint in constraints_of(ARTICLE)}


def test_every_query_states_a_constraint_that_its_document_meets_one_of_each_field_first(completion_lm: Make) -> None:
    about = ["crews on strike for pay", "islands running out of bread", "empty shops after a walkout", "pay dispute"]
    lm, engine = completion_lm(about)
    prediction = _ask(lm, n=4)
    stated = [READER.stated_in(query) for query in prediction.queries]
    assert len(stated) == 4
    assert all(len(one) == 1 and meets(ARTICLE, one[0][0]) for one in stated)
    assert {one[0][0].field for one in stated} == {"source", "author", "date", "topic"}
    assert len(engine.prompts) == 4


@pytest.mark.parametrize("name", ["0", "1", "2", "3", "4", "5"])
def test_many_authors_leave_room_for_the_source(name: str, completion_lm: Make) -> None:
    metadata = {"source": "Harbour Post", "authors": "Ann Lee, Bo Kim, Cy Day, Di Orr, Ed Fox"}
    lm, engine = completion_lm([ABOUT, "islands running out of bread"])
    prediction = _ask(lm, ARTICLE.model_copy(update={"id": name, "metadata": metadata}), n=2, reader=None)
    by_author = [prompt.rpartition("Query: ")[2].startswith("article by") for prompt in engine.prompts]
    assert prediction.shortfall == 0
    assert sorted(by_author) == [False, True]


def test_documents_begin_with_different_fields(completion_lm: Make) -> None:
    fields = set()
    for number in range(12):
        lm, _ = completion_lm([ABOUT])
        (query,) = _ask(lm, ARTICLE.model_copy(update={"id": str(number)})).queries
        fields |= {one.field for either in READER.stated_in(query) for one in either}
    assert fields == {"source", "author", "date", "topic"}


def test_a_query_that_also_states_what_is_not_so_is_rejected(completion_lm: Make) -> None:
    lm, _ = completion_lm([f"{ABOUT} from the Daily Tide", ABOUT])
    prediction = _ask(lm)
    assert [candidate.reason for candidate in prediction.rejected] == ["constraint_not_met"]
    assert prediction.queries[0].endswith(ABOUT)


def test_without_a_reader_only_the_names_of_the_document_itself_are_known(completion_lm: Make) -> None:
    lm, _ = completion_lm([f"{ABOUT} from the Daily Tide"])
    assert _ask(lm, reader=None).shortfall == 0
    lm, _ = completion_lm([f"{ABOUT} published in May 1999"] * 3)
    assert {candidate.reason for candidate in _ask(lm, reader=None).rejected} == {"constraint_not_met"}


def test_a_chat_model_is_told_the_constraint_and_must_state_it(chat_lm: Make) -> None:
    def reply(query: str) -> str:
        return f"[[ ## queries ## ]]\n{json.dumps([{'text': query}])}\n\n[[ ## completed ## ]]"

    only_source = ARTICLE.model_copy(update={"metadata": {"source": "Harbour Post"}})
    lm, engine = chat_lm([reply(ABOUT), reply(f"{ABOUT} from the Harbour Post")])
    prediction = _ask(lm, only_source)
    assert "source: Harbour Post" in engine.prompts[0]
    assert [candidate.reason for candidate in prediction.rejected] == ["constraint_not_stated"]
    assert prediction.queries == [f"{ABOUT} from the Harbour Post"]


@pytest.mark.parametrize("metadata", [{}, {"url": "x", "date": "unknown", "authors": ""}])
def test_a_document_without_metadata_is_not_asked_about(metadata: dict[str, Any], completion_lm: Make) -> None:
    lm, engine = completion_lm([])
    prediction = _ask(lm, ARTICLE.model_copy(update={"metadata": metadata}), n=2)
    assert [(one.reason, one.attempt) for one in prediction.rejected] == [("no_metadata", 0)]
    assert (prediction.queries, prediction.shortfall, engine.prompts) == ([], 2, [])


@pytest.mark.parametrize(("more", "openings"), [({"date": "2018-06-20"}, {"June 2018 article about"}), ({}, set())])
def test_a_constraint_whose_own_words_say_something_else_is_not_asked_for(
    more: dict[str, str], openings: set[str], completion_lm: Make
) -> None:
    lm, engine = completion_lm([ABOUT] * 9)
    prediction = _ask(lm, ARTICLE.model_copy(update={"metadata": {"topic": "2016", **more}}), n=2)
    assert {prompt.rpartition("Query: ")[2] for prompt in engine.prompts} == openings
    assert ("no_metadata" in {one.reason for one in prediction.rejected}) == (not openings)


def test_nothing_to_ask_is_an_error_where_a_prompt_is_wanted(completion_lm: Make) -> None:
    lm, _ = completion_lm([])
    bare = ARTICLE.model_copy(update={"metadata": {}})
    with pytest.raises(ConfigurationError, match="a: nothing is asked about the document"):
        ConstrainedQueryGenerator().completion_prompt(bare, lm)


def test_one_of_this_kind_is_given_back_with_its_reader() -> None:
    program = ConstrainedQueryGenerator(reader=READER)
    assert ConstrainedQueryGenerator.from_program(program) is program


def test_it_is_saved_without_its_reader(tmp_path: Path) -> None:
    program = ConstrainedQueryGenerator(key_terms=KeyTerms.fit([ARTICLE, OTHER]), reader=READER, attempts=5)
    card = ProgramCard(
        document_type="news",
        lm="embedded",
        optimizer=OptimizerRecord(name="none"),
        seed=0,
        metric=MetricRecord(name="query"),
        data_hash="",
    )
    save_program(program, tmp_path / "news.json", card)
    loaded = load_program(tmp_path / "news.json")
    assert isinstance(loaded, ConstrainedQueryGenerator)
    assert (loaded.attempts, loaded.reader) == (5, None)
    assert "Daily Tide" not in (tmp_path / "news.json").read_text()


@pytest.mark.model
def test_the_embedded_model_states_the_constraints() -> None:
    prediction = _ask(load_lm("embedded"), n=3, attempts=4)
    assert len(prediction.queries) + prediction.shortfall == 3
    for query in prediction.queries:
        assert all(any(meets(ARTICLE, one) for one in either) for either in READER.stated_in(query))
        assert READER.stated_in(query)
