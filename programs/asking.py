"""What programs share in asking a language model: which one, how for JSON, and whose error it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError, LMUnexpectedError

from inpars_plus.foundation.errors import ConfigurationError, NoReplyError, ReplyError
from inpars_plus.lms.failures import dead_model, lasting_failure, own_cause
from inpars_plus.programs.foreign_models import failed_call, is_foreign, note_answer, under_way

__all__ = ["ask_for_json", "current_lm", "model_of", "own_errors"]

_LIMITS = ("max_tokens", "max_completion_tokens")
"""What DSPy calls a model's limit on the tokens of a reply; the second for OpenAI's reasoning models."""


def current_lm(predictor: dspy.Predict) -> dspy.BaseLM:
    """The model that a predictor will ask: its own, or that of ``dspy.context``.

    Raises:
        ConfigurationError: if there is none.
    """
    lm = predictor.lm or dspy.settings.lm
    if lm is None:
        raise ConfigurationError(
            "there is no language model to ask",
            remedy="Give one: program.set_lm(load_lm('embedded')), or call the program in dspy.context(lm=...).",
        )
    return lm


def model_of(program: Any) -> dspy.BaseLM | None:
    """The model that a program asks, for whoever calls it from several threads: its own, or that of ``dspy.context``.

    Args:
        program: a DSPy program, or what is called like one and asks nothing through DSPy.

    Returns:
        The model of its first predictor that has one; ``None`` where there is none.
    """
    predictors = program.predictors() if isinstance(program, dspy.Module) else []
    return next((one.lm for one in predictors if one.lm is not None), dspy.settings.lm)


def ask_for_json(
    step: dspy.Predict | dspy.ChainOfThought,
    *,
    reply_tokens: int,
    adapter: dspy.Adapter | None = None,
    tell_failed: bool = False,
    **inputs: Any,
) -> dspy.Prediction | None:
    """Ask for a reply in JSON, whatever the model.

    A failed call that may pass is a missing reply, and a model that goes on failing is given up: one of this package
    says so itself, and of others the failed calls are counted (:mod:`inpars_plus.programs.foreign_models`).

    Args:
        step: what asks.
        reply_tokens: what a reply may need. A model's own limit is raised to it, because one that was set up for
            one-line queries would break off in the middle of the JSON; a model without a limit gets none, because it
            may think before it writes.
        adapter: that reads JSON, instead of DSPy's.
        tell_failed: whether a failed call that may pass is an error, for who must tell it from a reply that cannot be
            read: another attempt may bring what this one did not.
        inputs: of the step, ``signature`` among them where another than its own is to be used.

    Returns:
        The prediction; ``None`` for a reply that cannot be read or did not come, and for a request that is longer than
        the model's context.

    Raises:
        ConfigurationError: there is no language model.
        NoReplyError: the call failed in a way that may pass, and that is to be told.
        ModelError: the model is dead, refuses every call, or its spending cap is reached; or its engine broke off, with
            no connection for one.
    """
    lm = current_lm(step.predict if isinstance(step, dspy.ChainOfThought) else step)
    config = {name: reply_tokens for name in _LIMITS if 0 < (lm.kwargs.get(name) or 0) < reply_tokens}
    try:
        with own_errors(lm), dspy.context(adapter=adapter or dspy.JSONAdapter()):
            return step(**inputs, config=config)
    except (AdapterParseError, ReplyError, RecursionError, LMError) as error:
        lasting = lasting_failure(error)
        if lasting is not None:
            raise dead_model(lasting, model=str(lm.model), what="cannot be asked") from error
        if isinstance(error, LMUnexpectedError):
            # What an engine lets through uncounted; a traceback would tell a person less.
            raise dead_model(error, model=str(lm.model)) from error
        if tell_failed and isinstance(error, NoReplyError):
            raise
        return None


@contextmanager
def own_errors(lm: dspy.BaseLM) -> Iterator[None]:
    """Around a call: unwrap an error of ours that DSPy wrapped, and turn the failures of a foreign model into ours.

    A dead model and a reached spending cap must keep their names, or whoever is to stop for them would not know them.
    Every other error goes through as it is.

    Args:
        lm: the model that is asked.
    """
    if not is_foreign(lm):
        with _unwrapped():
            yield
        return
    with under_way(lm), _unwrapped():
        try:
            yield
        except AdapterParseError:
            note_answer(lm)  # it said something, if nothing that can be read
            raise
        except LMError as error:
            if own_cause(error) is not None:
                raise
            raise failed_call(error, lm) from error
        note_answer(lm)


@contextmanager
def _unwrapped() -> Iterator[None]:
    try:
        yield
    except LMError as error:
        own = own_cause(error)
        if own is None:
            raise
        raise own from own.__cause__
