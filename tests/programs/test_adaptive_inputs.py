"""What adaptive generation refuses: programs that write no queries, and analysts that tell no types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs import AdaptiveQueryGenerator, DocumentAnalyst, QueryGenerator, Route

TALK = Document(id="talk/1", text="My valve sticks! What can I do?", doc_type="folder")
EMPTY = Document(id="empty")


class _Told:
    def route(self, documents: Sequence[Document]) -> list[Route]:
        return [Route(document_type="talk") for _ in documents]


@pytest.fixture
def programs() -> dict[str, QueryGenerator]:
    return {"talk": QueryGenerator(), "code": QueryGenerator()}


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "is 0, but must be"), ("2", "not a str"), (None, "not None"), (True, "not a bool"), (1.5, "not a float")],
)
def test_asking_for_no_number_of_queries_is_refused_before_the_analyst_is_asked(
    programs: dict[str, QueryGenerator], number: Any, told: str
) -> None:
    class Asked:
        def route(self, documents: Any) -> Any:
            raise AssertionError

    with pytest.raises(ConfigurationError, match=rf"number_of_queries .*{told}"):
        AdaptiveQueryGenerator(programs, programs["talk"], Asked())(source=TALK, number_of_queries=number)


def test_an_analyst_with_too_few_routes_is_named(programs: dict[str, QueryGenerator]) -> None:
    class Lazy:
        def route(self, documents: Sequence[Document]) -> list[Route]:
            return [Route(document_type="talk") for _ in documents[1:]]

    with pytest.raises(ConfigurationError, match="the analyst Lazy gave 1 routes for 2 documents"):
        AdaptiveQueryGenerator(programs, programs["talk"], Lazy()).assign([TALK, EMPTY])


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        (["talk", "talk"], "gave a str instead of a Route"),
        ([Route(document_type="talk"), None], "gave None instead of a Route"),
        (None, "gave None instead of a list of routes"),
        ("xy", "gave a str instead of a list of routes"),
    ],
)
def test_an_analyst_that_gives_no_routes_is_named(programs: dict[str, QueryGenerator], gives: Any, told: str) -> None:
    class Odd:
        def route(self, documents: Sequence[Document]) -> Any:
            return gives

    with pytest.raises(ConfigurationError, match=rf"^the analyst Odd {told}\. Its method route must give one route"):
        AdaptiveQueryGenerator(programs, programs["talk"], Odd()).assign([TALK, EMPTY])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"analyst": None}, r"^analyst: None tells no types of documents\. Pass a TypeRouter"),
        ({"analyst": _Told}, r"^analyst: the class _Told tells no types"),
        ({"base": None}, r"^base: None writes no queries\. Pass a QueryGenerator, or one of its kinds$"),
        ({"base": QueryGenerator}, r"^base: the class QueryGenerator writes no queries"),
        (
            {"programs": {"talk": DocumentAnalyst(["talk"])}},
            r"^programs\['talk'\]: a DocumentAnalyst writes no queries",
        ),
        ({"programs": [QueryGenerator()]}, r"^programs: programs are given by their types .*, not as a list\. Pass \{"),
    ],
)
def test_what_cannot_write_or_tell_types_is_refused_at_once(wrong: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"programs": {"talk": QueryGenerator()}, "base": QueryGenerator(), "analyst": _Told()}
    with pytest.raises(ConfigurationError, match=sentence):
        AdaptiveQueryGenerator(**{**given, **wrong})
