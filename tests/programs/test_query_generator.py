"""The query generator: exactly N good queries or a reported shortfall, and a clean trace."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import numpy as np
import pytest
from dspy.teleprompt import BootstrapFewShot, LabeledFewShot

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, SpendingCapError
from inpars_plus.lms.scripted import ScriptedEngine, scripted_lm
from inpars_plus.metrics.checks import REASONS
from inpars_plus.programs.examples import example_of
from inpars_plus.programs.key_terms import KeyTerms
from inpars_plus.programs.outcomes import GENERATION_REASONS, RejectedCandidate
from inpars_plus.programs.query_generator import QueryGenerator

Make = Callable[..., tuple[dspy.LM, Any]]

DOCUMENT = Document(
    id="d1",
    title="Statins and muscle pain",
    text="Many patients who take statins against cholesterol report muscle pain. In a blinded trial most of the "
    "complaints also came up under placebo, so clinicians should discuss expectations before they stop treatment.",
    doc_type="medical-news",
)
OTHER = Document(
    id="d2",
    title="Heat pumps in winter",
    text="Heat pumps keep homes warm at low outdoor temperatures when the radiators are sized well.",
)
GOOD = "do cholesterol drugs really hurt muscles"
GOOD_TOO = "is muscle ache from statins a nocebo effect"
GOOD_THREE = "should doctors talk about expected side effects"
BAD = "pain"


def _chat(*queries: str) -> str:
    return f"[[ ## queries ## ]]\n{json.dumps([{'text': query} for query in queries])}\n\n[[ ## completed ## ]]"


def _ask(program: QueryGenerator, lm: dspy.LM, source: Document = DOCUMENT, n: int = 1) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return program(source=source, number_of_queries=n)


def test_a_good_first_reply_is_the_answer(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD])
    prediction = _ask(QueryGenerator(), lm)
    assert (prediction.queries, prediction.rejected, prediction.shortfall) == ([GOOD], [], 0)
    assert len(engine.prompts) == 1


def test_what_the_model_wraps_around_a_query_is_taken_off(completion_lm: Make) -> None:
    lm, _ = completion_lm([f'1. "{GOOD}"'])
    assert _ask(QueryGenerator(), lm).queries == [GOOD]


def test_a_rejected_query_is_kept_with_its_reason_and_asked_for_again(completion_lm: Make) -> None:
    lm, engine = completion_lm([BAD, GOOD])
    prediction = _ask(QueryGenerator(), lm)
    assert prediction.queries == [GOOD]
    assert prediction.rejected == [RejectedCandidate(text=BAD, reason="too_short", attempt=1)]
    assert len(engine.prompts) == 2


def test_each_attempt_looks_through_another_window_of_key_terms(completion_lm: Make) -> None:
    lm, engine = completion_lm([BAD] * 3)
    program = QueryGenerator(key_terms=KeyTerms.fit([DOCUMENT, OTHER]))
    _ask(program, lm)
    terms = program.key_terms.of(DOCUMENT, 9)
    for prompt, window in zip(engine.prompts, (terms[:3], terms[3:6], terms[6:]), strict=True):
        assert ", ".join(window) in prompt
    assert engine.sampled == [(0.0, None), (0.0, None), (0.7, 2)]


def test_a_document_with_few_terms_is_sampled_instead_of_asked_the_same_again(completion_lm: Make) -> None:
    lm, engine = completion_lm([BAD] * 3)
    _ask(QueryGenerator(), lm, Document(id="s", text="Statins hurt"))
    assert engine.sampled == [(0.0, None), (0.7, 1), (0.7, 2)]


def test_a_hotter_model_is_not_cooled_down_and_its_rollouts_stay_apart(completion_lm: Make) -> None:
    lm, engine = completion_lm([BAD] * 3, temperature=1.0, rollout_id=4)
    _ask(QueryGenerator(), lm)
    assert engine.sampled == [(1.0, 4), (1.0, 4), (1.0, 4002)]


def test_the_shortfall_is_reported_when_attempts_run_out(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD] * 99)
    prediction = _ask(QueryGenerator(attempts=3), lm, n=3)
    assert prediction.queries == [GOOD]
    assert prediction.shortfall == 2
    assert {candidate.reason for candidate in prediction.rejected} == {"duplicate"}
    assert [candidate.attempt for candidate in prediction.rejected] == [1, 1, 2, 2, 3, 3]
    assert len(engine.prompts) == 7 <= 3 * 3


def test_a_completion_model_is_asked_once_for_each_query(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD, BAD, GOOD_TOO, GOOD_THREE])
    prediction = _ask(QueryGenerator(), lm, n=3)
    assert prediction.queries == [GOOD, GOOD_TOO, GOOD_THREE]
    assert prediction.shortfall == 0
    assert len(engine.prompts) == 4


def _fitted() -> KeyTerms:
    return KeyTerms.fit([DOCUMENT, Document(id="x", text="bread"), Document(id="y", text="yeast bread")] * 2)


def test_a_query_that_drifts_from_the_document_gives_way_to_one_that_does_not(completion_lm: Make) -> None:
    drifted = "how do whales find their way home"
    lm, engine = completion_lm([drifted, GOOD])
    prediction = _ask(QueryGenerator(key_terms=_fitted()), lm)
    assert prediction.queries == [GOOD]
    assert [(one.text, one.reason) for one in prediction.rejected] == [(drifted, "drifted")]
    assert len(engine.prompts) == 2


def test_a_query_that_drifts_is_better_than_none(completion_lm: Make) -> None:
    drifted = "how do whales find their way home"
    lm, _ = completion_lm([drifted, BAD, BAD])
    prediction = _ask(QueryGenerator(key_terms=_fitted()), lm)
    assert prediction.queries == [drifted]
    assert prediction.shortfall == 0


def test_a_chat_model_is_asked_for_all_at_once_and_then_for_what_is_missing(chat_lm: Make) -> None:
    lm, engine = chat_lm([_chat(GOOD, BAD, GOOD), _chat(GOOD_TOO, GOOD_THREE, "why do statins cause trouble")])
    prediction = _ask(QueryGenerator(), lm, n=3)
    assert prediction.queries == [GOOD, GOOD_TOO, GOOD_THREE]
    assert [(candidate.reason, candidate.attempt) for candidate in prediction.rejected] == [
        ("too_short", 1),
        ("duplicate", 1),
        ("surplus", 2),
    ]
    assert len(engine.prompts) == 2
    assert "[[ ## number_of_queries ## ]]\n2" in engine.prompts[1]


def test_a_whole_number_of_another_make_is_one(chat_lm: Make, capfd: pytest.CaptureFixture[str]) -> None:
    lm, _ = chat_lm([_chat(GOOD)] * 3)
    prediction = _ask(QueryGenerator(), lm, n=np.int64(2))  # type: ignore[arg-type]
    assert prediction.queries == [GOOD]
    assert type(prediction.shortfall) is int
    assert "mismatch" not in capfd.readouterr().err  # DSPy warns of an input that is not of its type


@pytest.mark.parametrize(
    "garbage",
    ["I cannot do that", "", "[[ ## queries ## ]]\nnull", "[" * 5000, "\x00\ufffd", "[[ ## queries ## ]]\n{}"],
)
def test_an_unreadable_reply_is_a_rejected_candidate(chat_lm: Make, garbage: str) -> None:
    lm, engine = chat_lm([garbage, _chat(GOOD)])
    prediction = _ask(QueryGenerator(), lm)
    assert prediction.queries == [GOOD]
    assert [(candidate.reason, candidate.attempt) for candidate in prediction.rejected] == [("unreadable_reply", 1)]
    assert len(engine.prompts) == 2


def test_a_reply_without_any_query_is_a_rejected_candidate_too(chat_lm: Make) -> None:
    lm, _ = chat_lm([_chat(), _chat(GOOD)])
    assert [candidate.reason for candidate in _ask(QueryGenerator(), lm).rejected] == ["unreadable_reply"]


def test_an_empty_document_is_never_sent_to_the_model(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD])
    prediction = _ask(QueryGenerator(), lm, Document(id="e", text=" \n"), n=2)
    assert (prediction.queries, prediction.shortfall) == ([], 2)
    assert [candidate.reason for candidate in prediction.rejected] == ["empty_document"]
    assert engine.prompts == []


@pytest.mark.parametrize("error", [DeadModelError("the model is gone"), SpendingCapError("the cap is reached")])
def test_a_dead_model_and_a_reached_cap_pass_through_under_their_own_name(
    completion_lm: Make, error: Exception
) -> None:
    lm, _ = completion_lm([error])
    with pytest.raises(type(error), match=str(error)):
        _ask(QueryGenerator(), lm)


def test_a_request_that_the_server_failed_is_told_apart_from_a_reply_that_cannot_be_read(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD, dspy.lm15.ServerError("overloaded"), GOOD])
    prediction = _ask(QueryGenerator(), lm, n=2)
    assert (prediction.queries, prediction.shortfall) == ([GOOD], 1)
    (candidate,) = prediction.rejected
    assert candidate.reason == "no_reply"
    assert "overloaded" in candidate.text
    assert len(engine.prompts) == 2


def test_an_error_in_an_engine_is_no_rejected_candidate(completion_lm: Make) -> None:
    lm, _ = completion_lm([KeyError("a bug")])
    with pytest.raises(dspy.LMUnexpectedError, match="a bug"):
        _ask(QueryGenerator(), lm)


@pytest.mark.parametrize("error", [DeadModelError("the model is gone"), SpendingCapError("the cap is reached")])
def test_they_pass_through_under_a_plain_dspy_model_too(error: Exception) -> None:
    engine = ScriptedEngine([], failures={0: error})
    with pytest.raises(type(error), match=str(error)):
        _ask(QueryGenerator(), dspy.LM("plain", engine=engine, cache=False))


def test_without_a_model_the_error_says_how_to_give_one() -> None:
    with dspy.context(lm=None), pytest.raises(ConfigurationError, match="set_lm"):
        QueryGenerator()(source=DOCUMENT)


@pytest.mark.parametrize("number", [0, -1])
def test_asking_for_no_queries_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        QueryGenerator()(source=DOCUMENT, number_of_queries=number)


def test_every_reason_has_a_sentence_and_none_has_two() -> None:
    assert not set(GENERATION_REASONS) & set(REASONS)


def test_a_very_long_document_is_cut_before_it_is_sent(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD])
    _ask(QueryGenerator(), lm, DOCUMENT.model_copy(update={"text": DOCUMENT.text * 10_000}))
    assert len(engine.prompts[0]) < 10_000


def test_only_the_asks_that_gave_accepted_queries_stand_in_the_trace(completion_lm: Make) -> None:
    lm, _ = completion_lm([BAD, GOOD, BAD, GOOD_TOO])
    program = QueryGenerator()
    with dspy.context(lm=lm, trace=[]):
        program(source=DOCUMENT, number_of_queries=2)
        trace = dspy.settings.trace
    assert [[query.text for query in outputs.queries] for _, _, outputs in trace] == [[GOOD], [GOOD_TOO]]
    assert all(predictor is program.generate for predictor, _, _ in trace)
    assert trace[0][1]["key_terms"] != trace[1][1]["key_terms"]


def test_the_trace_of_a_partly_good_reply_holds_its_good_queries_only(chat_lm: Make) -> None:
    lm, _ = chat_lm([_chat(GOOD, BAD, GOOD_TOO), "nonsense", "nonsense"])
    with dspy.context(lm=lm, trace=[]):
        QueryGenerator()(source=DOCUMENT, number_of_queries=3)
        ((_, inputs, outputs),) = dspy.settings.trace
    assert inputs["number_of_queries"] == 2
    assert [query.text for query in outputs.queries] == [GOOD, GOOD_TOO]


def test_where_every_ask_failed_the_last_one_stands_in_the_trace_to_learn_from(completion_lm: Make) -> None:
    lm, _ = completion_lm([BAD, "ache", "hurt"])
    with dspy.context(lm=lm, trace=[]):
        QueryGenerator()(source=DOCUMENT)
        ((_, _, outputs),) = dspy.settings.trace
    assert [query.text for query in outputs.queries] == ["hurt"]


def test_the_last_attempt_gives_the_model_its_first_word_when_all_before_were_rejected(completion_lm: Make) -> None:
    lm, engine = completion_lm([BAD, BAD, " do cholesterol drugs hurt muscles"])
    prediction = _ask(QueryGenerator(last_opening="How"), lm)
    assert prediction.queries == ["How do cholesterol drugs hurt muscles"]
    assert [prompt.endswith("Query: How") for prompt in engine.prompts] == [False, False, True]


def test_a_tuned_generator_is_given_its_openings_in_turn(completion_lm: Make) -> None:
    lm, engine = completion_lm([" do cholesterol drugs hurt", BAD, " statins bad for muscles"])
    engine.openings = ("How", "Why are", "Does")
    prediction = _ask(QueryGenerator(last_opening="What"), lm, n=2)
    given = [next(one for one in engine.openings if prompt.endswith(f"Query: {one}")) for prompt in engine.prompts]
    at = engine.openings.index(given[0])
    assert given == [engine.openings[(at + step) % 3] for step in range(3)]
    assert prediction.queries == [f"{given[0]} do cholesterol drugs hurt", f"{given[2]} statins bad for muscles"]


def test_over_many_documents_each_opening_comes_first_equally_often() -> None:
    lm = scripted_lm(lambda prompt: " cats sleep")
    lm.engine.openings = ("How", "Why", "Does", "Can")
    program = QueryGenerator(attempts=1)
    program.set_lm(lm)
    for number in range(80):
        program(source=Document(id=str(number), text="Cats sleep most of the day."))
    firsts = Counter(prompt.rsplit(" ", 1)[1] for prompt in lm.engine.prompts)
    assert min(firsts.values()) >= 10


def _found_one(gold: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
    return bool(prediction.queries)


@pytest.mark.parametrize("failures", [1, 2])
def test_a_bootstrapped_demonstration_is_the_ask_that_was_accepted(completion_lm: Make, failures: int) -> None:
    lm, _ = completion_lm(([BAD] * failures + [GOOD]) * 8)
    terms = KeyTerms.fit([DOCUMENT, OTHER])
    documents = [DOCUMENT.model_copy(update={"id": str(number), "title": f"Case {number}"}) for number in range(8)]
    trainset = [example_of(document, key_terms=terms) for document in documents]
    optimizer = BootstrapFewShot(metric=_found_one, metric_threshold=1, max_bootstrapped_demos=8, max_labeled_demos=0)
    with dspy.context(lm=lm):
        compiled = optimizer.compile(QueryGenerator(key_terms=terms), trainset=trainset)
    assert len(compiled.generate.demos) == 8
    for demo in compiled.generate.demos:
        assert [query.text for query in demo["queries"]] == [GOOD]
        assert demo["number_of_queries"] == 1


def test_labelled_examples_serve_as_demonstrations(completion_lm: Make) -> None:
    lm, engine = completion_lm([GOOD])
    example = example_of(OTHER, key_terms=KeyTerms.fit([DOCUMENT, OTHER]), queries=["do heat pumps work in frost"])
    compiled = LabeledFewShot(k=1).compile(QueryGenerator(), trainset=[example])
    _ask(compiled, lm)
    assert "do heat pumps work in frost" in engine.prompts[0]


def test_many_threads_share_one_program(completion_lm: Make) -> None:
    queries = {f"Case {number}": f"do cholesterol drugs hurt muscles case{number}" for number in range(40)}
    lm, _ = completion_lm(lambda prompt: next(query for title, query in queries.items() if f"{title} " in prompt))
    documents = [DOCUMENT.model_copy(update={"id": title, "title": title}) for title in queries]
    program = QueryGenerator()
    program.set_lm(lm)
    with ThreadPoolExecutor(16) as threads:
        predictions = list(threads.map(lambda document: program(source=document), documents))
    assert [prediction.queries for prediction in predictions] == [[query] for query in queries.values()]


def test_evaluate_runs_it_in_many_threads(completion_lm: Make) -> None:
    lm, _ = completion_lm(lambda prompt: GOOD)
    examples = [example_of(DOCUMENT, key_terms=KeyTerms.fit([])) for _ in range(32)]
    evaluate = dspy.Evaluate(devset=examples, metric=_found_one, num_threads=8, display_progress=False)
    with dspy.context(lm=lm):
        assert evaluate(QueryGenerator()).score == 100.0


def test_deep_copies_share_the_key_terms_and_not_the_demonstrations() -> None:
    program = QueryGenerator(key_terms=KeyTerms.fit([DOCUMENT, OTHER]), prompt_form=None)
    clone = copy.deepcopy(program)
    assert clone.key_terms is program.key_terms
    clone.generate.demos.append({"document": "x"})
    assert program.generate.demos == []


def test_the_same_document_is_asked_for_in_the_same_way_again(completion_lm: Make) -> None:
    prompts = []
    for _ in range(2):
        lm, engine = completion_lm([BAD] * 6)
        _ask(QueryGenerator(key_terms=KeyTerms.fit([DOCUMENT, OTHER])), lm, n=2)
        prompts.append((engine.prompts, engine.sampled))
    assert prompts[0] == prompts[1]
