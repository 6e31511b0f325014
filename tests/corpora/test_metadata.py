"""What metadata of every form say, as people type it."""

from __future__ import annotations

from typing import Any

import pytest

from inpars_plus.corpora.metadata import named_in


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("Ann Lee, Bo Kim, Cy Day", ["Ann Lee", "Bo Kim", "Cy Day"]),
        ("By Ann Lee and Bo Kim", ["Ann Lee", "Bo Kim"]),
        ("Lee, Ann Marie", ["Ann Marie Lee"]),
        ("Lee, Ann Marie; Kim, Bo", ["Ann Marie Lee", "Bo Kim"]),
        ("Garcia Marquez, Gabriel", ["Gabriel Garcia Marquez"]),
        ("Smith, J. A.", ["J. A. Smith"]),
        ("Ann Lee, Mei Li", ["Ann Lee", "Mei Li"]),
        ("Anderson Cooper, CNN", ["Anderson Cooper"]),
        ("CNN, Ann Lee", ["Ann Lee"]),
        ("LEE, ANN", ["ANN LEE"]),
        ("Ann Lee, Harbour Post", ["Ann Lee"]),
        ("Harbour Post", ["Harbour Post"]),
        ("Ann Lee, Senior Staff Writer", ["Ann Lee"]),
        ("Staff Writer", []),
        (["Ann Lee", "Kim, Bo"], ["Ann Lee", "Bo Kim"]),
        ("...", []),
        (7, []),
    ],
)
def test_authors_are_read_from_lists_and_catalogues(given: Any, names: list[str]) -> None:
    assert named_in({"source": "Harbour Post", "authors": given})["author"] == names


@pytest.mark.parametrize(
    "given",
    [
        "2018-06-20",
        "2018/06/20",
        "2018-6-1",
        "2018.06.20",
        "20180620",
        "2018-06",
        "2018-06-20T10:00:00+02:00",
        "June 20, 2018",
        "Jun. 20, 2018, 5:00 PM",
        "20 June 2018",
        "Wed, 20 Jun 2018 10:00:00 GMT",
        "20th June 2018",
        "June 2018",
        1529452800,
        1529452800.5,
        "1529452800",
        1529452800000,
        ["June 20, 2018"],
    ],
)
def test_common_forms_of_dates_are_read_to_the_month(given: Any) -> None:
    assert named_in({"date": given})["date"] == ["2018-06"]


@pytest.mark.parametrize("given", [2018, "2018"])
def test_a_year_alone_is_a_year(given: Any) -> None:
    assert named_in({"published": given})["date"] == ["2018"]


@pytest.mark.parametrize(
    "given",
    ["06/07/2018", "2018-13-01", "2018-06-31", "1066-10-14", "last June", "", None, True, 5, -1, "9999999999", 1e300],
)
def test_a_date_that_is_not_clear_is_left_out(given: Any) -> None:
    assert named_in({"date": given})["date"] == []


def test_topics_are_read_one_by_one() -> None:
    assert named_in({"topic": "politics, economy; us_senate"})["topic"] == ["politics", "economy", "us senate"]
    assert named_in({"topics": ["climate change", "energy"]})["topic"] == ["climate change", "energy"]


def test_an_item_of_a_list_of_topics_is_one_topic() -> None:
    given = ["economy, business and finance", "us_senate"]
    assert named_in({"topics": given})["topic"] == ["economy, business and finance", "us senate"]
