"""The signature of query generation and its lenient output type."""

from __future__ import annotations

import dspy
import pytest

from inpars_plus.signatures import GenerateQueries, SyntheticQuery, normalize_query


@pytest.mark.parametrize(
    ("raw", "bare"),
    [
        ("  how do cells age \n", "how do cells age"),
        ('"how do cells age"', "how do cells age"),
        ("“how do cells age”", "how do cells age"),
        ("1. how do cells age", "how do cells age"),
        ("2) how do cells age", "how do cells age"),
        ("- how do cells age", "how do cells age"),
        ("Query: how do cells age", "how do cells age"),
        ("Search query 2: how do cells age", "how do cells age"),
        ("3. Query: \"'how do cells age'\"", "how do cells age"),
        ("how   do\tcells age", "how do cells age"),
        ("", ""),
        ('"', '"'),
    ],
)
def test_what_models_wrap_around_a_query_is_taken_off(raw: str, bare: str) -> None:
    assert normalize_query(raw) == bare


@pytest.mark.parametrize(
    "query",
    [
        "2.5 mg dose of aspirin in children",
        '"open source" or "free software"',
        "what does the error query: failed mean",
        "3d protein structure prediction",
        "python's list and dict's order",
    ],
)
def test_a_query_that_only_looks_wrapped_stays_as_it_is(query: str) -> None:
    assert normalize_query(query) == query


def test_line_breaks_stay_for_the_checks_to_see() -> None:
    assert normalize_query("first  query\n second query ") == "first query\nsecond query"


def test_normalizing_twice_changes_nothing_more() -> None:
    for raw in ("1. - Query: Query: 'a b c'", "“'a'”", "1. 2. 3.", "query:query:"):
        assert normalize_query(normalize_query(raw)) == normalize_query(raw)


def test_a_bare_string_is_taken_as_the_text() -> None:
    assert SyntheticQuery.model_validate("- how do cells age") == SyntheticQuery(text="how do cells age")


def test_the_fields_are_typed_and_each_is_described() -> None:
    assert {name: field.annotation for name, field in GenerateQueries.fields.items()} == {
        "document": str,
        "key_terms": list[str],
        "document_type": str,
        "number_of_queries": int,
        "queries": list[SyntheticQuery],
    }
    for name, field in GenerateQueries.fields.items():
        assert field.json_schema_extra["desc"] != f"${{{name}}}"


def test_a_chat_reply_with_bare_strings_or_objects_is_read() -> None:
    adapter = dspy.ChatAdapter()
    for queries in (
        '["1. how do cells age", "why cells stop dividing"]',
        '[{"text": "how do cells age"}, {"text": "why cells stop dividing"}]',
    ):
        parsed = adapter.parse(GenerateQueries, f"[[ ## queries ## ]]\n{queries}\n\n[[ ## completed ## ]]")
        assert [query.text for query in parsed["queries"]] == ["how do cells age", "why cells stop dividing"]
