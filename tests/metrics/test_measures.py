"""Tests of the measures against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from inpars_plus.corpora.documents import Judgment
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.metrics.measures import check_measure, evaluate_rankings
from inpars_plus.retrieval.protocol import Ranking

JUDGMENTS = [Judgment(query_id="q1", document_id="a"), Judgment(query_id="q2", document_id="b")]


def test_the_values_are_those_of_the_formulas() -> None:
    found = {"q1": Ranking(("x", "a"), (2.0, 1.0)), "q2": Ranking(("b",), (1.0,))}
    values = evaluate_rankings(JUDGMENTS, found, ("nDCG@10", "RR@10"))
    assert values["nDCG@10"] == pytest.approx({"q1": 1 / math.log2(3), "q2": 1.0})
    assert values["RR@10"] == {"q1": 0.5, "q2": 1.0}


def test_a_judged_query_without_a_ranking_counts_nothing() -> None:
    assert evaluate_rankings(JUDGMENTS, {}, ("R@10",)) == {"R@10": {"q1": 0.0, "q2": 0.0}}


def test_equal_scores_keep_the_order_of_the_ranking() -> None:
    values = evaluate_rankings(JUDGMENTS[:1], {"q1": Ranking(("a", "z"), (1.0, 1.0))}, ("RR@10",))
    assert values["RR@10"]["q1"] == 1.0


@pytest.mark.parametrize(
    ("name", "other"), [("RR@10", "MRR@10"), ("NDCG@10", "nDCG@10"), ("R@1", "Recall@1"), ("hit@2", "Success@2")]
)
def test_two_names_of_one_measure_have_its_values_both(name: str, other: str) -> None:
    found = {"q1": Ranking(("x", "a"), (2.0, 1.0)), "q2": Ranking(("b",), (1.0,))}
    values = evaluate_rankings(JUDGMENTS, found, (name, other))
    assert values[name] == values[other] == evaluate_rankings(JUDGMENTS, found, (name,))[name]
    assert values[name]["q2"] == 1.0


def test_a_hit_is_a_relevant_document_among_the_first() -> None:
    found = {"q1": Ranking(("x", "a"), (2.0, 1.0)), "q2": Ranking(("b",), (1.0,))}
    values = evaluate_rankings(JUDGMENTS, found, ("hit@1", "hit@2"))
    assert values == {"hit@1": {"q1": 0.0, "q2": 1.0}, "hit@2": {"q1": 1.0, "q2": 1.0}}


@pytest.mark.parametrize("name", ["nDGC@10", "hit@", "hit@x", "hit"])
def test_an_unknown_measure_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        evaluate_rankings(JUDGMENTS, {}, (name,))


@pytest.mark.parametrize("name", ["nDCG@0", "hit@0", "P@5.5", "P@'5'"])
def test_a_cutoff_that_is_no_number_of_documents_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="documents, not at 1 or more"):
        evaluate_rankings(JUDGMENTS, {}, (name,))


@pytest.mark.parametrize(
    "name", ["Rprec@10", "BPM", "Accuracy", "ERR@10", "RBP", "RR(rel='a')", "nDCG@99999999999999999999"]
)
def test_what_cannot_be_computed_shows_when_it_is_tried(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ir-measures cannot compute .* here"):
        check_measure(name)


def test_what_can_be_computed_passes() -> None:
    for name in ("nDCG@10", "nDCG", "RR", "AP(rel=2)@10", "hit@1", "R@100", "P@5"):
        check_measure(name)
