"""What an optimizer chooses between: an instruction, a prompt form and demonstrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import dspy
from pydantic import BaseModel

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import digest
from inpars_plus.programs.fingerprints import predictors_of

__all__ = ["Candidate", "asking_only", "one_ask", "predictor_of"]


def predictor_of(program: dspy.Module) -> Any:
    """The one predictor of a program.

    Raises:
        ConfigurationError: the program has none, or several.
    """
    predictors = program.predictors()
    if len(predictors) != 1:
        raise ConfigurationError(
            f"Only programs with one predictor can be compiled, and this one has {len(predictors)}",
            place=f"program '{type(program).__name__}'",
        )
    return predictors[0]


def asking_only(lm: dspy.BaseLM, program: dspy.Module) -> dspy.Module:
    """The program as it asks a model that is given in DSPy's context, and no other.

    A model of its own (``program.set_lm``, ``load_program(..., lm=...)``) wins over that of the context: the scores
    would be those of another model than the caller named, unseen by whatever counts or caps the calls of that one.

    Args:
        lm: the model that will be given.
        program: it is not changed.

    Returns:
        The program itself, or a copy without models of its own where it has another one.
    """
    own = [predictor.lm for predictor in predictors_of(program).values()]
    if all(one is None or one is lm for one in own):
        return program
    return _without_models(program)


def one_ask(program: dspy.Module) -> dspy.Module:
    """A copy that asks once a query instead of trying again, and has no model of its own.

    During the search a second try would hide a bad prompt, and would make the cost of a trial unknown beforehand.
    """
    copy = _without_models(program)
    copy._compiled = False
    if hasattr(copy, "attempts"):
        copy.attempts = 1
    return copy


@dataclass(frozen=True)
class Candidate:
    """One setting of a program that can be scored.

    Attributes:
        instruction: what stands above the documents.
        form: name of the prompt form of a completion model; ``None`` for the program's own choice.
        demonstrations: examples with the signature's fields only.
        origin: where it came from, such as ``pool`` or ``miprov2``; not part of its identity.
    """

    instruction: str
    form: str | None = None
    demonstrations: tuple[dspy.Example, ...] = ()
    origin: str = ""

    @classmethod
    def of(cls, program: dspy.Module, *, origin: str = "") -> Candidate:
        """The setting that a program has."""
        predictor = predictor_of(program)
        fields = predictor.signature.fields
        demonstrations = tuple(_only(demo, fields) for demo in predictor.demos)
        form = getattr(program, "prompt_form", None)
        return cls(predictor.signature.instructions, form, demonstrations, origin)

    @cached_property
    def key(self) -> str:
        """Equal for candidates that put the same prompt before the model."""
        shown = [{name: _plain(value) for name, value in demo.items()} for demo in self.demonstrations]
        return digest(self.instruction, self.form or "", shown)

    def apply(self, program: dspy.Module) -> dspy.Module:
        """A copy of the program with this setting and without a model of its own."""
        copy = _without_models(program)
        copy._compiled = False
        predictor = predictor_of(copy)
        predictor.signature = predictor.signature.with_instructions(self.instruction)
        predictor.demos = [demo.copy() for demo in self.demonstrations]
        if self.form is not None:
            copy.prompt_form = self.form
        return copy

    def with_demonstrations(self, examples: Sequence[dspy.Example], fields: Mapping[str, Any]) -> Candidate:
        """The same prompt with these demonstrations, cut to the signature's fields."""
        return replace(self, demonstrations=tuple(_only(example, fields) for example in examples))


def _without_models(program: dspy.Module) -> dspy.Module:
    """A copy without models of its own."""
    models = [predictor.lm for predictor in predictors_of(program).values() if predictor.lm is not None]
    try:
        # Models are handed over as they are: around one that cannot be copied, DSPy lets copies share their parts.
        copy: dspy.Module = deepcopy(program, {id(lm): lm for lm in models})
    except Exception:
        copy = program.deepcopy()
    for predictor in predictors_of(copy).values():
        predictor.lm = None
    return copy


def _only(demo: Mapping[str, Any], fields: Mapping[str, Any]) -> dspy.Example:
    """A demonstration without what is not in the signature, such as the whole source document or DSPy's marks."""
    return dspy.Example(**{name: demo[name] for name in fields if name in demo})


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
