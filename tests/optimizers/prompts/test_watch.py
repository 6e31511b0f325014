from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError, LMAuthError, LMTransportError, LMUnexpectedError

from inpars_plus.foundation.errors import DeadModelError, ReplyError, SpendingCapError
from inpars_plus.lms.hosted import EMPTY_AND_CUT
from inpars_plus.optimizers.prompts.watch import AllowanceSpent, BudgetSpent, Halt, Watch
from inpars_plus.programs.outcomes import RejectedCandidate


def failing(error: Exception) -> Any:
    def program(**inputs: Any) -> None:
        raise error

    return program


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_spending_cap_is_found_below_what_dspy_wrapped_around_it() -> None:
    cap = SpendingCapError("the cap is reached")
    with pytest.raises(Halt) as caught:
        Watch(model="m").call(failing(caused(LMUnexpectedError("x"), cap)), {})
    assert caught.value.error is cap


def test_a_mistake_in_the_program_ends_the_compile_as_it_is() -> None:
    mistake = AttributeError("no such field")
    with pytest.raises(Halt) as caught:
        Watch(model="m").call(failing(mistake), {})
    assert caught.value.error is mistake


def test_a_wrong_key_ends_the_compile_at_once() -> None:
    with pytest.raises(Halt) as caught:
        Watch(model="m").call(failing(LMAuthError("key refused")), {})
    assert isinstance(caught.value.error, DeadModelError)
    assert "key refused" in str(caught.value.error)


def lm_call(watch: Watch, error: Exception | None = None) -> None:
    """One LM call as DSPy's callbacks tell of it."""
    watch.on_lm_start("1", SimpleNamespace(model=watch.model), {})
    watch.on_lm_end("1", None, error)


def test_calls_may_fail_now_and_then() -> None:
    watch = Watch(model="m", window=10, failure_limit=0.5)
    for number in range(100):
        lm_call(watch, LMTransportError("reset") if number % 2 else None)
    assert watch.call(lambda: "reply", {}) == "reply"


def test_a_server_that_dies_is_given_up_within_the_window_though_the_program_hides_it() -> None:
    watch = Watch(model="hosted/large", window=10, failure_limit=0.5)
    for _ in range(50):
        lm_call(watch)
    for _ in range(5):
        watch.call(lambda: lm_call(watch, LMTransportError("connection refused")), {})
    with pytest.raises(Halt) as caught:
        watch.call(lambda: lm_call(watch, LMTransportError("connection refused")), {})
    assert "hosted/large" in str(caught.value.error)
    assert "6 of the last 10 calls (connection refused)" in str(caught.value.error)


def test_a_model_that_never_answered_is_dead_even_before_the_window_is_full() -> None:
    watch = Watch(model="m")
    lm_call(watch, LMTransportError("connection refused"))
    with pytest.raises(Halt) as caught:
        watch.raise_if_dead()
    assert "answered none of 1 calls (connection refused)" in str(caught.value.error)


def test_a_cap_that_the_program_hides_ends_the_compile_too() -> None:
    watch = Watch(model="m")
    cap = SpendingCapError("the cap is reached")
    with pytest.raises(Halt) as caught:
        watch.call(lambda: lm_call(watch, caused(LMUnexpectedError("x"), cap)), {})
    assert caught.value.error is cap


@pytest.mark.parametrize(
    "error",
    [
        AdapterParseError("ChatAdapter", dspy.Signature("a -> b"), "?"),
        ReplyError("it cannot be read"),
        caused(LMUnexpectedError("x"), ReplyError("it cannot be read")),
    ],
)
def test_a_reply_that_cannot_be_read_is_passed_on_as_data(error: Exception) -> None:
    with pytest.raises(type(error)):
        Watch(model="m").call(failing(error), {})


def test_after_a_halt_nothing_is_called_and_the_first_error_counts() -> None:
    watch = Watch(model="m")
    first = KeyError("first")
    with pytest.raises(Halt):
        watch.call(failing(first), {})
    with pytest.raises(Halt) as caught:
        watch.call(lambda: pytest.fail("it was called"), {})
    assert caught.value.error is first


def test_bootstrapping_ends_with_its_allowance_but_evaluations_go_on() -> None:
    watch = Watch(model="m")
    with watch.allowance(2):
        watch.call(lambda: "reply", {})
        watch.on_evaluate_start("1", None, {})
        for _ in range(5):
            watch.call(lambda: "reply", {})
        watch.on_evaluate_end("1", None)
        watch.call(lambda: "reply", {})
        with pytest.raises(AllowanceSpent):
            watch.call(lambda: pytest.fail("it was called"), {})
    watch.call(lambda: "reply", {})


def test_a_ceiling_stops_calls_only_while_it_stands() -> None:
    watch = Watch(model="m")
    with watch.ceiling(0), pytest.raises(Halt) as caught:
        watch.call(lambda: pytest.fail("it was called"), {})
    assert isinstance(caught.value.error, BudgetSpent)
    assert watch.call(lambda: "reply", {}) == "reply"


def test_copies_of_a_program_report_to_the_same_watch() -> None:
    watch = Watch(model="m")
    assert copy.deepcopy(watch) is watch


def test_failed_calls_do_not_hide_that_every_reply_was_cut() -> None:
    watch = Watch(model="m")
    for text, reason in [("502 Bad Gateway", "no_reply"), (f"{EMPTY_AND_CUT} at 64 tokens", "unreadable_reply")]:
        watch.note([dspy.Prediction(queries=[], rejected=[RejectedCandidate(text=text, reason=reason, attempt=1)])])
    with pytest.raises(DeadModelError, match="every reply was empty and cut at 64 tokens"):
        watch.raise_if_nothing_was_read(tokens=64, certain=True)


def test_failed_calls_alone_are_no_replies_that_could_not_be_read() -> None:
    watch = Watch(model="m")
    failed = RejectedCandidate(text="502 Bad Gateway", reason="no_reply", attempt=1)
    watch.note([None, dspy.Prediction(queries=[], rejected=[failed])])
    watch.raise_if_nothing_was_read(tokens=64)
