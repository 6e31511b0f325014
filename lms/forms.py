"""Prompt forms: how a completion prompt for a small model is laid out, as named data.

With the embedded model the layout decides more than the wording: plain labelled lines with demonstrations in the same
layout did best of two dozen prompts, field markers and JSON worst. So the form is something an optimizer chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["DEFAULT_FORM", "PROMPT_FORMS", "PromptForm", "prompt_form"]


class PromptForm(BaseModel):
    """One layout.

    Attributes:
        name: what a compiled program calls it.
        labels: input field and its label, in the order of the prompt; fields that are not listed are left out.
        answer_label: label of the answer; the prompt ends with it and a colon.
        instruction: whether the signature's instructions stand above the demonstrations.
        max_words: most words of a field; the rest is cut. A field that is not named is not cut.
        list_separator: what stands between the items of a list field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    labels: tuple[tuple[str, str], ...]
    answer_label: str
    instruction: bool = True
    max_words: Mapping[str, int] = Field(default_factory=dict)
    list_separator: str = ", "


_WORDS = {"document": 90}


def _form(name: str, *labels: tuple[str, str], answer: str = "Query", **settings: object) -> PromptForm:
    return PromptForm(name=name, labels=labels, answer_label=answer, max_words=_WORDS, **settings)  # type: ignore[arg-type]


_FORMS = (
    _form("document-words-query", ("document", "Document"), ("key_terms", "Words")),
    _form("document-query", ("document", "Document")),
    _form("document-words-question", ("document", "Document"), ("key_terms", "Words"), answer="Question"),
    _form("words-document-query", ("key_terms", "Words"), ("document", "Document")),
    _form("text-keywords-search", ("document", "Text"), ("key_terms", "Keywords"), answer="Search"),
    _form("document-words-query-bare", ("document", "Document"), ("key_terms", "Words"), instruction=False),
)

PROMPT_FORMS: Mapping[str, PromptForm] = MappingProxyType({form.name: form for form in _FORMS})
"""The forms by name."""

DEFAULT_FORM = "document-words-query"
"""The form of an uncompiled program."""


def prompt_form(name: str | None) -> PromptForm:
    """The form of a name; the default for ``None``.

    Raises:
        ConfigurationError: there is no such form.
    """
    try:
        return PROMPT_FORMS[name or DEFAULT_FORM]
    except KeyError:
        raise ConfigurationError(
            f"there is no prompt form '{name}'", remedy=f"Choose one of: {', '.join(PROMPT_FORMS)}"
        ) from None
