"""The adapter of chat models that are asked for queries: DSPy's chat prompts, and a reply in JSON is read as well.

An adapter that an application has configured is not taken: a program was compiled and measured with these prompts.
Models that were set up to answer in JSON do so all the same.
"""

from __future__ import annotations

from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import TypeAdapter, ValidationError

from inpars_plus.programs.lenient_json import first_object
from inpars_plus.signatures.leniency import without_thoughts

__all__ = ["LenientChatAdapter"]


class LenientChatAdapter(dspy.ChatAdapter):
    """One call whatever comes back: DSPy's own retry through JSON would be a second one that nobody counted on."""

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Read a reply: as DSPy's chat adapter, or else its first JSON object, if that has all output fields.

        Raises:
            AdapterParseError: it is neither, or a field's type refuses what was said.
        """
        try:
            read: dict[str, Any] = super().parse(signature, completion)
            return read
        except AdapterParseError:
            found = first_object(without_thoughts(completion)) or {}
            try:
                return {
                    name: TypeAdapter(field.annotation).validate_python(found[name])
                    for name, field in signature.output_fields.items()
                }
            except (KeyError, ValidationError, RecursionError):
                pass
            raise
