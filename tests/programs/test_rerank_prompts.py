"""Prompts that are known before they are paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs import ListwiseReranker, PairwiseReranker, PointwiseReranker
from inpars_plus.programs.rerank_prompts import planned_asks
from inpars_plus.programs.rerank_reports import windows
from inpars_plus.programs.reranking import Reranker

Make = Callable[..., tuple[dspy.LM, Any]]
Judge = Callable[[str], str]

QUERY = "why does a pump leak"
WORTHS = [0, 2, 1, 3, 0, 1, 3, 2, 0]
PASSAGES = [f"A text about\npumps{' and seals' * place}, worth {worth}" for place, worth in enumerate(WORTHS)]
FORMS: list[Callable[[], Reranker]] = [
    PointwiseReranker,
    PairwiseReranker,
    lambda: PairwiseReranker(passes=2),
    lambda: PairwiseReranker(max_characters=20),
    ListwiseReranker,
    lambda: ListwiseReranker(window=4, step=2, passes=None),
]


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("calls", [None, 0, 5, 20])
@pytest.mark.parametrize("chat", [True, False])
def test_the_prompt_tokens_that_are_counted_are_those_of_the_prompts_that_were_planned(
    make: Callable[[], Reranker], calls: int | None, chat: bool, chat_lm: Make, completion_lm: Make, judge: Judge
) -> None:
    program = make()
    worths = [0] * len(WORTHS) if program.max_characters == 20 else WORTHS
    lm, engine = (chat_lm if chat else completion_lm)(judge if worths == WORTHS else lambda _: "?")
    planned = planned_asks(program, QUERY, PASSAGES, worths=worths, calls=calls)
    with dspy.context(lm=lm):
        report = program(query=QUERY, passages=PASSAGES, calls=calls, threads=1).report
    assert [ask.prompt for ask in planned] == engine.prompts
    assert sum(len(ask.prompt.split()) for ask in planned) == engine.usage.prompt_tokens
    assert len(planned) == report.calls


def test_demonstrations_are_part_of_the_prompts(chat_lm: Make, judge: Judge) -> None:
    lm, engine = chat_lm(judge)
    program = PointwiseReranker()
    program.judge.demos = [dspy.Example(query="old one", passage="worth 1", judgment={"grade": 1})]
    with dspy.context(lm=lm):
        program(query=QUERY, passages=PASSAGES[:2], threads=1)
    planned = planned_asks(program, QUERY, PASSAGES[:2])
    assert [ask.prompt for ask in planned] == engine.prompts
    assert all("old one" in ask.prompt for ask in planned)


def test_where_nothing_moves_the_windows_are_those_of_the_formula() -> None:
    program = ListwiseReranker(window=4, step=2, passes=None)
    planned = [ask.positions for ask in planned_asks(program, QUERY, ["the same text"] * 9)]
    assert planned == [tuple(range(*window)) for window in windows(9, 4, 2, None)]


def test_worths_that_do_not_belong_to_the_passages_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 passages need as many worths, not 1"):
        planned_asks(PointwiseReranker(), QUERY, ["a", "b"], worths=[1])


@pytest.mark.parametrize("make", FORMS)
def test_nothing_is_planned_for_a_blank_query(make: Callable[[], Reranker]) -> None:
    assert planned_asks(make(), " \n", PASSAGES) == []
