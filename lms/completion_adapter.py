"""The adapter for small models: a plain completion prompt, one line as the answer.

::

    Write a search query that this document answers.

    Document: Water boils at 100 degrees Celsius at sea level. ...
    Words: boils, Celsius, sea
    Query: boiling point of water

    Document: ...
    Words: ...
    Query:
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ValidationError

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.forms import PromptForm, prompt_form
from inpars_plus.lms.traits import trait_of

__all__ = ["CompletionAdapter", "adapter_for"]

_SPACE = re.compile(r"\s+")


class CompletionAdapter(dspy.Adapter):
    """Renders a signature as plain text in a prompt form, and reads one line back into its one output field.

    The request is one user message, which the engines of this project continue as it stands (see
    :mod:`inpars_plus.lms.requests`). Only one call is made: an empty line is an ``AdapterParseError``, never a retry.

    Args:
        form: the layout.
        opening: words that the answer is to begin with. They stand behind the answer label, the model goes on from
            there, and they are part of the answer.
    """

    def __init__(self, form: PromptForm, *, opening: str = "") -> None:
        super().__init__()
        self.prompt_form = form
        self.opening = opening.strip()

    def render(
        self, signature: type[dspy.Signature], demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> str:
        """The prompt, character for character: what the model reads, and what training on it must read.

        Args:
            signature: one output field; its instructions stand on top when the form wants them.
            demos: examples with the form's input fields and the output field; incomplete ones are left out.
            inputs: the form's input fields; missing or empty ones lose their line.

        Returns:
            Text that ends with the answer label and a colon, without a space after it, or with the opening.

        Raises:
            ConfigurationError: the signature has not exactly one output field, or a labelled field is unknown to it.
        """
        answer = self._answer_field(signature)
        instructions = str(signature.instructions).strip()
        blocks = [instructions] if self.prompt_form.instruction and instructions else []
        for demo in demos:
            shown = _one_line(demo[answer]) if demo.get(answer) is not None else ""
            if shown and any(demo.get(field) for field, _ in self.prompt_form.labels):
                blocks.append(f"{self._block(demo)} {shown}")
        blocks.append(self._block(inputs))
        return "\n\n".join(blocks) + (f" {self.opening}" if self.opening else "")

    def format(
        self, signature: type[dspy.Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """DSPy's form of :meth:`render`: one user message."""
        return [{"role": "user", "content": self.render(signature, demos, inputs)}]

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """The first line of a reply as the value of the output field.

        Raises:
            AdapterParseError: the line is empty, or the field's type refuses it.
        """
        answer = self._answer_field(signature)
        if self.opening and completion.strip():
            completion = f"{self.opening} {completion.lstrip()}"
        text = next((line for line in (_one_line(line) for line in completion.splitlines()) if line), "")
        if not text:
            raise AdapterParseError(type(self).__name__, signature, completion, message="The reply is empty.")
        try:
            return {answer: _as_type(text, signature.output_fields[answer].annotation)}
        except (ValidationError, ValueError, TypeError) as problem:
            raise AdapterParseError(
                type(self).__name__, signature, completion, message=f"The reply does not fit the field: {problem}"
            ) from problem

    def __call__(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> Any:
        """As DSPy's adapters; the reply ends at the line's end."""
        return super().__call__(lm, {"stop": ["\n"], **lm_kwargs}, signature, demos, inputs)

    async def acall(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> Any:
        """As :meth:`__call__`, awaited."""
        return await super().acall(lm, {"stop": ["\n"], **lm_kwargs}, signature, demos, inputs)

    def _answer_field(self, signature: type[dspy.Signature]) -> str:
        outputs: list[str] = list(signature.output_fields)
        if len(outputs) != 1:
            raise ConfigurationError(
                f"a completion prompt has one answer, but the signature has {len(outputs)} output fields",
                remedy="Use DSPy's ChatAdapter or JSONAdapter for it",
            )
        for field, _ in self.prompt_form.labels:
            if field not in signature.input_fields:
                raise ConfigurationError(
                    f"the prompt form '{self.prompt_form.name}' shows a field '{field}' that the signature has not",
                    remedy=f"Its input fields are: {', '.join(signature.input_fields)}",
                )
        return outputs[0]

    def _block(self, values: Mapping[str, Any]) -> str:
        form = self.prompt_form
        lines = []
        for field, label in form.labels:
            text = _one_line(values.get(field), separator=form.list_separator)
            limit = form.max_words.get(field)
            if limit is not None:
                text = " ".join(text.split(" ")[:limit])
            if text:
                lines.append(f"{label}: {text}")
        lines.append(f"{form.answer_label}:")
        return "\n".join(lines)


def adapter_for(lm: dspy.BaseLM, form: str | None = None, *, opening: str = "") -> dspy.Adapter:
    """The adapter that serves a model best.

    Args:
        lm: the model.
        form: name of the prompt form; ``None`` for the default. Chat models do not use it.
        opening: of a completion's answer; chat models do not use it.

    Returns:
        The completion adapter for local models; for hosted ones DSPy's ChatAdapter without its retry through JSON,
        which would be a second call that nobody counted on.

    Raises:
        ConfigurationError: there is no such form.
    """
    if trait_of(lm, "prefers_completion"):
        return CompletionAdapter(prompt_form(form), opening=opening)
    return dspy.ChatAdapter(use_json_adapter_fallback=False)


def _one_line(value: Any, *, separator: str = ", ") -> str:
    """A field's value as one line of plain text; a list of models shows the text of its first item."""
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        return _one_line(getattr(value, _text_field(type(value))))
    if isinstance(value, Mapping):
        texts = [inner for inner in value.values() if isinstance(inner, str)]
        return _one_line(texts[0]) if texts else ""
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], BaseModel | Mapping):
            return _one_line(value[0])
        return separator.join(_one_line(item) for item in value)
    return _SPACE.sub(" ", str(value)).strip()


def _as_type(text: str, annotation: Any) -> Any:
    if get_origin(annotation) is list:
        (inner,) = get_args(annotation) or (str,)
        return [_as_type(text, inner)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation(**{_text_field(annotation): text})
    if annotation is str:
        return text
    raise TypeError(f"a line of text is no {annotation}")


def _text_field(model: type[BaseModel]) -> str:
    texts = [name for name, field in model.model_fields.items() if field.annotation is str]
    if len(texts) != 1:
        raise TypeError(f"{model.__name__} has not exactly one text field")
    return texts[0]
