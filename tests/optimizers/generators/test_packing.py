"""The packed form against the plain one: the same losses and gradients, fewer tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.generators.models import BaseModel, LoraSettings, add_lora, trainable
from inpars_plus.optimizers.generators.packing import completion_log_probabilities, pack, pack_plain

SEQUENCES = [
    ([1, 2, 3, 4], [5, 6, 7]),
    ([1, 2, 3, 4], [5, 6, 8]),
    ([1, 2, 3, 4], [9]),
    ([1, 2, 30, 31, 32], [5, 6]),
    ([40], [41, 42]),
]


def test_packed_and_plain_give_the_same_log_probabilities(tiny_base: BaseModel) -> None:
    model = tiny_base.model
    packed, packed_tokens = completion_log_probabilities(model, pack(SEQUENCES))
    plain, plain_tokens = completion_log_probabilities(model, pack_plain(SEQUENCES))
    assert torch.allclose(packed, plain, atol=1e-5)
    assert torch.allclose(packed_tokens, plain_tokens, atol=1e-5)


def test_both_agree_with_the_model_asked_for_one_sequence_at_a_time(tiny_base: BaseModel) -> None:
    model = tiny_base.model
    for (prompt, completion), value in zip(
        SEQUENCES, completion_log_probabilities(model, pack(SEQUENCES))[0].tolist(), strict=True
    ):
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0].log_softmax(-1)
        expected = sum(float(logits[len(prompt) - 1 + at, token]) for at, token in enumerate(completion))
        assert value == pytest.approx(expected, abs=1e-4)


def test_gradients_of_adapters_are_the_same(tiny_base: BaseModel) -> None:
    model = add_lora(tiny_base, LoraSettings(rank=4), seed=0)
    with torch.no_grad():  # fresh adapters have no gradient on one side
        for value in trainable(model).values():
            value.normal_(std=0.1)
    gradients = []
    for form in (pack, pack_plain):
        model.zero_grad()
        completion_log_probabilities(model, form(SEQUENCES))[0].sum().backward()
        gradients.append([value.grad.clone() for value in trainable(model).values() if value.grad is not None])
    assert len(gradients[0]) > 10
    for packed, plain in zip(*gradients, strict=True):
        assert torch.allclose(packed, plain, atol=1e-4)


def test_shared_beginnings_are_read_once() -> None:
    packed = pack(SEQUENCES, multiple=1)
    assert packed.nodes == 4 + 4 + 1 + 3 + 2 + 3
    assert packed.tokens.shape == (1, packed.nodes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 4), min_size=1, max_size=6), st.lists(st.integers(0, 4), min_size=1, max_size=4)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_token_sees_its_own_past_and_nothing_else(sequences: list[tuple[list[int], list[int]]]) -> None:
    packed = pack(sequences)
    tokens, mask = packed.tokens[0].tolist(), packed.mask[0, 0]
    for owner, (prompt, completion) in enumerate(sequences):
        mine = (packed.owners == owner).nonzero().flatten().tolist()
        assert packed.predicted[mine].tolist() == list(completion)
        last = int(packed.sources[packed.predicted_from[mine[-1]]])
        seen = sorted(mask[last].nonzero().flatten().tolist(), key=lambda node: int(packed.positions[0, node]))
        assert [tokens[node] for node in seen] == [*prompt, *completion][:-1]


def test_a_blank_completion_and_an_empty_batch_are_refused() -> None:
    with pytest.raises(InputError, match="sequence 2: a prompt or a completion has no tokens"):
        pack([([1], [2]), ([1], [])])
    with pytest.raises(InputError, match="nothing to pack"):
        pack([])
