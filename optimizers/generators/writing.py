"""Greedy completions by the torch model itself, for validation while it is trained."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from inpars_plus.foundation.parts import require
from inpars_plus.optimizers.generators.models import BaseModel, mixed_precision

__all__ = ["greedy_completions"]


@torch.no_grad()
def greedy_completions(
    model: Any, base: BaseModel, prompts: Sequence[str], *, max_new_tokens: int = 32, batch: int = 32
) -> list[str]:
    """The first line that a model writes after each prompt.

    Demonstrations that all prompts begin with are read once; prompts of like length are batched.

    Args:
        model: with or without adapters.
        base: whose tokens.
        prompts: texts.
        max_new_tokens: most tokens of a completion.
        batch: prompts at once.

    Returns:
        One line a prompt, stripped; empty where nothing was written.
    """
    ids = [base.encode(prompt) for prompt in prompts]
    device = next(model.parameters()).device
    texts = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda at: len(ids[at]))
    trunk = _common(ids)
    with mixed_precision(model):
        read = _read(model, ids[0][:trunk], device) if trunk else None
        for start in range(0, len(order), batch):
            members = order[start : start + batch]
            width = max(len(ids[at]) for at in members)
            # Behind the trunk, padding stands before what a prompt has of its own.
            tokens = torch.full((len(members), width), base.end, dtype=torch.long)
            mask = torch.zeros((len(members), width), dtype=torch.long)
            for row, at in enumerate(members):
                own = len(ids[at]) - trunk
                tokens[row, :trunk], mask[row, :trunk] = torch.tensor(ids[at][:trunk]), 1
                tokens[row, width - own :], mask[row, width - own :] = torch.tensor(ids[at][trunk:]), 1
            known = None
            if read is not None:
                known = copy.deepcopy(read)
                known.batch_repeat_interleave(len(members))
            written = model.generate(
                input_ids=tokens.to(device),
                attention_mask=mask.to(device),
                past_key_values=known,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                use_cache=True,
                eos_token_id=[base.end, *base.encode("\n")[:1]],
                pad_token_id=base.end,
            )
            for row, at in enumerate(members):
                text = base.tokenizer.decode(written[row, width:], skip_special_tokens=True)
                texts[at] = text.strip().split("\n", 1)[0].strip()
    return texts


def _common(ids: Sequence[Sequence[int]]) -> int:
    """How many first tokens all prompts share, the last token of each left out."""
    shortest = max(0, min(map(len, ids), default=0) - 1)
    return next((at for at in range(shortest) if len({one[at] for one in ids}) > 1), shortest)


def _read(model: Any, tokens: Sequence[int], device: torch.device) -> Any:
    """Keys and values of the tokens that all prompts begin with, for one row."""
    transformers = require("transformers", install="pip install transformers", purpose="Validating while tuning")
    cache = transformers.DynamicCache(config=model.config)
    model(input_ids=torch.tensor([list(tokens)], device=device), past_key_values=cache, use_cache=True)
    return cache
