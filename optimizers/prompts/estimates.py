"""What a compile would cost, told without calling a model."""

from __future__ import annotations

from collections.abc import Sequence

import dspy
from pydantic import BaseModel, ConfigDict

from inpars_plus.lms.providers import price_of
from inpars_plus.optimizers.prompts.budget import BudgetPlan, Rung

__all__ = [
    "CALLS_PER_SECOND",
    "CHARACTERS_PER_TOKEN",
    "Estimate",
    "cost_of",
    "estimate",
    "estimate_instructions",
]

#: Calls of the embedded model in a second, measured with 175-token documents and 16 threads on two cores.
CALLS_PER_SECOND = 8.0

#: Of English; what a model's own tokenizer makes of a text is known only where it is loaded.
CHARACTERS_PER_TOKEN = 4.0

# A hosted model answers a short request in about this time.
_SECONDS_PER_HOSTED_CALL = 1.5
_COMPLETION_TOKENS = 16
_INSTRUCTION_TOKENS = 40
_CHAT_FORMAT_TOKENS = 350
_INVENTED_TOKENS = 110
_SHOWN_TOKENS = 60
# Of a call for an instruction: so many documents are read at once, and a few sentences are written.
_READ_DOCUMENTS = 10
_WRITTEN_TOKENS = 300
# MIPROv2 has up to twelve calls to sum the data up, and one for each of six instructions; adaptation two for each of
# eight revisions at most. GEPA reflects once in eight program calls.
_INSTRUCTION_CALLS = {"miprov2": 18, "adapt": 16}
_CALLS_A_REFLECTION = 8
_LOCAL_PREFIXES = ("embedded", "gguf", "tuned", "hf:", "inpars-plus", "scripted")


class Estimate(BaseModel):
    """An upper bound of the calls, and about what they come to.

    Attributes:
        calls: LM calls, at most.
        prompt_tokens: at four characters a token; demonstrations are counted in each call, cached or not.
        completion_tokens: at sixteen a query.
        minutes: at the pace of the embedded model on two cores, or of a hosted one with this many threads.
        cost_usd: 0 for a local model, ``None`` where no price is known.
    """

    model_config = ConfigDict(frozen=True)

    calls: int
    prompt_tokens: int
    completion_tokens: int
    minutes: float
    cost_usd: float | None


def cost_of(model: str, prompt_tokens: float, completion_tokens: float) -> float | None:
    """US dollars for so many tokens: 0 for a local model, ``None`` where no price is known.

    Args:
        model: DSPy's name of it.
        prompt_tokens: read.
        completion_tokens: written.
    """
    if model.startswith(_LOCAL_PREFIXES):
        return 0.0
    price = price_of(model)
    return None if price is None else round(price.of(prompt_tokens, completion_tokens), 4)


def estimate(
    plan: BudgetPlan,
    examples: Sequence[dspy.Example],
    *,
    model: str,
    demonstrations: int = 4,
    threads: int = 16,
    chat: bool = False,
) -> Estimate:
    """Estimate a compile from its plan.

    Args:
        plan: from :func:`inpars_plus.optimizers.prompts.harness.plan_for`.
        examples: train and validation examples, for the length of documents.
        model: DSPy's name of the LM.
        demonstrations: how many a prompt shows at most.
        threads: calls at once.
        chat: whether the model is asked in DSPy's chat format, which is longer than a completion prompt.
    """
    document = sum(len(example.document) for example in examples) / max(1, len(examples)) / CHARACTERS_PER_TOKEN
    bare = document + _INSTRUCTION_TOKENS + (_CHAT_FORMAT_TOKENS if chat else 0)
    # A completion model is shown the pool's invented demonstrations first, which may be longer than the documents.
    demonstration = min(document, _SHOWN_TOKENS) if chat else max(min(document, _SHOWN_TOKENS), _INVENTED_TOKENS)
    shown = bare + demonstrations * (demonstration + _COMPLETION_TOKENS)
    without = plan.preflight + sum(rung.asks for rung in plan.pool) + _baselines(plan.final)
    without += plan.harvest[0].asks if chat else 0
    with_demonstrations = plan.asks - without
    prompt_tokens = round((without * bare + with_demonstrations * shown) * plan.calls_per_document)
    completion_tokens = plan.calls * _COMPLETION_TOKENS
    local = model.startswith(_LOCAL_PREFIXES)
    pace = CALLS_PER_SECOND if local else threads / _SECONDS_PER_HOSTED_CALL
    return Estimate(
        calls=plan.calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        minutes=round(plan.calls / pace / 60, 1),
        cost_usd=cost_of(model, prompt_tokens, completion_tokens),
    )


def estimate_instructions(
    plan: BudgetPlan, examples: Sequence[dspy.Example], *, optimizer: str, model: str
) -> Estimate:
    """Estimate, at most, what a model that writes instructions is asked for in a compile.

    Args:
        plan: as for :func:`estimate`.
        examples: train and validation examples, for the length of documents.
        optimizer: its name; bootstrapping asks for no instructions.
        model: DSPy's name of the model that writes them.
    """
    calls = plan.optimizer // _CALLS_A_REFLECTION if optimizer == "gepa" else _INSTRUCTION_CALLS.get(optimizer, 0)
    document = sum(len(example.document) for example in examples) / max(1, len(examples)) / CHARACTERS_PER_TOKEN
    prompt_tokens = round(calls * (_READ_DOCUMENTS * document + _CHAT_FORMAT_TOKENS))
    completion_tokens = calls * _WRITTEN_TOKENS
    # One after the other; a local model's time goes by what it writes.
    local = model.startswith(_LOCAL_PREFIXES)
    a_call = _WRITTEN_TOKENS / _COMPLETION_TOKENS / CALLS_PER_SECOND if local else _SECONDS_PER_HOSTED_CALL
    return Estimate(
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        minutes=round(calls * a_call / 60, 1),
        cost_usd=cost_of(model, prompt_tokens, completion_tokens),
    )


def _baselines(final: Rung) -> int:
    """Calls of the last comparison for the two settings that show no demonstrations."""
    return 2 * final.documents
