"""Which queries count, and how systems are compared."""

from __future__ import annotations

import pytest

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.metrics.evaluation import compare, compare_values, evaluate_systems, without_self
from inpars_plus.retrieval.protocol import Ranking

JUDGMENTS = [
    Judgment(query_id="q1", document_id="a", grade=2),
    Judgment(query_id="q1", document_id="b", grade=0),
    Judgment(query_id="q2", document_id="b"),
    Judgment(query_id="q3", document_id="c", grade=0),
]
GOOD = {"q1": Ranking(("a", "b"), (2.0, 1.0)), "q2": Ranking(("b",), (1.0,)), "other": Ranking(("a",), (1.0,))}
BAD = {"q1": Ranking(("b", "a"), (2.0, 1.0))}


def test_a_query_without_a_relevant_document_is_left_out_and_one_without_a_result_counts_0() -> None:
    found = evaluate_systems(JUDGMENTS, {"good": GOOD, "bad": BAD}, measures=["RR@10"])
    assert found.queries == ("q1", "q2")
    assert found.unanswerable == ("q3",)
    assert found.values["good"]["RR@10"] == (1.0, 1.0)
    assert found.values["bad"]["RR@10"] == (0.5, 0.0)
    assert found.unanswered == {"good": 0, "bad": 1}
    assert found.mean("bad", "RR@10") == 0.25


def test_the_document_with_the_query_s_own_id_is_neither_found_nor_relevant() -> None:
    judgments = [Judgment(query_id="a", document_id="a"), Judgment(query_id="a", document_id="b")]
    rankings = {"a": Ranking(("a", "b"), (2.0, 1.0))}
    assert without_self(rankings) == {"a": Ranking(("b",), (1.0,))}
    assert evaluate_systems(judgments, {"one": rankings}, measures=["RR@10", "R@10"]).values["one"] == {
        "RR@10": (1.0,),
        "R@10": (1.0,),
    }


def test_what_is_dropped_because_of_the_query_s_own_id_is_counted() -> None:
    judgments = [
        Judgment(query_id=query, document_id=document) for query, document in (("a", "a"), ("a", "b"), ("b", "b"))
    ]
    one = {"a": Ranking(("a", "b"), (2.0, 1.0)), "b": Ranking(("b",), (1.0,))}
    found = evaluate_systems(judgments, {"one": one, "self": {"a": Ranking(("a",), (1.0,))}}, measures=["RR@10"])
    assert found.self_judgments == 2
    assert found.self_results == {"one": 1, "self": 1}  # the query b has no other answer, and is left out
    assert found.unanswered == {"one": 0, "self": 1}
    assert found.values["self"]["RR@10"] == (0.0,)


def test_judgments_without_a_relevant_document_are_refused() -> None:
    with pytest.raises(InputError, match="no query has a relevant document"):
        evaluate_systems(JUDGMENTS[3:], {"good": GOOD})


def test_a_system_that_answers_none_of_the_queries_is_named() -> None:
    with pytest.raises(InputError, match="'lost' has a result for none of the 2"):
        evaluate_systems(JUDGMENTS, {"lost": {"q9": GOOD["q1"]}})


def test_systems_are_compared_with_the_baseline_query_by_query() -> None:
    judgments = [Judgment(query_id=f"q{at}", document_id="a") for at in range(40)]
    right, wrong = Ranking(("a",), (1.0,)), Ranking(("b", "a"), (2.0, 1.0))
    before = {f"q{at}": wrong for at in range(40)}
    after = {f"q{at}": right if at < 20 else wrong for at in range(40)}
    found = evaluate_systems(judgments, {"before": before, "after": after, "same": before})
    compared = compare(found, "before", measure="RR@10", seed=0)
    assert set(compared) == {"after", "same"}
    assert (compared["after"].wins, compared["after"].losses) == (20, 0)
    assert compared["after"].difference.score == pytest.approx(0.25)
    assert compared["after"].difference.low > 0
    assert compared["after"].p < 0.001
    assert compared["after"].p_holm == pytest.approx(2 * compared["after"].p)
    assert compared["same"].p_holm == 1.0


def test_the_p_value_is_the_same_whichever_of_two_systems_is_the_baseline() -> None:
    values = {"one": [0.1 * (at % 7) for at in range(40)], "other": [0.1 * (at % 5) for at in range(40)]}
    there = compare_values(values, "one", seed=0)["other"]
    back = compare_values(values, "other", seed=0)["one"]
    assert 0.01 < there.p == back.p < 0.1
    assert there.difference.score == -back.difference.score != 0
    assert (there.wins, there.losses) == (back.losses, back.wins)


def test_systems_with_other_numbers_of_values_are_not_compared() -> None:
    assert compare_values({"one": []}, "one", seed=0) == {}
    with pytest.raises(InputError, match="as many values before as after"):
        compare_values({"one": [1.0], "other": [1.0, 2.0]}, "one", seed=0)


def test_an_unknown_baseline_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no system 'bm52'\. There are good"):
        compare(evaluate_systems(JUDGMENTS, {"good": GOOD}, measures=["RR@10"]), "bm52", measure="RR@10", seed=0)
