"""The shape of a program's signatures as text, so that a file made for another shape is refused.

DSPy itself matches a saved signature by position and says nothing when names or types differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    import dspy

__all__ = ["Fingerprint", "differences", "fingerprint", "predictors_of", "type_text"]

Fingerprint: TypeAlias = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Predictor → ``inputs`` or ``outputs`` → field → type."""


def predictors_of(program: dspy.Module) -> dict[str, Any]:
    """All predictors of a program by their path, those of already compiled sub-modules included.

    DSPy's ``named_predictors`` leaves the latter out, and with them everything that they learnt.
    """
    from dspy.predict.parameter import Parameter

    return {path.removeprefix("self."): predictor for path, predictor in program.named_sub_modules(type_=Parameter)}


def fingerprint(program: dspy.Module) -> dict[str, dict[str, dict[str, str]]]:
    """Names and types of all fields of all predictors; instructions and descriptions are not part of it."""
    return {
        name: {
            "inputs": {field: type_text(info.annotation) for field, info in predictor.signature.input_fields.items()},
            "outputs": {field: type_text(info.annotation) for field, info in predictor.signature.output_fields.items()},
        }
        for name, predictor in predictors_of(program).items()
    }


def type_text(annotation: Any) -> str:
    """A type as text, with the fields of pydantic models: ``list[SyntheticQuery{text: str}]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = (f"{name}: {type_text(info.annotation)}" for name, info in annotation.model_fields.items())
        return f"{annotation.__name__}{{{', '.join(fields)}}}"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return annotation.__name__ if isinstance(annotation, type) else str(annotation)
    inner = [type_text(part) if isinstance(part, type) or get_origin(part) else repr(part) for part in arguments]
    if origin in (Union, UnionType):  # one text for both spellings, which Python versions name differently
        return " | ".join(inner)
    return f"{getattr(origin, '__name__', str(origin).removeprefix('typing.'))}[{', '.join(inner)}]"


def differences(found: Fingerprint, expected: Fingerprint) -> list[str]:
    """In what the fingerprint in a file differs from the program's, in words; empty if in nothing."""
    told = []
    for name in expected.keys() - found.keys():
        told.append(f"predictor {name!r} is missing in the file")
    for name in found.keys() - expected.keys():
        told.append(f"predictor {name!r} of the file is unknown")
    for name in expected.keys() & found.keys():
        for side in ("inputs", "outputs"):
            theirs, ours = found[name].get(side, {}), expected[name][side]
            for field in theirs.keys() | ours.keys():
                if theirs.get(field) != ours.get(field):
                    told.append(
                        f"{side[:-1]} {field!r} of predictor {name!r} is {theirs.get(field, 'missing')} in the file "
                        f"and {ours.get(field, 'missing')} in the program"
                    )
            if theirs == ours and list(theirs) != list(ours):
                told.append(f"the {side} of predictor {name!r} stand in another order")
    return sorted(told)
