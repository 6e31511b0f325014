"""Compiling re-rankers: asks with known answers, and demonstrations that are kept only where they help."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import InvalidRequestError, ServerError

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ReplyError
from inpars_plus.lms.hosted import EMPTY_AND_CUT
from inpars_plus.lms.scripted import scripted_lm
from inpars_plus.optimizers.prompts.reranking import (
    JudgedList,
    asks_of,
    compile_reranker,
    compiling_calls,
    judged_lists,
    metric_for,
)
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery
from inpars_plus.programs import (
    ListwiseReranker,
    PairwiseReranker,
    PointwiseReranker,
    ProgramCard,
    Scores,
    load_program,
    save_program,
)
from inpars_plus.programs.reranking import Reranker
from inpars_plus.retrieval.protocol import Ranking

FORMS: list[Callable[[], Reranker]] = [PointwiseReranker, PairwiseReranker, ListwiseReranker]


def _lists(count: int, prefix: str) -> list[JudgedList]:
    """Query i is answered by the passage that speaks of seal i; the first stage has it at some other place than 0."""
    found = []
    for number in range(count):
        answer = 1 + number % 4
        passages = tuple(
            f"About seal {prefix}{number} at length" if at == answer else f"About valve {at}" for at in range(5)
        )
        found.append(JudgedList(f"{prefix}{number} seal", passages, tuple(3 * (at == answer) for at in range(5))))
    return found


TRAIN, VALIDATION = _lists(6, "t"), _lists(4, "v")


def _field(prompt: str, name: str) -> str:
    return prompt.rpartition(f"[[ ## {name} ## ]]\n")[2].partition("\n\n")[0]


def _truth(prompt: str) -> str:
    wanted = re.escape(_field(prompt, "query").split()[0])
    if "[[ ## numbered_passages ## ]]" in prompt:
        lines = _field(prompt, "numbered_passages").splitlines()
        order = sorted(range(len(lines)), key=lambda at: not re.search(rf"seal {wanted} ", lines[at]))
        return json.dumps({"ranking": {"order": [at + 1 for at in order]}})
    if "[[ ## first_passage ## ]]" in prompt:
        right = [
            f"seal {_field(prompt, 'query').split()[0]} " in _field(prompt, f"{at}_passage")
            for at in ("first", "second")
        ]
        return json.dumps(
            {"preference": {"better": "tie" if right[0] == right[1] else "first" if right[0] else "second"}}
        )
    return json.dumps(
        {
            "judgment": {
                "grade": 3
                if f"seal {_field(prompt, 'query').split()[0]} " in prompt.rpartition("[[ ## passage ## ]]")[2]
                else 0
            }
        }
    )


def _shown(prompt: str) -> int:
    return prompt.count("[[ ## query ## ]]") - 2  # one stands in the description of the form, one in the question


def _learns(prompt: str) -> str:
    """Right where the prompt shows at least two demonstrations; says nothing useful else."""
    if _shown(prompt) >= 2:
        return _truth(prompt)
    return '{"judgment": 1, "preference": "tie", "ranking": [1, 2, 3, 4, 5]}'


def _misled(prompt: str) -> str:
    """Right without demonstrations only."""
    return _truth(prompt) if _shown(prompt) == 0 else "nonsense"


@pytest.mark.parametrize("form", FORMS)
def test_demonstrations_that_help_are_kept(form: Callable[[], Reranker]) -> None:
    lm = scripted_lm(_learns, chat=True)
    student = form()
    found = compile_reranker(student, train=TRAIN, validation=VALIDATION, lm=lm, threads=4)
    assert found.trials["none"] < 0.8
    assert found.trials[found.origin] == pytest.approx(1.0)
    assert found.origin != "none"
    assert 2 <= len(found.program.predictors()[0].demos) <= 4
    assert student.predictors()[0].demos == []
    allowed = compiling_calls(student, train=len(TRAIN), validation=len(VALIDATION), passages=5)
    assert found.calls == len(lm.engine.prompts) <= allowed
    asked = set(found.program.predictors()[0].signature.fields)
    assert all(set(demo.keys()) == asked for demo in found.program.predictors()[0].demos)


@pytest.mark.parametrize("form", FORMS)
def test_every_set_shows_as_many_demonstrations_as_asked_for_and_those_of_labels_teach_the_others(
    form: Callable[[], Reranker],
) -> None:
    lm = scripted_lm(_learns, chat=True)
    found = compile_reranker(form(), train=TRAIN, validation=VALIDATION, lm=lm, demonstrations=3, sets=1)
    # Two demonstrations make this model right: the labels alone, and what it wrote below labels with labels behind.
    assert found.trials["labelled 1"] == found.trials["bootstrapped 1"] == pytest.approx(1.0)
    shown = [_shown(prompt) for prompt in lm.engine.prompts if "v0 seal" in prompt]
    assert set(shown) == {0, 3}


def test_a_reply_that_is_half_right_is_no_demonstration() -> None:
    def second(prompt: str) -> str:
        best, *others = json.loads(_truth(prompt))["ranking"]["order"]
        return json.dumps({"ranking": {"order": [others[0], best, best]}})

    lm = scripted_lm(second, chat=True)
    compile_reranker(ListwiseReranker(), train=TRAIN, validation=VALIDATION, lm=lm)
    shown = [order for prompt in lm.engine.prompts for order in re.findall(r'"order": \[([^\]]+)\]', prompt)]
    assert {order.count(",") for order in shown} == {3}  # of labels, that name each of four passages once


@pytest.mark.parametrize("form", FORMS)
def test_demonstrations_that_harm_are_left_out(form: Callable[[], Reranker]) -> None:
    found = compile_reranker(form(), train=TRAIN, validation=VALIDATION, lm=scripted_lm(_misled, chat=True))
    assert found.origin == "none"
    assert found.program.predictors()[0].demos == []
    assert found.trials["labelled 1"] < found.trials["none"]
    assert found.lists == 4


def test_what_is_compiled_is_saved_with_its_card(tmp_path: Path) -> None:
    found = compile_reranker(
        PointwiseReranker(), train=TRAIN, validation=VALIDATION, lm=scripted_lm(_learns, chat=True)
    )
    save_program(found.program, tmp_path / "seals.json", found.card("manuals", test=Scores(before=0.4, after=0.6)))
    card = load_program(tmp_path / "seals.json").card
    assert (card.document_type, card.program, card.lm) == ("manuals", "PointwiseReranker", "scripted")
    assert (card.metric.validation.before, card.metric.validation.after) == (
        found.trials["none"],
        found.trials[found.origin],
    )
    assert card.metric.test.after == 0.6
    # A program that nobody compiled needs no more than these two.
    plain = ProgramCard(document_type="manuals", lm="embedded")
    save_program(PointwiseReranker(), tmp_path / "plain.json", plain)
    assert load_program(tmp_path / "plain.json").card.optimizer.name == "none"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_program_and_a_compiled_one_can_be_compiled_again() -> None:
    programs = [
        compile_reranker(
            PointwiseReranker(), train=TRAIN, validation=VALIDATION, lm=scripted_lm(_learns, chat=True), seed=3
        )
        for _ in range(2)
    ]
    first, second = (one.program.predictors()[0].demos for one in programs)
    assert [dict(one) for one in first] == [dict(one) for one in second]
    again = compile_reranker(
        programs[0].program, train=TRAIN, validation=VALIDATION, lm=scripted_lm(_learns, chat=True)
    )
    assert again.trials["none"] == pytest.approx(1.0)


def test_a_dead_model_ends_the_compile() -> None:
    def fail(_: str) -> str:
        raise ServerError("down")

    lm = scripted_lm(fail, chat=True, num_retries=0)
    with pytest.raises(DeadModelError, match="failed in 20 of the last 20 calls"):
        compile_reranker(PointwiseReranker(), train=TRAIN, validation=VALIDATION, lm=lm)


def test_nothing_is_chosen_where_a_request_failed() -> None:
    number = itertools.count(1)

    def falters(prompt: str) -> str:
        if next(number) == 40:
            raise ServerError("502 Bad Gateway")
        return _truth(prompt)

    lm = scripted_lm(falters, chat=True, num_retries=0)
    with pytest.raises(DeadModelError, match=r"failed in 1 of \d+ calls.*502 Bad Gateway"):
        compile_reranker(PointwiseReranker(), train=TRAIN, validation=VALIDATION, lm=lm)


@pytest.mark.parametrize("form", FORMS)
def test_a_compile_ends_early_where_no_reply_can_be_read(form: Callable[[], Reranker]) -> None:
    lm = scripted_lm(lambda prompt: "Let me think about seals.", chat=True)
    with pytest.raises(DeadModelError, match=r"none of its \d+ replies .* 'Let me think about.*--max-reply-tokens"):
        compile_reranker(form(), train=TRAIN, validation=VALIDATION, lm=lm, threads=1)
    assert len(lm.engine.prompts) <= 80  # twenty asks and those of the same query, in JSON and once more without


@pytest.mark.parametrize("threads", [1, 4])
def test_one_query_whose_requests_are_refused_does_not_end_a_compile(threads: int) -> None:
    refused = VALIDATION[0].query

    def some(prompt: str) -> str:
        if refused in prompt:
            raise InvalidRequestError("content filter")
        return _truth(prompt)

    lm = scripted_lm(some, chat=True)
    long = [replace(one, passages=one.passages * 5, grades=one.grades * 5) for one in VALIDATION]
    compiled = compile_reranker(PointwiseReranker(), train=TRAIN, validation=long, lm=lm, threads=threads)
    assert compiled.trials


def test_first_queries_whose_requests_are_all_refused_do_not_end_a_compile() -> None:
    refused = {one.query for one in VALIDATION[:3]}

    def some(prompt: str) -> str:
        if any(query in prompt for query in refused):
            raise InvalidRequestError("content filter")
        return _truth(prompt)

    lm = scripted_lm(some, chat=True)
    long = [replace(one, passages=one.passages * 5, grades=one.grades * 5) for one in VALIDATION]
    compiled = compile_reranker(PointwiseReranker(), train=TRAIN, validation=long, lm=lm, threads=1)
    assert compiled.trials


def test_a_query_whose_requests_are_refused_is_none_of_the_three_that_end_a_compile() -> None:
    lists = _lists(6, "v")
    refused, cut = {one.query for one in lists[:3]}, {one.query for one in lists[3:5]}

    def some(prompt: str) -> str:
        if any(query in prompt for query in refused):
            raise InvalidRequestError("content filter")
        if any(query in prompt for query in cut):
            raise ReplyError(f"{EMPTY_AND_CUT} at 64 tokens")
        return _truth(prompt)

    lm = scripted_lm(some, chat=True, num_retries=0)
    assert compile_reranker(PointwiseReranker(), train=TRAIN, validation=lists, lm=lm, threads=1).trials


def test_a_compile_ends_with_three_queries_where_every_reply_is_empty_and_cut() -> None:
    def thinks(prompt: str) -> str:
        raise ReplyError(f"{EMPTY_AND_CUT} at 64 tokens")

    lm = scripted_lm(thinks, chat=True, num_retries=0)
    with pytest.raises(DeadModelError, match=r"every reply was empty and cut at 64 tokens"):
        compile_reranker(PointwiseReranker(), train=TRAIN, validation=VALIDATION, lm=lm, threads=1)
    assert len(lm.engine.prompts) == 15  # the passages of three queries


@pytest.mark.parametrize("wrong", [{"train": []}, {"validation": []}, {"demonstrations": 0}])
def test_nothing_to_learn_from_or_to_choose_by_is_refused(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"train": TRAIN, "validation": VALIDATION, **wrong}
    with pytest.raises(ConfigurationError, match="cannot be compiled"):
        compile_reranker(PointwiseReranker(), lm=scripted_lm([]), **given)


def test_only_the_three_forms_are_compiled_here() -> None:
    class Other(PointwiseReranker):
        def __init__(self) -> None:
            super().__init__()
            self.judge = dspy.Predict("query, passage -> words")

    with pytest.raises(ConfigurationError, match="only a pointwise, pairwise or listwise re-ranker"):
        metric_for(Other())


def test_asks_hold_their_answers() -> None:
    good, bad = asks_of(PointwiseReranker(), TRAIN[:1], seed=0)
    assert (good.judgment.grade, bad.judgment.grade) == (3, 0)
    assert good.passages == [good.passage]
    pairs = asks_of(PairwiseReranker(), TRAIN, seed=0)
    assert {one.preference.better for one in pairs} == {"first", "second"}
    for one in pairs:
        assert one.grades == ([3, 0] if one.preference.better == "first" else [0, 3])
    for one in asks_of(ListwiseReranker(), TRAIN, seed=0):
        assert len(one.passages) == 4
        assert one.grades[one.ranking.order[0] - 1] == 3
        assert sorted(one.ranking.order) == [1, 2, 3, 4]
        assert set(one.inputs().keys()) == {"query", "passages"}
    flat = JudgedList("q", ("a", "b"), (3, 3))
    assert asks_of(ListwiseReranker(), [flat], seed=0) == []


class Shelf:
    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        return [Ranking(tuple("abc")[:k], (3.0, 2.0, 1.0)[:k]) for _ in queries]


def test_queries_whose_answer_is_not_found_are_left_out() -> None:
    documents = {name: Document(id=name, title=name, text="text") for name in "abcd"}
    queries = [
        TrainingQuery("1", "one", ("b",)),
        TrainingQuery("2", "two", ("d",)),
        TrainingQuery("3", "three", ("a", "b", "c")),
        TrainingQuery("4", "four", ("c", "d")),
    ]
    assert judged_lists(queries, Shelf(), documents, depth=3) == [
        JudgedList("one", ("a text", "b text", "c text"), (0, 3, 0)),
        JudgedList("four", ("a text", "b text", "c text"), (0, 0, 3)),
    ]
