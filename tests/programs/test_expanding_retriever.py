"""Queries in other words: what is searched for, how it is fused, and what a silly reply does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.programs import (
    ExpandingRetriever,
    ExpansionReport,
    HypotheticalPassageWriter,
    LikelihoodReranker,
    PointwiseReranker,
    QueryExpander,
)
from inpars_plus.retrieval.filtered import MetadataFilter
from inpars_plus.retrieval.protocol import Ranking, Retriever

Make = Callable[..., tuple[dspy.LM, Any]]

EXPANSION = json.dumps(
    {
        "expansion": {
            "terms": ["gasket", "seal", "Pump", "leak"],
            "rephrasings": ["why is water below the pump", "PUMP LEAKS "],
        }
    }
)
PASSAGE = json.dumps({"passage": {"text": "A pump leaks when its seal is worn."}})


class Recorder:
    """Finds, for each text, the documents that its words name, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        self.asked += queries
        found = [tuple(dict.fromkeys(query.casefold().split()))[:k] for query in queries]
        return [Ranking(ids, tuple(float(9 - rank) for rank in range(len(ids)))) for ids in found]


def test_a_query_is_searched_with_its_terms_and_its_rephrasings(chat_lm: Make) -> None:
    lm, engine = chat_lm([EXPANSION])
    recorder = Recorder()
    retriever = ExpandingRetriever(QueryExpander(), recorder)
    assert isinstance(retriever, Retriever)
    with dspy.context(lm=lm):
        (found,) = retriever.search(["pump leaks"], 3)
    # A term that the query has, and a rephrasing that is the query, add nothing.
    assert recorder.asked == ["pump leaks", "pump leaks gasket seal leak", "why is water below the pump"]
    assert found.ids == ("pump", "leaks", "why")
    assert found.scores[1] == pytest.approx(1 / 62 + 0.5 / 62)
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert retriever.report == ExpansionReport(queries=1, texts=2)
    assert len(engine.prompts) == 1


def test_a_passage_is_searched_for_beside_the_query_or_instead_of_it(chat_lm: Make) -> None:
    lm, _ = chat_lm([PASSAGE, PASSAGE])
    with dspy.context(lm=lm):
        (beside,) = ExpandingRetriever(HypotheticalPassageWriter(), Recorder()).search(["leaking water"], 9)
        asked = Recorder()
        (instead,) = ExpandingRetriever(HypotheticalPassageWriter(), asked, keep_query=False).search(
            ["leaking water"], 9
        )
    assert asked.asked == ["A pump leaks when its seal is worn."]
    assert instead.scores[0] == 9.0
    assert beside.ids[:3] == ("leaking", "a", "water")
    assert instead.ids == ("a", "pump", "leaks", "when", "its", "seal", "is", "worn.")


def test_several_additions_instead_of_the_query_count_alike(chat_lm: Make) -> None:
    lm, _ = chat_lm([EXPANSION])
    recorder = Recorder()
    with dspy.context(lm=lm):
        (found,) = ExpandingRetriever(QueryExpander(), recorder, keep_query=False).search(["pump leaks"], 3)
    assert recorder.asked == ["pump leaks gasket seal leak", "why is water below the pump"]
    assert found.ids == ("pump", "why", "leaks")
    assert found.scores == pytest.approx([0.5 / 61 + 0.5 / 66, 0.5 / 61, 0.5 / 62])


def test_a_ranking_is_as_long_as_asked_for(chat_lm: Make) -> None:
    class Shelf:
        def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
            return [Ranking(tuple(f"d{at}" for at in range(k)), (1.0,) * k) for _ in queries]

    lm, _ = chat_lm([PASSAGE, PASSAGE])
    search = ExpandingRetriever(HypotheticalPassageWriter(), Shelf())
    with dspy.context(lm=lm):
        assert [len(search.search(["q"], k)[0]) for k in (7, 250)] == [7, 250]


def test_a_search_for_nothing_is_refused_before_the_model_is_asked(chat_lm: Make) -> None:
    lm, engine = chat_lm([PASSAGE])
    for k in (0, -1):
        with dspy.context(lm=lm), pytest.raises(ConfigurationError, match=f"k: .* at least 1 document, not {k}"):
            ExpandingRetriever(HypotheticalPassageWriter(), Recorder()).search(["q"], k)
    assert engine.prompts == []


@pytest.mark.parametrize("program", [QueryExpander, HypotheticalPassageWriter])
@pytest.mark.parametrize(
    "reply",
    [
        "",
        '{"expansion": {"terms": 7}, "passage": 7}',
        '{"expansion": [1], "x": 1}',
        '{"expansion": {"x": {"y": 1}, "terms": ["gas',
        '{"passage": {"text": "A pump leaks when its',
    ],
)
@pytest.mark.parametrize("keep_query", [True, False])
def test_a_malformed_reply_leaves_the_query_as_it_is(
    program: Callable[[], Any], reply: str, keep_query: bool, chat_lm: Make
) -> None:
    lm, engine = chat_lm([reply])
    retriever = ExpandingRetriever(program(), Recorder(), keep_query=keep_query)
    with dspy.context(lm=lm):
        assert retriever.search(["pump leaks"], 1) == [Ranking(("pump",), (9.0,))]
    assert retriever.report == ExpansionReport(queries=1, unreadable=1)
    assert len(engine.prompts) == 1


def test_an_expansion_of_nothing_is_counted_apart(chat_lm: Make) -> None:
    lm, _ = chat_lm(['{"expansion": {"terms": [], "rephrasings": [" "]}}'])
    retriever = ExpandingRetriever(QueryExpander(), Recorder())
    with dspy.context(lm=lm):
        assert retriever.search(["pump leaks"], 2)[0].scores == (9.0, 8.0)
    assert retriever.report == ExpansionReport(queries=1, unchanged=1)


@pytest.mark.parametrize("keep_query", [True, False])
def test_a_passage_that_is_the_query_adds_nothing(keep_query: bool, chat_lm: Make) -> None:
    lm, _ = chat_lm(['{"passage": {"text": "Pump LEAKS"}}'])
    recorder = Recorder()
    retriever = ExpandingRetriever(HypotheticalPassageWriter(), recorder, keep_query=keep_query)
    with dspy.context(lm=lm):
        (found,) = retriever.search(["pump leaks "], 2)
    assert recorder.asked == ["pump leaks "]
    assert found.scores == (9.0, 8.0)
    assert retriever.report == ExpansionReport(queries=1, unchanged=1)


def test_blank_queries_are_not_asked_about(chat_lm: Make) -> None:
    lm, engine = chat_lm([PASSAGE])
    with dspy.context(lm=lm):
        found = ExpandingRetriever(HypotheticalPassageWriter(), Recorder()).search(["", "pump", " "], 5)
    assert [len(ranking) for ranking in found] == [0, 5, 0]
    assert len(engine.prompts) == 1


def test_a_line_that_is_too_long_is_left_out_and_the_others_are_used(chat_lm: Make) -> None:
    said = {"terms": ["gasket", "long " * 50], "rephrasings": ["why so long " * 25, " a" + " " * 250, "x" * 200]}
    lm, _ = chat_lm([json.dumps({"expansion": said})])
    with dspy.context(lm=lm):
        found = QueryExpander()(query="pump leaks")
    assert found.texts == ["pump leaks gasket", "a", "x" * 200]
    assert found.reason is None


def test_a_passage_that_is_too_long_is_cut_behind_a_sentence(chat_lm: Make) -> None:
    lm, _ = chat_lm([json.dumps({"passage": {"text": "A worn seal leaks. " * 130}})])
    with dspy.context(lm=lm):
        (text,) = HypotheticalPassageWriter()(query="pump leaks").texts
    assert text == ("A worn seal leaks. " * 105).strip()


def test_no_rephrasings_can_be_asked_for(chat_lm: Make) -> None:
    lm, _ = chat_lm([EXPANSION])
    with dspy.context(lm=lm):
        assert QueryExpander(max_rephrasings=0)(query="pump leaks").texts == ["pump leaks gasket seal leak"]
    with pytest.raises(ConfigurationError, match="max_rephrasings is -1"):
        QueryExpander(max_rephrasings=-1)


def test_a_dead_model_passes_through(chat_lm: Make) -> None:
    # One for each thread: which of them tells first is not settled.
    lm, _ = chat_lm([DeadModelError("the model is gone")] * 2)
    with dspy.context(lm=lm), pytest.raises(DeadModelError, match="gone"):
        ExpandingRetriever(QueryExpander(), Recorder()).search(["q", "r"], 2)


def test_a_copy_is_the_same_object_and_threads_are_checked() -> None:
    retriever = ExpandingRetriever(QueryExpander(), Recorder())
    assert copy.deepcopy(retriever) is retriever
    with pytest.raises(ConfigurationError, match="0 threads"):
        ExpandingRetriever(QueryExpander(), Recorder(), threads=0)


def test_a_filter_around_it_is_refused_because_each_deeper_search_would_be_paid_for() -> None:
    retriever = ExpandingRetriever(QueryExpander(), Recorder())
    with pytest.raises(ConfigurationError, match=r"around ExpandingRetriever would ask .* ExpandingRetriever\(program"):
        MetadataFilter(retriever, [])


def test_a_search_without_one_readable_reply_is_told_once(chat_lm: Make, caplog: pytest.LogCaptureFixture) -> None:
    lm, _ = chat_lm(lambda prompt: "")
    retriever = ExpandingRetriever(QueryExpander(), Recorder())
    with dspy.context(lm=lm):
        for _ in range(2):
            retriever.search(["pump leaks", "seal"], 3)
    (told,) = caplog.messages
    assert told.startswith("not one of 2 replies of the language model could be read, so the queries are searched")


@pytest.mark.parametrize("program", [QueryExpander, HypotheticalPassageWriter])
@pytest.mark.parametrize("query", ["", " \n", " " * 3_000 + "q"])
def test_a_blank_query_is_not_asked_about_and_nothing_is_added(
    program: Callable[[], Any], query: str, chat_lm: Make
) -> None:
    lm, engine = chat_lm([])
    with dspy.context(lm=lm):
        found = program()(query=query)
    assert (found.texts, found.reason) == ([], None)
    assert engine.prompts == []


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        (None, "None"),
        (QueryExpander, "the class QueryExpander"),
        (HypotheticalPassageWriter, "the class HypotheticalPassageWriter"),
        (PointwiseReranker(), "a PointwiseReranker"),
        (LikelihoodReranker(cast(Any, None)), "a LikelihoodReranker"),
        (dspy.Module(), "a Module"),
    ],
)
def test_what_expands_no_queries_is_refused_at_once(program: Any, kind: str) -> None:
    sentence = rf"^program: {kind} expands no queries\. Pass QueryExpander\(\) or HypotheticalPassageWriter\(\)$"
    with pytest.raises(ConfigurationError, match=sentence):
        ExpandingRetriever(program, Recorder())


class Own(dspy.Module):
    """A program of a person's own."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.fields = fields

    def forward(self, query: str) -> dspy.Prediction:
        return dspy.Prediction(**self.fields)


def test_a_program_of_one_s_own_expands_queries_if_it_gives_texts() -> None:
    recorder = Recorder()
    ExpandingRetriever(Own(texts=["seal"], reason=None), recorder).search(["pump"], 2)
    assert recorder.asked == ["pump", "seal"]
    for fields in ({"answer": "seal"}, {"texts": "seal", "reason": None}, {"texts": ["seal"]}):
        with pytest.raises(ConfigurationError, match=r"^program 'Own': .* does not say what to search for\. It needs"):
            ExpandingRetriever(Own(**fields), Recorder()).search(["pump"], 2)
