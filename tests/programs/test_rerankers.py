"""The three forms of re-ranking, with judges that are right, wrong, silly or dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.programs import ListwiseReranker, PairwiseReranker, PointwiseReranker, RerankReport
from inpars_plus.programs.reranking import Reranker

Make = Callable[..., tuple[dspy.LM, Any]]
Judge = Callable[[str], str]

WORTHS = [0, 2, 1, 3, 0, 1, 3, 2, 0, 0, 1, 3]
SORTED = sorted(range(len(WORTHS)), key=lambda position: -WORTHS[position])
PASSAGES = [f"Text {position} about pumps, worth {worth}" for position, worth in enumerate(WORTHS)]
FORMS: list[Callable[[], Reranker]] = [
    PointwiseReranker,
    PairwiseReranker,
    lambda: PairwiseReranker(passes=99),
    ListwiseReranker,
    lambda: ListwiseReranker(window=4, step=2, passes=None),
    lambda: ListwiseReranker(window=20, step=10),
]


def _rank(lm: dspy.LM, program: Reranker, passages: list[str] = PASSAGES, **settings: Any) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return program(query="why does a pump leak", passages=passages, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("make", [form for number, form in enumerate(FORMS) if number != 3])
@pytest.mark.parametrize("chat", [True, False])
def test_all_forms_agree_with_a_judge_that_is_always_right(
    make: Callable[[], Reranker], chat: bool, chat_lm: Make, completion_lm: Make, judge: Judge
) -> None:
    lm, engine = (chat_lm if chat else completion_lm)(judge)
    program = make()
    found = _rank(lm, program)
    assert found.order == SORTED
    assert found.report == RerankReport(queries=1, calls=program.calls_for(len(PASSAGES)))
    assert len(engine.prompts) == found.report.calls


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 7, 11, 12])
def test_as_many_calls_are_made_as_the_formula_says(
    make: Callable[[], Reranker], depth: int, chat_lm: Make, judge: Judge
) -> None:
    lm, engine = chat_lm(judge)
    program = make()
    found = _rank(lm, program, PASSAGES[:depth])
    assert len(engine.prompts) == found.report.calls == program.calls_for(depth)
    assert sorted(found.order) == list(range(depth))


def test_one_pass_of_windows_settles_the_first_places(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(judge)
    assert _rank(lm, ListwiseReranker(window=6, step=2)).order[:4] == SORTED[:4]
    assert _rank(lm, PairwiseReranker(passes=3)).order[:3] == SORTED[:3]


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("calls", [0, 1, 2, 5, 30])
def test_a_budget_is_kept_and_what_it_leaves_out_stays_below_in_its_order(
    make: Callable[[], Reranker], calls: int, chat_lm: Make, judge: Judge
) -> None:
    lm, engine = chat_lm(judge)
    found = _rank(lm, make(), calls=calls)
    assert len(engine.prompts) == found.report.calls <= calls
    left = found.report.beyond_budget
    assert found.order[len(PASSAGES) - left :] == list(range(len(PASSAGES)))[len(PASSAGES) - left :]
    assert left > 0 or make().calls_for(len(PASSAGES)) <= calls


def test_a_negative_budget_is_refused(chat_lm: Make) -> None:
    lm, _ = chat_lm([])
    with pytest.raises(ConfigurationError, match=r"-1 calls"):
        _rank(lm, PointwiseReranker(), calls=-1)


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("reply", ["", "What a lovely pump!", "{}", '{"judgment": {"grade": 9}}', "[" * 5000, "{" * 99])
def test_nonsense_keeps_the_order_and_is_counted(make: Callable[[], Reranker], reply: str, chat_lm: Make) -> None:
    lm, engine = chat_lm(lambda _: reply)
    program = make()
    found = _rank(lm, program)
    calls = program.calls_for(len(PASSAGES))
    assert found.report == RerankReport(queries=1, calls=calls, unreadable=calls)
    assert found.order == list(range(len(PASSAGES)))
    assert len(engine.prompts) == calls


def test_a_passage_with_an_unreadable_grade_keeps_its_rank(chat_lm: Make, judge: Judge) -> None:
    lm, _ = chat_lm(lambda prompt: "no idea" if "Text 1 " in prompt else judge(prompt))
    found = _rank(lm, PointwiseReranker(), PASSAGES[:4])
    assert found.order == [3, 1, 2, 0]
    assert found.scores == [0.0, None, 1.0, 3.0]
    assert found.report.unreadable == 1


def test_a_judge_that_always_prefers_the_first_one_says_nothing(chat_lm: Make) -> None:
    lm, _ = chat_lm(lambda _: '{"preference": {"better": "first"}}')
    for passes in (None, 2):
        found = _rank(lm, PairwiseReranker(passes=passes), PASSAGES[:4])
        assert found.order == [0, 1, 2, 3]
        assert found.report.inconsistent == found.report.calls / 2


@pytest.mark.parametrize(
    ("reply", "order", "report"),
    [
        ('{"ranking": {"order": [3, 3, 7, 1]}}', [2, 0, 1, 3], {"repeated": 1, "out_of_range": 1, "missing": 2}),
        ("The best are [4] > [2].", [3, 1, 0, 2], {"missing": 2}),
        ('{"ranking": "[2] > [1] > [4] > [3]"} I hope this helps', [1, 0, 3, 2], None),
        # The last number may be half of one, so it counts as missing.
        ('{"order": [4, 3, 2, 1', [3, 2, 1, 0], {"missing": 1}),
        ("1. Passage 4\n2. Passage 2\n3. Passage 1\n4. Passage 3", [3, 1, 0, 2], None),
        ('<think>{"order": [1, 2, 3, 4]}?</think>{"ranking": {"order": [2, 1, 4, 3]}}', [1, 0, 3, 2], None),
    ],
)
def test_a_faulty_permutation_is_repaired_and_counted(
    reply: str, order: list[int], report: dict[str, int] | None, chat_lm: Make
) -> None:
    lm, _ = chat_lm([reply])
    found = _rank(lm, ListwiseReranker(), PASSAGES[:4])
    assert found.order == order
    faults = {} if report is None else {"repaired": 1, **report}
    assert found.report == RerankReport(queries=1, calls=1, **faults)


def test_long_passages_and_queries_are_cut_and_counted(chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    long = "It is worth 2. " + "TAIL " * 100_000
    with dspy.context(lm=lm):
        found = ListwiseReranker(max_characters=100)(query="leak " * 9_000, passages=[*PASSAGES[:2], long])
    assert found.order == [1, 2, 0]
    assert found.report.cut == 1
    assert len(engine.prompts[0]) < 4_000


@pytest.mark.parametrize("make", FORMS)
def test_a_dead_model_passes_through(make: Callable[[], Reranker], chat_lm: Make) -> None:
    # One for each ask that may be under way: which of them tells first is not settled.
    lm, _ = chat_lm([DeadModelError("the model is gone")] * len(PASSAGES))
    with pytest.raises(DeadModelError, match="gone"):
        _rank(lm, make())


def test_without_a_model_the_error_says_so() -> None:
    with dspy.context(lm=None), pytest.raises(ConfigurationError, match="no language model"):
        PointwiseReranker()(query="q", passages=["p"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PointwiseReranker(max_characters=0),
        lambda: PairwiseReranker(passes=0),
        lambda: ListwiseReranker(window=4, step=4),
        lambda: ListwiseReranker(window=101, step=4),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Reranker]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_the_trace_holds_the_readable_asks_in_order_however_many_threads_asked(chat_lm: Make, judge: Judge) -> None:
    def slow(prompt: str) -> str:
        time.sleep(0.02 if "Text 0 " in prompt else 0.0)
        return "?" if "Text 2 " in prompt else judge(prompt)

    lm, _ = chat_lm(slow)
    program = PointwiseReranker()
    with dspy.context(lm=lm, trace=[]):
        program(query="q", passages=PASSAGES, threads=6)
        trace = dspy.settings.trace
    assert [inputs["passage"] for _, inputs, _ in trace] == [one for one in PASSAGES if "Text 2 " not in one]
    assert all(predictor is program.judge for predictor, _, _ in trace)
    assert [outputs.judgment.grade for _, _, outputs in trace] == [*WORTHS[:2], *WORTHS[3:]]


def test_demonstrations_are_shown(chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    program = ListwiseReranker()
    program.rank.demos = [
        dspy.Example(query="old one", numbered_passages="[1] x worth 1\n[2] y worth 2", ranking={"order": [2, 1]})
    ]
    assert _rank(lm, program, PASSAGES[:4]).order == [3, 1, 2, 0]
    assert "old one" in engine.prompts[0]


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("query", ["", " \n", " " * 3_000 + "q"])
def test_a_blank_query_is_not_asked_about(make: Callable[[], Reranker], query: str, chat_lm: Make) -> None:
    lm, engine = chat_lm([])
    with dspy.context(lm=lm):
        found = make()(query=query, passages=PASSAGES, calls=5)
    assert (found.order, found.scores, found.report) == (list(range(len(PASSAGES))), None, RerankReport(queries=1))
    assert engine.prompts == []
