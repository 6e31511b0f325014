"""What programs share in asking a language model: which one, how for JSON, and whose error it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError

from inpars_plus.foundation.errors import ConfigurationError, InParsError, ReplyError

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

    Args:
        step: what asks.
        reply_tokens: what a reply may need; the model's own limit counts where it is higher, because one that was set
            up for one-line queries would break off in the middle of the JSON.
        adapter: that reads JSON, instead of DSPy's.
        inputs: of the step, ``signature`` among them where another than its own is to be used.

    Returns:
        The prediction; ``None`` for a reply that cannot be read.

    Raises:
        ConfigurationError: there is no language model.
        ModelError: the model is dead or its spending cap is reached.
    """
    lm = current_lm(step.predict if isinstance(step, dspy.ChainOfThought) else step)
    config = {"max_tokens": max(reply_tokens, lm.kwargs.get("max_tokens") or 0)}
    try:
        with own_errors(), dspy.context(adapter=adapter or dspy.JSONAdapter()):
            return step(**inputs, config=config)
    except (AdapterParseError, ReplyError, RecursionError):
        return None


@contextmanager
def own_errors() -> Iterator[None]:
    """Unwrap an error of ours that an engine raised and DSPy wrapped; let every other error through as it is.

    A dead model and a reached spending cap must keep their names, or whoever is to stop for them would not know them.
    """
    try:
        yield
    except LMError as error:
        cause = error.__cause__
        seen = {id(error)}
        # DSPy raises some errors from themselves: a chain of causes may be a ring.
        while cause is not None and not isinstance(cause, InParsError) and id(cause) not in seen:
            seen.add(id(cause))
            cause = cause.__cause__
        if not isinstance(cause, InParsError):
            raise
        raise cause from cause.__cause__
