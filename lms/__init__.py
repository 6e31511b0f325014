"""Language models: from a name to a ``dspy.LM``, prompt adapters for small models, and scoring of completions.

::

    lm = load_lm("embedded")
    with dspy.context(lm=lm, adapter=adapter_for(lm)):
        ...
    usage_of(lm)

Importing this folder loads no model and none of the packages that run one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
    from inpars_plus.lms.embedded import EmbeddedEngine
    from inpars_plus.lms.engine import Draw, Engine, EngineLM, Reply, failure_of, usage_of
    from inpars_plus.lms.forms import PROMPT_FORMS, PromptForm, prompt_form
    from inpars_plus.lms.limits import SpendingLimits
    from inpars_plus.lms.names import is_local, load_lm
    from inpars_plus.lms.replies import ReplyStore
    from inpars_plus.lms.scoring import CompletionScore, EmbeddedScorer, Scorer, load_scorer
    from inpars_plus.lms.scripted import ScriptedEngine, scripted_lm

_HOMES = {
    "CompletionAdapter": "completion_adapter",
    "CompletionScore": "scoring",
    "Draw": "engine",
    "EmbeddedEngine": "embedded",
    "EmbeddedScorer": "scoring",
    "Engine": "engine",
    "EngineLM": "engine",
    "PROMPT_FORMS": "forms",
    "PromptForm": "forms",
    "Reply": "engine",
    "ReplyStore": "replies",
    "Scorer": "scoring",
    "ScriptedEngine": "scripted",
    "SpendingLimits": "limits",
    "adapter_for": "completion_adapter",
    "failure_of": "engine",
    "is_local": "names",
    "load_lm": "names",
    "load_scorer": "scoring",
    "prompt_form": "forms",
    "scripted_lm": "scripted",
    "usage_of": "engine",
}

__all__ = [
    "PROMPT_FORMS",
    "CompletionAdapter",
    "CompletionScore",
    "Draw",
    "EmbeddedEngine",
    "EmbeddedScorer",
    "Engine",
    "EngineLM",
    "PromptForm",
    "Reply",
    "ReplyStore",
    "Scorer",
    "ScriptedEngine",
    "SpendingLimits",
    "adapter_for",
    "failure_of",
    "is_local",
    "load_lm",
    "load_scorer",
    "prompt_form",
    "scripted_lm",
    "usage_of",
]

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
