"""The prompts of published recipes, and what counts as a query in a reply."""

from __future__ import annotations

import pytest

from inpars_plus.optimizers.rankers.recipes import EXAMPLES, RECIPES, PromptExample, usable_query


def prompt(name: str, shown: int) -> str:
    asked = RECIPES[name].prompt
    assert asked is not None
    return asked("Bees dance\nto tell where food is.", EXAMPLES[:shown])


def test_inpars_numbers_its_examples_and_ends_where_the_query_begins() -> None:
    text = prompt("InPars", 3)
    assert [f"Example {number}:\nDocument: " in text for number in (1, 2, 3, 4, 5)] == [True] * 4 + [False]
    assert text.endswith("\n\nExample 4:\nDocument: Bees dance to tell where food is.\nRelevant Query:")
    assert f"Relevant Query: {EXAMPLES[1].query}\n\nExample 3:" in text


def test_bad_questions_show_the_typed_query_as_the_bad_one() -> None:
    text = prompt("InPars, bad questions", 2)
    assert f"Good Question: {EXAMPLES[0].question}\nBad Question: {EXAMPLES[0].query}\n\nExample 2:" in text
    assert text.endswith("Good Question:")


def test_judged_queries_are_shown_but_where_an_example_needs_a_second_question() -> None:
    gold = [PromptExample("Bees dance.", f"query {number}") for number in range(10)]
    shown = {name: recipe.shown(gold) for name, recipe in RECIPES.items() if recipe.prompt is not None}
    assert shown == {
        "InPars": gold[:3],
        "InPars, bad questions": list(EXAMPLES),
        "Promptagator": gold[:8],
        "GPL": gold[:3],
    }
    assert all(one.question != one.query for one in EXAMPLES)
    assert RECIPES["Promptagator"].shown([]) == []
    assert RECIPES["GPL"].shown([]) == list(EXAMPLES)


def test_promptagator_without_examples_says_what_to_do() -> None:
    assert prompt("Promptagator", 0).startswith("Read the document, and write a search query that it answers.\n\nDoc")
    assert prompt("Promptagator", 1).startswith(f"Document: {EXAMPLES[0].document}\nQuery: {EXAMPLES[0].query}\n\n")


def test_gpl_samples_as_its_paper_does_and_inpars_is_greedy() -> None:
    assert RECIPES["GPL"].sampling == {"temperature": 1.0, "top_k": 25, "top_p": 0.95}
    assert RECIPES["Promptagator"].sampling == {"temperature": 0.7, "top_p": 1.0}
    assert RECIPES["InPars"].sampling == {}


def test_long_documents_are_cut() -> None:
    asked = RECIPES["InPars"].prompt
    assert asked is not None
    assert len(asked("word " * 5_000, ()).split()) < 200


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ("  how do\tbees talk ", "how do bees talk"),
        ("bees", None),
        ("honeybees communicating", None),
        ("", None),
        ("why " * 80, None),
    ],
)
def test_too_short_and_too_long_replies_are_no_queries(reply: str, query: str | None) -> None:
    assert usable_query(reply) == query
