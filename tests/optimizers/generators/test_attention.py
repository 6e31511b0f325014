"""Attention a branch at a time is attention under the whole mask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inpars_plus.optimizers.generators.attention import TREE_ATTENTION, register_tree_attention
from inpars_plus.optimizers.generators.packing import pack, pack_plain


def attention() -> Any:
    from transformers import AttentionInterface

    register_tree_attention()
    return AttentionInterface()[TREE_ATTENTION]


TRUNK = list(range(10, 60))
DOCUMENTS = [([*TRUNK, *range(start, start + 90)], [1, 2, 3]) for start in (100, 300, 500)]
# The last goes on like the first, so branches have to be brought together.
SEQUENCES = [*DOCUMENTS, (DOCUMENTS[0][0], [4, 5])]


@pytest.mark.parametrize("sequences", [SEQUENCES, SEQUENCES[:1], [([7], [1]), ([8], [2])]], ids=["tree", "one", "none"])
def test_a_branch_at_a_time_gives_what_the_mask_gives(sequences: list[tuple[list[int], list[int]]]) -> None:
    packed = pack(sequences)
    length = packed.tokens.shape[1]
    torch.manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, length, 8, dtype=torch.float64, requires_grad=True) for heads in (4, 2, 2)
    )
    layer = SimpleNamespace(num_key_value_groups=2)
    found = []
    for segments in (packed.segments, None):
        out, _ = attention()(layer, query, key, value, packed.mask, segments=segments, scaling=0.3)
        gradients = torch.autograd.grad(out.pow(2).sum(), (query, key, value))
        found.append((out, *gradients))
    for mine, whole in zip(*found, strict=True):
        assert torch.allclose(mine, whole)


def test_runs_cover_the_sequence_and_are_blind_to_one_another() -> None:
    packed = pack(SEQUENCES)
    assert packed.segments is not None
    (first, trunk), *runs = packed.segments
    assert (first, trunk) == (0, len(TRUNK))
    assert [start for start, _ in runs] == [trunk, *(end for _, end in runs[:-1])]
    assert runs[-1][1] == packed.tokens.shape[1]
    assert len(runs) > 1
    mask = packed.mask[0, 0].clone()
    mask[:, :trunk] = False
    for start, end in runs:
        mask[start:end, start:end] = False
    assert not mask[trunk:].any()


def test_rows_have_no_branches() -> None:
    assert pack_plain(SEQUENCES).segments is None
