"""What programs share in asking a language model: which one, and whose error it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dspy
from dspy.utils.exceptions import LMError

from inpars_plus.foundation.errors import ConfigurationError, InParsError

__all__ = ["current_lm", "own_errors"]


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
