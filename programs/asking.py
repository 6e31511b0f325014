"""What programs share in asking a language model: which one, how for JSON, and whose error it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError, LMError, LMUnexpectedError

from inpars_plus.foundation.errors import ConfigurationError, ReplyError
from inpars_plus.lms.failures import dead_model, lasting_failure, own_cause

__all__ = ["ask_for_json", "current_lm", "own_errors"]


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


def ask_for_json(
    step: dspy.Predict | dspy.ChainOfThought, *, reply_tokens: int, adapter: dspy.Adapter | None = None, **inputs: Any
) -> dspy.Prediction | None:
    """Ask for a reply in JSON, whatever the model.

    A model of this package counts its failed calls itself: one that may pass is a missing reply, and a model that goes
    on failing is given up. For other models nobody counts, so their failed calls are raised.

    Args:
        step: what asks.
        reply_tokens: what a reply may need; the model's own limit counts where it is higher, because one that was set
            up for one-line queries would break off in the middle of the JSON.
        adapter: that reads JSON, instead of DSPy's.
        inputs: of the step, ``signature`` among them where another than its own is to be used.

    Returns:
        The prediction; ``None`` for a reply that cannot be read or did not come, and for a request that is longer than
        the model's context.

    Raises:
        ConfigurationError: there is no language model.
        ModelError: the model is dead, refuses every call, or its spending cap is reached; or its engine broke off, with
            no connection for one.
        LMError: of DSPy, for a call that failed in a way that may pass, of a model that is not one of this package.
    """
    lm = current_lm(step.predict if isinstance(step, dspy.ChainOfThought) else step)
    config = {"max_tokens": max(reply_tokens, lm.kwargs.get("max_tokens") or 0)}
    try:
        with own_errors(), dspy.context(adapter=adapter or dspy.JSONAdapter()):
            return step(**inputs, config=config)
    except (AdapterParseError, ReplyError, RecursionError, LMError) as error:
        lasting = lasting_failure(error)
        if lasting is not None:
            raise dead_model(lasting, model=str(lm.model), what="cannot be asked") from error
        if isinstance(error, LMUnexpectedError):
            # What an engine lets through uncounted; a traceback would tell a person less.
            raise dead_model(error, model=str(lm.model)) from error
        if isinstance(error, LMError) and not isinstance(error, ContextWindowExceededError):
            raise
        return None


@contextmanager
def own_errors() -> Iterator[None]:
    """Unwrap an error of ours that an engine raised and DSPy wrapped; let every other error through as it is.

    A dead model and a reached spending cap must keep their names, or whoever is to stop for them would not know them.
    """
    try:
        yield
    except LMError as error:
        own = own_cause(error)
        if own is None:
            raise
        raise own from own.__cause__
