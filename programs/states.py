"""What one predictor has learnt, as JSON: its instructions and demonstrations, and nothing else.

DSPy's own state also holds the language model, with its headers and the secrets in them, and demonstrations with every
field that an example happened to carry.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import dspy
from pydantic import TypeAdapter, ValidationError

from inpars_plus.foundation.errors import ProgramFileError

__all__ = ["load_predictor_state", "predictor_state"]


def predictor_state(predictor: dspy.Predict) -> dict[str, Any]:
    """DSPy's state of a predictor without its model, and with demonstrations cut down to the signature's fields."""
    bare = copy.copy(predictor)  # shallow: the program itself stays as it is
    bare.lm, bare.traces, bare.train = None, [], []
    fields = predictor.signature.fields
    bare.demos = [{name: demo[name] for name in fields if name in demo} for demo in predictor.demos]
    state: dict[str, Any] = bare.dump_state()
    return state


def load_predictor_state(predictor: dspy.Predict, state: Mapping[str, Any]) -> None:
    """Put a saved state into a predictor of the same signature.

    DSPy would set every key of a state as an attribute; only the known ones are passed on, and demonstrations get the
    types of the signature back.

    Raises:
        ProgramFileError: if a demonstration does not fit the signature.
        KeyError, TypeError, ValueError: if the state is no state.
    """
    signature = predictor.signature
    prompts = [
        {"prefix": str(saved["prefix"]), "description": str(saved["description"])}
        for _, saved in zip(signature.fields, state["signature"]["fields"], strict=True)
    ]
    predictor.load_state(
        {
            "signature": {"instructions": str(state["signature"]["instructions"]), "fields": prompts},
            "demos": [_typed(signature, demo, number) for number, demo in enumerate(state["demos"], start=1)],
            "traces": [],
            "train": [],
            "fields": dict(state.get("fields", {})),
            "lm": None,
        }
    )


def _typed(signature: type[dspy.Signature], demo: Mapping[str, Any], number: int) -> dspy.Example:
    fields = {}
    for name, value in demo.items():
        if name not in signature.fields:
            raise ProgramFileError(f"demonstration {number} has a field {name!r} that the signature lacks")
        try:
            fields[name] = TypeAdapter(signature.fields[name].annotation).validate_python(value)
        except ValidationError as error:
            told = error.errors()[0]["msg"]
            raise ProgramFileError(f"demonstration {number} does not fit the signature at {name!r}: {told}") from error
    return dspy.Example(fields)
