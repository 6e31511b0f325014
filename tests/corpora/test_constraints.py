"""What counts as a constraint on metadata in a query's words, and who meets it."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from inpars_plus.corpora.constraints import Constraint, ConstraintReader, constraints_of, meets
from inpars_plus.corpora.documents import Document


def _document(name: str = "1", **metadata: Any) -> Document:
    return Document(id=name, title="Ferry strike", text="The islands were cut off.", metadata=metadata)


ARTICLE = _document(source="Harbour Post (Web)", authors="Ann Lee, Bo Kim", date="2018-06-20", topic="public_transport")
OTHER = _document("2", source="The Daily Tide - News", authors=["Bo Kim"], date="2019-01-02", topic="weather")
READER = ConstraintReader.fit([ARTICLE, OTHER])


def _stated(query: str) -> list[str]:
    return [" or ".join(map(str, either)) for either in READER.stated_in(query)]


def test_metadata_give_names_as_people_type_them() -> None:
    assert [str(one) for one in constraints_of(ARTICLE)] == [
        "source: Harbour Post",
        "author: Ann Lee",
        "author: Bo Kim",
        "date: June 2018",
        "topic: public transport",
    ]
    assert str(constraints_of(OTHER)[0]) == "source: The Daily Tide"


@pytest.mark.parametrize(
    "metadata", [{}, {"source": "", "authors": None, "date": "last week"}, {"topic": 3, "source": "(Web)"}]
)
def test_metadata_that_say_nothing_give_nothing(metadata: dict[str, Any]) -> None:
    assert constraints_of(_document(**metadata)) == []


@pytest.mark.parametrize(
    ("query", "stated"),
    [
        ("harbour post article about the ferry strike", ["source: Harbour Post"]),
        ("ferry strike from the Harbour Post", ["source: Harbour Post"]),
        ("ferry strike in the Harbour Post", ["source: Harbour Post"]),
        ("article by Ann Lee about ferries", ["author: Ann Lee"]),
        ("Bo Kim's column on ferries", ["author: Bo Kim"]),
        ("June 2018 article about ferries", ["date: June 2018"]),
        ("ferries published in 2018", ["date: 2018"]),
        ("news from 2018 about ferries", ["date: 2018"]),
        ("ferries from 2018?", ["date: 2018"]),
        ("public transport news about ferries", ["topic: public transport"]),
        ("news on weather at sea", ["topic: weather"]),
        ("news from January 2019 by Bo Kim", ["author: Bo Kim", "date: January 2019"]),
        ("news from Jun 2018", ["date: June 2018"]),
        ("news from Sept. 1899 about ferries", ["date: September 1899"]),
        ("ferries, published June 15, 2018", ["date: June 2018"]),
        ("article dated 15 June 2018 about ferries", ["date: June 2018"]),
        ("is it over? news from the Daily Tide", ["source: The Daily Tide"]),
    ],
)
def test_a_constraint_is_read_from_the_words_around_a_name(query: str, stated: list[str]) -> None:
    assert _stated(query) == stated


@pytest.mark.parametrize(
    "query",
    [
        "is the weather bad for public transport",
        "who is Ann Lee",
        "why did the harbour post fall into the sea",
        "what happened in June 2018",
        "the 2018 elections",
        "weather report for the islands",
        "samples drawn from 2000 patients",
        "1500 articles about ferries",
        "news from 2016 to 2018 about ferries",
        "articles from June 2016 until May 2018",
        "ferry strikes before 2018 reports",
        "",
    ],
)
def test_a_name_that_the_query_is_about_is_no_constraint(query: str) -> None:
    assert _stated(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "between 2016 and 2018 articles on ferries",
        "between June 2016 and May 2018 articles",
        "news from 2018 or later",
        "news from June 2018 onwards",
        "articles published in 2018, or earlier",
        "news from 2018 and later",
        "2018 articles and after",
        "news from 2017 and 2018 or later",
        "2016-2018 articles on ferries",
        "2016–2018 and 2019 articles",
        "news from 2018-19 about ferries",
        "news from 2018 - May 2019",
        "articles from 15 June 2016 to 2 May 2018",
    ],
)
def test_a_range_is_no_date(query: str) -> None:
    assert _stated(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "news from 2018 - 50 people killed",
        "news from 2018 tomatoes 12",
        "news from 2018 to see 12 ferries",
        "news from 2018 - ferries 12 hours late",
    ],
)
def test_a_number_behind_a_date_makes_it_no_range(query: str) -> None:
    assert _stated(query) == ["date: 2018"]


@pytest.mark.parametrize(
    ("query", "stated"),
    [
        ("ferry strike, not from the Harbour Post", []),
        ("ferry strike but no articles by Ann Lee", []),
        ("ferry strike except Daily Tide coverage", []),
        ("ferry strike without news on weather", []),
        ("ferry news that isn't from June 2018", []),
        ("not Harbour Post and Daily Tide articles", []),
        ("Harbour Post article on ferries, not from the Daily Tide", ["source: Harbour Post"]),
    ],
)
def test_what_stands_behind_a_not_is_no_constraint(query: str, stated: list[str]) -> None:
    assert _stated(query) == stated


@pytest.mark.parametrize(
    ("query", "stated"),
    [
        ("Harbour Post and Daily Tide articles", ["source: Harbour Post or source: The Daily Tide"]),
        ("news from the Harbour Post or the Daily Tide", ["source: Harbour Post or source: The Daily Tide"]),
        ("news from the Harbour Post, or from the Daily Tide", ["source: Harbour Post or source: The Daily Tide"]),
        ("Harbour Post articles and Daily Tide articles", ["source: Harbour Post or source: The Daily Tide"]),
        ("article by Ann Lee & Bo Kim about ferries", ["author: Ann Lee or author: Bo Kim"]),
        ("2018 and 2019 articles on ferries", ["date: 2018 or date: 2019"]),
        ("article by Ann Lee and Daily Tide coverage", ["author: Ann Lee", "source: The Daily Tide"]),
        ("2018 or in May 2019 articles", ["date: 2018 or date: May 2019"]),
        ("weather news and public transport news", ["topic: weather or topic: public transport"]),
        ("hello weather, public transport news", ["topic: public transport"]),
        ("news for weather and public transport coverage", ["topic: public transport"]),
        ("boats at the Harbour Post, from the Daily Tide", ["source: The Daily Tide"]),
        ("Ann Lee and Daily Tide articles", ["source: The Daily Tide"]),
        ("news from the Harbour Post about Daily Tide coverage", ["source: Harbour Post", "source: The Daily Tide"]),
    ],
)
def test_any_of_several_of_one_field_that_are_joined_will_do(query: str, stated: list[str]) -> None:
    assert _stated(query) == stated


@pytest.mark.parametrize(
    ("names", "query", "stated"),
    [
        ({"source": "World News", "topic": "world"}, "world news about ferries", ["topic: world"]),
        ({"source": "World News", "topic": "world"}, "world news article about ferries", ["source: World News"]),
        ({"source": "Time", "topic": "time article"}, "Time article about ferries", ["source: Time"]),
        ({"source": "Fox News", "topic": "Fox"}, "fox news about ferries", ["topic: Fox"]),
        ({"source": "North Island Post", "topic": "Island"}, "the North Island Post ran aground", []),
    ],
)
def test_a_longer_name_that_is_not_stated_leaves_a_shorter_one_to_be_read(
    names: dict[str, str], query: str, stated: list[str]
) -> None:
    reader = ConstraintReader.fit([_document(**names)])
    assert [str(one) for either in reader.stated_in(query) for one in either] == stated


def test_a_name_of_an_author_and_a_source_may_be_either() -> None:
    reader = ConstraintReader([Constraint(field="author", value="Wire"), Constraint(field="source", value="Wire")])
    assert [[one.field for one in either] for either in reader.stated_in("Wire article about ferries")] == [
        ["author", "source"]
    ]


ODD = (
    _document("3", source="Barron's", author="Flann O’Brien", date=2018),
    _document("4", source="The Guardian", author="Smith, John A.", date="2018-06"),
    _document("5", source="Reader’s Digest", author="Jones, Jr.", date="soon", published="2019-01-02T10:00:00Z"),
)


@pytest.mark.parametrize("document", [ARTICLE, OTHER, *ODD])
def test_every_opening_states_its_constraint(document: Document) -> None:
    reader = ConstraintReader.fit([ARTICLE, OTHER, *ODD])
    assert constraints_of(document)
    for constraint in constraints_of(document):
        assert reader.stated_in(f"{constraint.opening} ferries") == [(constraint,)]
        assert meets(document, constraint)


def test_names_are_read_as_they_are_typed() -> None:
    assert [str(one) for one in constraints_of(ODD[1])] == [
        "source: The Guardian",
        "author: John A. Smith",
        "date: June 2018",
    ]
    assert [str(one) for one in constraints_of(ODD[2])][1:] == ["author: Jones", "date: January 2019"]
    reader = ConstraintReader.fit(ODD)
    for query in ("floods in the Guardian", "Guardian article about floods", "the guardian's report on floods"):
        assert reader.stated_in(query) == [(constraints_of(ODD[1])[0],)]
    (either,) = reader.stated_in("article by Flann O'Brien about floods")
    assert meets(ODD[0], either[0])


def test_a_year_is_met_by_its_months_and_names_without_regard_to_case() -> None:
    assert meets(ARTICLE, Constraint(field="date", value="2018"))
    assert meets(ARTICLE, Constraint(field="author", value="ann lee"))
    assert not meets(ARTICLE, Constraint(field="date", value="2018-07"))
    assert not meets(ARTICLE, Constraint(field="source", value="Ann Lee"))


@pytest.mark.parametrize("word", ["2018 ", "weather ", "2018 and ", "from 2018 ", "Harbour Post, "])
def test_a_long_text_is_read_in_time_that_grows_with_its_length(word: str) -> None:
    def seconds(repeats: int) -> float:
        started = time.process_time()
        READER.stated_in(word * repeats)
        return time.process_time() - started

    short = min(seconds(250) for _ in range(3))
    assert min(seconds(2000) for _ in range(3)) < 24 * short, "8 times the text; its square would be 64 times"


def test_a_copy_of_a_reader_is_the_reader() -> None:
    assert copy.deepcopy(READER) is READER
