"""Tests of the compile metric: its order of good and bad, its batches, and DSPy's form."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.metrics.query_metric import QueryMetric, summarize
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.signatures.generate_queries import SyntheticQuery

GOOD = "what makes the sea level change twice daily"
OTHER = "gravity of our satellite and the water"
COPY = "the moon pulls the ocean towards itself"
LONG = " ".join(["gravity", *(f"word{number}" for number in range(20))])

Make = Callable[..., QueryMetric]
Told = Callable[[Any], Any]


def example(document: Document, number: int = 1) -> dspy.Example:
    return dspy.Example(source=document, number_of_queries=number).with_inputs("source", "number_of_queries")


def test_a_good_query_that_finds_its_document_first_is_accepted(metric_of: Make, document: Document) -> None:
    judged = metric_of({GOOD: 1}).judge([(document, GOOD)])[0]
    assert judged.accepted
    assert judged.reason is None
    assert judged.rank == 1
    assert 0.9 < judged.score <= 1.0


@pytest.mark.parametrize(("rank", "accepted"), [(10, True), (11, False)])
def test_the_top_ten_is_the_border(metric_of: Make, document: Document, rank: int, accepted: bool) -> None:
    judged = metric_of({GOOD: rank}).judge([(document, GOOD)])[0]
    assert judged.accepted is accepted
    assert judged.reason == (None if accepted else "not_retrieved")


def test_the_score_falls_with_the_rank_and_is_nothing_beyond_a_hundred(metric_of: Make, document: Document) -> None:
    scores = [metric_of({GOOD: rank}).judge([(document, GOOD)])[0].score for rank in (1, 2, 10, 11, 50, 100)]
    assert scores == sorted(scores, reverse=True)
    assert scores[2] > 3 * scores[3]
    assert metric_of({}).judge([(document, GOOD)])[0].score == 0.0


def test_an_unnatural_query_is_rejected_and_scores_low(metric_of: Make, document: Document) -> None:
    judged = metric_of({GOOD: 1}, {GOOD: -12.0}).judge([(document, GOOD)])[0]
    assert judged.reason == "not_natural"
    assert judged.score < 0.1


def test_a_copy_scores_nothing_even_when_something_else_is_wrong_too(metric_of: Make, document: Document) -> None:
    copied_and_unfinished = f"{COPY}, so every"
    metric = metric_of({COPY: 1, copied_and_unfinished: 1})
    assert [one.score for one in metric.judge([(document, COPY), (document, copied_and_unfinished)])] == [0.0, 0.0]


def test_a_slip_scores_half(metric_of: Make, document: Document) -> None:
    metric = metric_of({GOOD: 1, LONG: 1})
    good, long = metric.judge([(document, GOOD), (document, LONG)])
    assert long.reason == "too_long"
    assert 0.3 < long.score / good.score < 0.6


def test_a_missing_query_counts_as_nothing(metric_of: Make, document: Document) -> None:
    judged = metric_of({GOOD: 1}).judge([(document, None), (document, "  ")])
    assert [(one.accepted, one.reason, one.score) for one in judged] == [(False, "empty", 0.0)] * 2


def test_near_duplicates_of_an_accepted_query_are_not_accepted(metric_of: Make, document: Document) -> None:
    twin = "what makes a sea level change twice daily"
    judged = metric_of({GOOD: 1, twin: 1}).judge([(document, GOOD), (document, twin)])
    assert [one.reason for one in judged] == [None, "duplicate"]


def test_all_queries_are_searched_and_scored_in_one_call(
    told_retriever: Told, told_scorer: Told, document: Document
) -> None:
    retriever, scorer = told_retriever({GOOD: 1, OTHER: 2}), told_scorer({})
    metric = QueryMetric(retriever, scorer)
    metric.judge([(document, GOOD), (document, OTHER), (document, None), (document, GOOD)])
    assert retriever.calls == [[GOOD, OTHER]]
    assert scorer.calls == 1
    metric.judge([(document, GOOD)])
    assert len(retriever.calls) == 1


@pytest.mark.parametrize("field", ["title", "text"])
def test_a_document_that_changed_and_kept_its_id_is_judged_as_it_is_now(
    metric_of: Make, document: Document, field: str
) -> None:
    copied = document.model_copy(update={field: f"{GOOD}, and why?"})
    metric = metric_of({GOOD: 1})
    first, changed, again = (metric.judge([(one, GOOD)])[0] for one in (document, copied, document))
    assert first.accepted
    assert changed == metric_of({GOOD: 1}).judge([(copied, GOOD)])[0]
    assert not changed.accepted
    assert again == first
    together = metric_of({GOOD: 1}).judge([(copied, GOOD), (document, GOOD)])
    assert [one.accepted for one in together] == [False, True]


def test_a_document_that_is_in_another_language_now_is_judged_anew(metric_of: Make, document: Document) -> None:
    metric = metric_of({GOOD: 1})
    told = [metric.judge([(document.model_copy(update={"language": one}), GOOD)])[0] for one in ("en", "de")]
    assert [one.accepted for one in told] == [True, False]


def test_one_at_a_time_no_query_is_searched_or_scored_beside_another(
    told_retriever: Told, told_scorer: Told, document: Document
) -> None:
    retriever, scorer = told_retriever({GOOD: 1, OTHER: 2}), told_scorer({})
    asked = [(document, GOOD), (document, OTHER), (document, None), (document, GOOD)]
    judged = QueryMetric(retriever, scorer, one_at_a_time=True).judge(asked)
    assert retriever.calls == [[GOOD], [OTHER]]
    assert scorer.calls == 2
    assert judged == QueryMetric(told_retriever({GOOD: 1, OTHER: 2}), told_scorer({})).judge(asked)


def test_dspy_gets_the_mean_over_the_queries_asked_for(metric_of: Make, document: Document) -> None:
    metric = metric_of({GOOD: 1})
    one = metric(example(document), dspy.Prediction(queries=[GOOD]))
    two = metric(example(document, 2), dspy.Prediction(queries=[GOOD]))
    assert isinstance(one, float)
    assert two == pytest.approx(one / 2)


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (GOOD, r"queries are a str instead of a list of texts\. Give a list"),
        ([SyntheticQuery(text=GOOD)], r"document 'd': a query is a SyntheticQuery instead of a text"),
    ],
)
def test_queries_that_are_no_list_of_texts_are_refused(
    metric_of: Make, document: Document, queries: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        metric_of({GOOD: 1})(example(document), dspy.Prediction(queries=queries))


def test_an_example_without_a_document_is_refused(metric_of: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"no Document as its source\. Make it with example_of"):
        metric_of({})(dspy.Example(document="a text"), dspy.Prediction(queries=[GOOD]))


def test_bootstrapping_gets_a_bool(metric_of: Make, document: Document) -> None:
    metric = metric_of({GOOD: 1})
    assert metric(example(document), dspy.Prediction(queries=[GOOD]), trace=[]) is True
    assert metric(example(document), dspy.Prediction(queries=[COPY]), trace=[]) is False


def test_gepa_gets_feedback_that_says_why(metric_of: Make, document: Document) -> None:
    feedback = metric_of({COPY: 3})(example(document), dspy.Prediction(queries=[COPY]), None, "generate", None)
    assert isinstance(feedback, dspy.Prediction)
    assert feedback.score == 0.0
    assert "stand in the document" in feedback.feedback
    assert "rank 3" in feedback.feedback


def test_many_threads_get_what_one_gets(told_retriever: Told, told_scorer: Told, document: Document) -> None:
    queries = [f"{GOOD} near town{number}" for number in range(64)]
    ranks = {query: 1 + number for number, query in enumerate(queries)}
    retriever = told_retriever(ranks)
    metric = QueryMetric(retriever, told_scorer({}))
    with ThreadPoolExecutor(32) as pool:
        scores = list(pool.map(lambda query: metric(example(document), dspy.Prediction(queries=[query])), queries))
    alone = QueryMetric(told_retriever(ranks), told_scorer({}))
    assert scores == [alone(example(document), dspy.Prediction(queries=[query])) for query in queries]
    assert len(retriever.calls) < len(queries)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["d", "e"], r"retriever 'Own': search returned a list with a list in it instead of a Ranking"),
        (Ranking(("d", "d"), (1.0, 1.0)), r"retriever 'Own': search returned the document 'd' twice"),
    ],
)
def test_what_an_engine_of_ones_own_finds_is_checked(
    told_scorer: Told, document: Document, found: Any, message: str
) -> None:
    class Own:
        def search(self, queries: Any, k: int) -> Any:
            return [found for _ in queries]

    with pytest.raises(ConfigurationError, match=message):
        QueryMetric(Own(), told_scorer({})).judge([(document, GOOD)])
    with pytest.raises(ConfigurationError, match=r"retriever: a str has no search method"):
        QueryMetric("bm25", told_scorer({}))  # type: ignore[arg-type]


def test_the_row_of_a_table_counts_what_was_asked_for(metric_of: Make, document: Document) -> None:
    metric = metric_of({GOOD: 1, OTHER: 50})
    row = summarize(metric.judge([(document, GOOD), (document, OTHER), (document, COPY), (document, None)]))
    assert row["documents"] == 4
    assert row["accepted"] == row["hit@10"] == 0.25
    assert row["copy4"] == pytest.approx(1 / 3)
    assert row["top_opening"] == pytest.approx(1 / 3)


def test_the_row_of_nothing_is_zero() -> None:
    assert summarize([])["score"] == 0.0
