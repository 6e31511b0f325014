"""What LiteLLM knows of the models behind a network: who serves them, and what they cost."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from dspy.lm15 import registered_providers

from inpars_plus.foundation.parts import require
from inpars_plus.lms.limits import Price

__all__ = ["has_provider", "price_of"]

_FREE = ("ollama/", "ollama_chat/")
"""Served by a person's own machine; LiteLLM would ask that server for each model that its table lacks."""


def price_of(name: str) -> Price | None:
    """What a hosted model costs, or ``None`` where LiteLLM does not know.

    Raises:
        MissingPartError: LiteLLM is not installed.
    """
    litellm = _litellm()
    if name.startswith(_FREE):
        return Price(0.0, 0.0)
    with contextlib.suppress(Exception):  # LiteLLM has no common base of what it raises for an unknown model
        # The table itself: what it lacks, such as prices that depend on the length, LiteLLM gives as 0.
        known = litellm.model_cost[litellm.get_model_info(name)["key"]]
        prompt, completion = known.get("input_cost_per_token"), known.get("output_cost_per_token")
        if prompt is not None and completion is not None:
            return Price(float(prompt), float(completion))
    return None


def has_provider(name: str) -> bool:
    """Whether DSPy or LiteLLM knows who serves a model; a path that was mistyped has nobody.

    Raises:
        MissingPartError: LiteLLM is not installed.
    """
    litellm, prefix = _litellm(), name.partition("/")[0]
    listed = {str(getattr(one, "value", one)) for one in litellm.provider_list}
    if prefix in listed or prefix in {one.id for one in registered_providers()}:
        return True
    talks, litellm.suppress_debug_info = litellm.suppress_debug_info, True  # or it prints where to read of providers
    try:
        litellm.get_llm_provider(name)
    except Exception:  # of no common kind
        return False
    finally:
        litellm.suppress_debug_info = talks
    return True


def _litellm() -> Any:
    # Without this, LiteLLM fetches a list of prices from the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
    return require("litellm", install="pip install litellm", purpose="Calling a hosted language model")
