"""The adapter for programs that want one small object of every model: asked for as JSON, read as leniently as it says.

DSPy's own JSON adapter mends broken JSON before it looks at the type, and so reads ``[2] > [1] > [3]`` as ``[3]``, the
wrong order without a word. Here JSON is taken where it is whole, and everything else goes to the pydantic model as it
came, which knows what it may be lenient about.
"""

from __future__ import annotations

import json
import re
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import TypeAdapter, ValidationError

from inpars_plus.signatures.leniency import without_thoughts

__all__ = ["LenientJsonAdapter", "first_object"]

_MARKER = re.compile(r"\[\[ ## \w+ ## \]\]")


class LenientJsonAdapter(dspy.JSONAdapter):
    """DSPy's JSON prompts for signatures with one output field, and one call whatever comes back.

    An engine that decodes along a JSON schema gets the schema, as from ``dspy.JSONAdapter``.
    """

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Read a reply: the first JSON object in it, or else its whole text, given to the output field's type.

        DSPy's field markers, which models know from other prompts, are no part of the text, and what a reasoning model
        wrote to itself is no part of the reply.

        Raises:
            AdapterParseError: the type refuses it.
        """
        ((name, field),) = signature.output_fields.items()
        said = without_thoughts(completion)
        found = first_object(said)
        value: Any = _MARKER.sub("", said).strip() if found is None else found.get(name, found)
        try:
            return {name: TypeAdapter(field.annotation).validate_python(value)}
        except (ValidationError, RecursionError) as problem:
            raise AdapterParseError(
                type(self).__name__, signature, completion, message=f"The reply does not fit: {type(problem).__name__}"
            ) from problem


def first_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, whole; ``None`` where there is none."""
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return found if isinstance(found, dict) else None
    return None
