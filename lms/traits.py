"""What programs may know of a model beside its name: the traits of its engine."""

from __future__ import annotations

from typing import Any

import dspy

from inpars_plus.lms.engine import Engine

__all__ = ["trait_of"]


def trait_of(lm: dspy.BaseLM, name: str) -> Any:
    """A class attribute of :class:`~inpars_plus.lms.engine.Engine`, such as ``openings``, as the model has it.

    A model without an engine, such as DSPy's ``DummyLM`` or any other ``dspy.BaseLM``, and one with another's engine
    are an engine that says nothing of itself.
    """
    return getattr(getattr(lm, "engine", None), name, getattr(Engine, name))
