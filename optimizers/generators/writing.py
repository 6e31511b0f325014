"""Greedy completions by the torch model itself, for validation while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from inpars_plus.optimizers.generators.models import BaseModel, mixed_precision

__all__ = ["greedy_completions"]


@torch.no_grad()
def greedy_completions(
    model: Any, base: BaseModel, prompts: Sequence[str], *, max_new_tokens: int = 32, batch: int = 8
) -> list[str]:
    """The first line that a model writes after each prompt.

    Prompts of like length are batched, padded on the left.

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
    for start in range(0, len(order), batch):
        members = order[start : start + batch]
        width = max(len(ids[at]) for at in members)
        tokens = torch.full((len(members), width), base.end, dtype=torch.long)
        mask = torch.zeros((len(members), width), dtype=torch.long)
        for row, at in enumerate(members):
            tokens[row, width - len(ids[at]) :] = torch.tensor(ids[at])
            mask[row, width - len(ids[at]) :] = 1
        with mixed_precision(model):
            written = model.generate(
                input_ids=tokens.to(device),
                attention_mask=mask.to(device),
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
