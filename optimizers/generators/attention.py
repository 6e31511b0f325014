"""Attention over a tree of tokens, a branch at a time.

In a packed sequence a document never sees another document, so most of a square mask over all tokens is empty, and on
a processor that emptiness is computed all the same. Here each run of branches attends to the trunk and to itself only.
``transformers`` calls this where a model was loaded with :data:`TREE_ATTENTION`; without ``segments`` it is the
library's own attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from inpars_plus.foundation.parts import require

__all__ = ["TREE_ATTENTION", "register_tree_attention"]

TREE_ATTENTION = "inpars_plus_tree"
"""Name to load a model with."""


def register_tree_attention() -> str:
    """Make the attention known to ``transformers``; returns :data:`TREE_ATTENTION`."""
    transformers = require("transformers", install="pip install transformers", purpose="Tuning a generator")
    masks = require("transformers.masking_utils", install="pip install transformers", purpose="Tuning a generator")
    transformers.AttentionInterface.register(TREE_ATTENTION, _tree_attention)
    # Who gives no mask gets the one that the library's own attention gets.
    transformers.AttentionMaskInterface.register(TREE_ATTENTION, masks.sdpa_mask)
    return TREE_ATTENTION


def _tree_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: tuple[tuple[int, int], ...] | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer.

    Args:
        module: the layer; tells how many query heads share a key head.
        query: shape (1, heads, length, width).
        key: shape (1, key heads, length, width).
        value: as ``key``.
        attention_mask: who sees whom, shape (1, 1, length, length).
        segments: start and end of the trunk, then of the runs of branches behind it.
        dropout: of the attention weights.
        scaling: of the products.
        others: for the library's own attention.

    Returns:
        What each token takes in, shape (1, length, heads, width), and no weights.
    """
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    if segments is None or attention_mask is None:
        found, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return found, None
    groups = int(getattr(module, "num_key_value_groups", 1))
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    trunk = segments[0][1]
    parts = []
    for start, end in segments:
        if start == end:
            continue

        def run(query: Tensor, key: Tensor, value: Tensor, start: int = start, end: int = end) -> Tensor:
            keys, values, mask = key[:, :, start:end], value[:, :, start:end], attention_mask[..., start:end, start:end]
            if start:
                keys = torch.cat([key[:, :, :trunk], keys], dim=2)
                values = torch.cat([value[:, :, :trunk], values], dim=2)
                mask = torch.cat([attention_mask[..., start:end, :trunk], mask], dim=-1)
            return _attend(query[:, :, start:end], keys, values, mask, scale=scale, dropout=dropout)

        # Weights of attention are the largest part of what a way back would keep, and cheap to compute again.
        if torch.is_grad_enabled():
            parts.append(checkpoint(run, query, key, value, use_reentrant=False, preserve_rng_state=dropout > 0))
        else:
            parts.append(run(query, key, value))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, scale: float, dropout: float) -> Tensor:
    if query.device.type != "cpu":
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scale
        )
    # On a processor the fused kernel's way back is half as fast as products of matrices, and short runs need no tiling.
    scores = ((query * scale) @ key.transpose(-1, -2)).masked_fill(~mask, float("-inf"))
    return torch.nn.functional.dropout(scores.softmax(-1), dropout) @ value
