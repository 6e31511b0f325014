from __future__ import annotations

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms import (
    PROMPT_FORMS,
    CompletionAdapter,
    PromptForm,
    adapter_for,
    prompt_form,
    scripted_lm,
    usage_of,
)
from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery


class Numbered(BaseModel):
    text: str
    number: int = 1


class ListOfModels(dspy.Signature):
    """List them."""

    document: str = dspy.InputField()
    key_terms: list[str] = dspy.InputField()
    queries: list[Numbered] = dspy.OutputField()


class ListOfText(dspy.Signature):
    """List them."""

    document: str = dspy.InputField()
    key_terms: list[str] = dspy.InputField()
    queries: list[str] = dspy.OutputField()


class Number(dspy.Signature):
    """Count."""

    document: str = dspy.InputField()
    key_terms: list[str] = dspy.InputField()
    number: int = dspy.OutputField()


ADAPTER = CompletionAdapter(prompt_form("document-words-query"))
DEMO = {"document": "Cats\n sleep.", "key_terms": ["cats", "sleep"], "query": "why do cats sleep"}
INPUTS = {"document": "Water boils.", "key_terms": ["water", "boils"]}


def test_the_prompt_is_instruction_demonstrations_and_input_apart_by_blank_lines(write_query: type) -> None:
    assert ADAPTER.render(write_query, [DEMO], INPUTS) == (
        "Write a search query for the document.\n"
        "\n"
        "Document: Cats sleep.\nWords: cats, sleep\nQuery: why do cats sleep\n"
        "\n"
        "Document: Water boils.\nWords: water, boils\nQuery:"
    )


@pytest.mark.parametrize("name", sorted(PROMPT_FORMS))
def test_every_form_ends_with_its_label_and_shows_its_fields(name: str, write_query: type) -> None:
    form = PROMPT_FORMS[name]
    prompt = CompletionAdapter(form).render(write_query, [DEMO], INPUTS)
    assert prompt.endswith(f"\n{form.answer_label}:")
    assert all(f"{label}: " in prompt for _, label in form.labels)
    assert ("Write a search query" in prompt) == form.instruction


def test_a_long_field_is_cut_at_the_words_of_the_form(write_query: type) -> None:
    form = PromptForm(name="x", labels=(("document", "D"),), answer_label="Q", max_words={"document": 3})
    prompt = CompletionAdapter(form).render(write_query, [], {"document": "one two  three\nfour five"})
    assert prompt.endswith("D: one two three\nQ:")


def test_an_empty_field_loses_its_line_and_an_incomplete_demonstration_is_left_out(write_query: type) -> None:
    prompt = ADAPTER.render(write_query, [{**DEMO, "query": ""}, {"query": "alone"}], {**INPUTS, "key_terms": []})
    assert prompt == "Write a search query for the document.\n\nDocument: Water boils.\nQuery:"


@pytest.mark.parametrize(
    "queries", [[SyntheticQuery(text="boiling point")], ["boiling point"], [{"text": "boiling point"}]]
)
def test_a_demonstration_may_hold_models_mappings_or_text(queries: list[object]) -> None:
    demo = {**DEMO, "document_type": "faq", "number_of_queries": 1, "queries": queries}
    prompt = ADAPTER.render(GenerateQueries, [demo], INPUTS)
    assert "Query: boiling point\n" in prompt


def test_the_prompt_travels_as_one_user_message(write_query: type) -> None:
    assert ADAPTER.format(write_query, [], INPUTS) == [
        {"role": "user", "content": ADAPTER.render(write_query, [], INPUTS)}
    ]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [(ListOfModels, [Numbered(text="a b")]), (ListOfText, ["a b"])],
)
def test_one_line_becomes_one_item_of_a_list(signature: type, expected: object) -> None:
    assert ADAPTER.parse(signature, " a  b \nQuery: more") == {"queries": expected}


def test_a_reply_that_does_not_fit_the_field_is_a_parse_error() -> None:
    with pytest.raises(AdapterParseError, match="does not fit"):
        ADAPTER.parse(Number, "seven")


def test_an_empty_reply_is_unreadable_and_asked_once(write_query: type) -> None:
    lm = scripted_lm(["  ", "never asked"])
    with dspy.context(lm=lm, adapter=adapter_for(lm)), pytest.raises(AdapterParseError):
        dspy.Predict(write_query)(**INPUTS)
    assert usage_of(lm).calls == 1


def test_a_whole_call_gives_the_query_and_stops_at_the_line_end(write_query: type) -> None:
    lm = scripted_lm([" boiling point of water\n\nDocument: another"])
    with dspy.context(lm=lm, adapter=adapter_for(lm)):
        assert dspy.Predict(write_query)(**INPUTS).query == "boiling point of water"
    assert lm.engine.prompts == [ADAPTER.render(write_query, [], INPUTS)]


def test_two_output_fields_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 output fields"):
        ADAPTER.render(dspy.Signature("document, key_terms -> a, b"), [], INPUTS)


def test_a_form_with_a_foreign_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="shows a field 'key_terms'"):
        ADAPTER.render(dspy.Signature("document -> query"), [], {"document": "x"})


def test_an_opening_stands_behind_the_label_and_belongs_to_the_answer(write_query: type) -> None:
    adapter = CompletionAdapter(prompt_form("document-words-query"), opening="How")
    assert adapter.render(write_query, [], INPUTS).endswith("Query: How")
    (query,) = adapter.parse(GenerateQueries, " does water boil\nnext line")["queries"]
    assert query.text == "How does water boil"
    with pytest.raises(AdapterParseError):
        adapter.parse(GenerateQueries, "  \n")


def test_a_chat_model_gets_the_chat_adapter_without_its_second_call(write_query: type) -> None:
    lm = scripted_lm(["no markers", "never asked"], chat=True)
    adapter = adapter_for(lm, "document-query")
    assert isinstance(adapter, dspy.ChatAdapter)
    with dspy.context(lm=lm, adapter=adapter), pytest.raises(AdapterParseError):
        dspy.Predict(write_query)(**INPUTS)
    assert usage_of(lm).calls == 1


def test_an_unknown_form_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no prompt form 'x'.*document-words-query"):
        prompt_form("x")
