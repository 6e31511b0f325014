"""A re-ranker is a retriever: what it promises about rankings, whatever the model says."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import dspy
import numpy as np
import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError, DeadModelError
from inpars_plus.lms.scripted import ScriptedEngine, scripted_lm
from inpars_plus.programs import (
    ListwiseReranker,
    LmReranker,
    PairwiseReranker,
    PointwiseReranker,
    QueryExpander,
    QueryGenerator,
    RerankReport,
)
from inpars_plus.programs.reranking import Reranker
from inpars_plus.retrieval.filtered import MetadataFilter
from inpars_plus.retrieval.protocol import Ranking, Retriever

Make = Callable[..., tuple[dspy.LM, Any]]
Judge = Callable[[str], str]

WORTHS = [0, 1, 3, 0, 2, 3, 1, 0]
DOCUMENTS = {
    f"d{number}": Document(id=f"d{number}", title=f"Pump {number}", text=f"It leaks, worth {worth}")
    for number, worth in enumerate(WORTHS)
}
FIVE_SORTED = ("d2", "d4", "d1", "d0", "d3")
FORMS = [PointwiseReranker, PairwiseReranker, ListwiseReranker]


class Shelf:
    """Finds all documents in their order for every query with a word in it."""

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        ids = tuple(DOCUMENTS)[:k]
        scores = tuple(1.0 - position / 10 for position in range(len(ids)))
        return [Ranking(ids, scores) if query.strip() else Ranking((), ()) for query in queries]


def _reranker(program: Reranker | None = None, **settings: Any) -> LmReranker:
    return LmReranker(program or PointwiseReranker(), Shelf(), DOCUMENTS, **{"depth": 5, **settings})


@pytest.mark.parametrize("form", FORMS)
def test_the_first_documents_are_sorted_and_the_others_stay_below(
    form: Callable[[], Reranker], chat_lm: Make, judge: Judge
) -> None:
    lm, _ = chat_lm(judge)
    reranker = _reranker(form())
    assert isinstance(reranker, Retriever)
    with dspy.context(lm=lm):
        (found,) = reranker.search(["why does it leak"], 8)
    assert found.ids == (*FIVE_SORTED, "d5", "d6", "d7")
    assert found.scores == tuple(1.0 - position / 10 for position in range(8))


def test_a_short_result_is_the_beginning_of_a_long_one(chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    with dspy.context(lm=lm):
        assert [_reranker().search(["q"], k)[0].ids for k in (2, 6)] == [FIVE_SORTED[:2], (*FIVE_SORTED, "d5")]
    assert len(engine.prompts) == 10


def test_around_a_filter_only_what_passes_is_asked_about_and_inside_one_it_is_refused(
    chat_lm: Make, judge: Judge
) -> None:
    lm, engine = chat_lm(judge)
    kept = ("d1", "d3", "d5", "d7")
    documents = [
        one.model_copy(update={"metadata": {"source": "Plant A" if one.id in kept else "Plant B"}})
        for one in DOCUMENTS.values()
    ]
    reranker = LmReranker(PointwiseReranker(), MetadataFilter(Shelf(), documents), DOCUMENTS, depth=3)
    with dspy.context(lm=lm):
        (found,) = reranker.search(["Plant A article about leaks"], 3)
    assert set(found.ids) == {"d1", "d3", "d5"}
    assert found.ids[0] == "d5"
    assert len(engine.prompts) == 3
    with pytest.raises(ConfigurationError, match=r"around LmReranker would ask its model again.*Put it around"):
        MetadataFilter(_reranker(), documents)


@pytest.mark.parametrize("k", [0, -1])
def test_a_search_for_nothing_is_refused_before_the_model_is_asked(k: int, chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    with dspy.context(lm=lm), pytest.raises(ConfigurationError, match=f"at least 1 document, not {k}"):
        _reranker().search(["q"], k)
    assert engine.prompts == []


def test_blank_queries_have_empty_rankings_and_cost_nothing(chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    reranker = _reranker()
    with dspy.context(lm=lm):
        found = reranker.search(["", "q", "  "], 3)
        assert reranker.search([], 3) == []
    assert [len(ranking) for ranking in found] == [0, 3, 0]
    assert reranker.report.queries == 1
    assert len(engine.prompts) == 5


def test_the_model_may_be_the_program_s_own_and_documents_may_come_from_a_function(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(judge)
    program = PointwiseReranker()
    program.set_lm(lm)
    reranker = LmReranker(program, Shelf(), DOCUMENTS.__getitem__, depth=5)
    assert reranker.search(["q"], 2)[0].ids == FIVE_SORTED[:2]


def test_reports_of_all_searches_add_up(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(judge)
    reranker = _reranker(PairwiseReranker(), calls=12)
    with dspy.context(lm=lm):
        reranker.search(["a", "b"], 8)
        (found,) = reranker.search(["c"], 8)
    assert (reranker.report.queries, reranker.report.calls, reranker.report.beyond_budget) == (3, 36, 3)
    assert found.ids == ("d2", "d1", "d0", "d3", "d4", "d5", "d6", "d7")


@pytest.mark.parametrize("queries", [1, 3, 40])
def test_queries_and_passages_are_asked_about_at_the_same_time(queries: int, chat_lm: Make, judge: Judge) -> None:
    running, most = [0], [0]

    def counted(prompt: str) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.01)
        running[0] -= 1
        return judge(prompt)

    lm, _ = chat_lm(counted)
    with dspy.context(lm=lm):
        found = _reranker(threads=4).search([f"q{number}" for number in range(queries)], 5)
    assert {ranking.ids for ranking in found} == {FIVE_SORTED}
    assert 2 <= most[0] <= 4


def test_a_document_that_is_not_there_is_named(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(judge)
    reranker = LmReranker(PointwiseReranker(), Shelf(), {"d0": DOCUMENTS["d0"]}, depth=5)
    with dspy.context(lm=lm), pytest.raises(CorpusError, match=r"document 'd1': search found a document"):
        reranker.search(["q"], 2)


def test_a_dead_model_ends_the_search_early(chat_lm: Make) -> None:
    lm, engine = chat_lm([DeadModelError("the model is gone")])
    with dspy.context(lm=lm), pytest.raises(DeadModelError, match="gone"):
        _reranker(threads=2).search([f"q{number}" for number in range(200)], 5)
    assert len(engine.prompts) < 100


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"threads": 0}, {"calls": -1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="cannot be re-ranked"):
        _reranker(**wrong)


def test_rankings_that_do_not_belong_to_the_queries_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 rankings were given for 2 queries"):
        _reranker().rerank(["a", "b"], [Ranking((), ())])


def test_a_copy_is_the_same_object_so_that_no_index_is_copied() -> None:
    reranker = _reranker()
    assert copy.deepcopy(reranker) is reranker


def test_a_search_without_one_readable_reply_is_told_once(chat_lm: Make, caplog: pytest.LogCaptureFixture) -> None:
    lm, _ = chat_lm(lambda prompt: "")
    reranker = _reranker()
    with dspy.context(lm=lm):
        for _ in range(2):
            assert reranker.search(["leak", "drip"], 5)[0].ids == tuple(DOCUMENTS)[:5]
    (told,) = caplog.messages
    assert told.startswith("not one of 10 replies of the language model could be read, so the documents keep")


def test_one_readable_reply_is_enough_to_say_nothing(
    chat_lm: Make, judge: Judge, caplog: pytest.LogCaptureFixture
) -> None:
    lm, _ = chat_lm(lambda prompt: judge(prompt) if "worth 3" in prompt else "")
    with dspy.context(lm=lm):
        _reranker().search(["leak"], 5)
    assert caplog.messages == []


@pytest.mark.parametrize("own", [True, False])
def test_an_interrupted_search_stops_the_model_whoever_has_it(
    judge: Judge, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count(1)

    def reply(prompt: str) -> str:
        if next(calls) == 1:
            raise KeyboardInterrupt  # whoever waits for the thread gets it, as from a signal
        return judge(prompt)

    lm = scripted_lm(reply, chat=True, seconds=0.1)
    engine = cast(ScriptedEngine, lm.engine)
    stops: list[None] = []
    stop = engine.life.stop
    monkeypatch.setattr(engine.life, "stop", lambda: (stops.append(None), stop()))
    program = PointwiseReranker()
    program.set_lm(lm if own else None)
    reranker = _reranker(program, depth=8, threads=2)
    with dspy.context(lm=None if own else lm), pytest.raises(KeyboardInterrupt):
        reranker.search(["leak"] * 20, 5)
    assert stops
    assert len(engine.prompts) < 80  # of 160


def _stream() -> Iterator[Document]:
    yield from DOCUMENTS.values()


@pytest.mark.parametrize("documents", [DOCUMENTS, list(DOCUMENTS.values())], ids=["by id", "list"])
def test_the_same_documents_serve_the_re_ranker_and_the_filter_within(
    documents: Any, chat_lm: Make, judge: Judge
) -> None:
    lm, _ = chat_lm(judge)
    retriever = Shelf()
    reranker = LmReranker(PointwiseReranker(), MetadataFilter(retriever, documents), documents, depth=5)
    with dspy.context(lm=lm):
        assert reranker.search(["q"], 5)[0].ids == FIVE_SORTED


def test_documents_may_come_as_a_stream(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(judge)
    with dspy.context(lm=lm):
        reranker = LmReranker(PointwiseReranker(), Shelf(), _stream(), depth=5)
        for _ in range(2):
            assert reranker.search(["q"], 5)[0].ids == FIVE_SORTED


@pytest.mark.parametrize(
    "documents",
    [
        lambda name: None,
        lambda name: {"d0": DOCUMENTS["d0"]}[name],
        [DOCUMENTS["d0"]],
    ],
    ids=["function that gives nothing", "function that fails", "list"],
)
def test_a_document_that_nobody_has_is_named_however_documents_are_given(documents: Any, chat_lm: Make) -> None:
    lm, engine = chat_lm([])
    with dspy.context(lm=lm), pytest.raises(CorpusError, match=r"^document 'd\d': .* not among .* retriever was built"):
        LmReranker(PointwiseReranker(), Shelf(), documents, depth=5).search(["q"], 2)
    assert engine.prompts == []


def test_a_text_in_the_place_of_a_document_is_named(chat_lm: Make) -> None:
    lm, _ = chat_lm([])
    texts: Any = {name: document.text for name, document in DOCUMENTS.items()}
    with (
        dspy.context(lm=lm),
        pytest.raises(ConfigurationError, match=r"^documents\['d0'\]: a Document is wanted, not a str"),
    ):
        LmReranker(PointwiseReranker(), Shelf(), texts).search(["q"], 2)


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (None, "^documents are wanted, not None"),
        ("text", "^documents are wanted, not a str"),
        (Document, "^documents are wanted, not the class Document"),
        (DOCUMENTS["d0"], r"not one Document\. Pass \[document\]$"),
        (["text"], r"^documents\[0\]: a Document is wanted, not a str"),
    ],
)
def test_what_are_no_documents_is_refused_at_once(documents: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        LmReranker(PointwiseReranker(), Shelf(), documents)


def test_two_documents_with_one_id_are_named() -> None:
    with pytest.raises(CorpusError, match=r"^document 'd0': two documents have this id"):
        LmReranker(PointwiseReranker(), Shelf(), [DOCUMENTS["d0"], Document(id="d0", text="another")])


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        (None, "None"),
        (PointwiseReranker, "the class PointwiseReranker"),
        (QueryGenerator(), "a QueryGenerator"),
        (QueryExpander(), "a QueryExpander"),
    ],
)
def test_what_re_ranks_nothing_is_refused_at_once(program: Any, kind: str) -> None:
    sentence = rf"^program: {kind} re-ranks no passages\. Pass a re-ranker, such as PointwiseReranker\(\)$"
    with pytest.raises(ConfigurationError, match=sentence):
        LmReranker(program, Shelf(), DOCUMENTS)


def test_a_function_of_one_s_own_re_ranks_if_it_gives_an_order() -> None:
    def ranked(fields: dict[str, Any]) -> tuple[str, ...]:
        reranker = LmReranker(lambda **inputs: dspy.Prediction(**fields), Shelf(), DOCUMENTS, depth=3)
        return reranker.search(["q"], 4)[0].ids

    report = RerankReport(queries=1)
    for order in ([2, 0, 1], (2, 0, 1), np.array([2, 0, 1])):
        assert ranked({"order": order, "report": report}) == ("d2", "d0", "d1", "d3")
    for fields in (
        {"answer": "d2"},
        {"order": [2, 0], "report": report},
        {"order": [2, 2, 1], "report": report},
        {"order": [2, None, 1], "report": report},
        {"order": [2.0, 0.0, 1.0], "report": report},
        {"order": "201", "report": report},
        {"order": b"\x02\x00\x01", "report": report},
        {"order": {2, 0, 1}, "report": report},
        {"order": {2: "a", 0: "b", 1: "c"}, "report": report},
        {"order": np.array(1), "report": report},
        {"order": [2, False, True], "report": report},
        {"order": [2, 0, 1]},
    ):
        with pytest.raises(
            ConfigurationError, match=r"^program 'function': .* how the passages are to stand\. It needs"
        ):
            ranked(fields)
