"""A model small enough to train in a test: two layers, random weights, a byte for a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from inpars_plus.optimizers.generators.models import BaseModel
from inpars_plus.optimizers.generators.pairs import PreferencePair

MakePairs = Callable[[int], list[PreferencePair]]
MakeBase = Callable[[], BaseModel]


def _tiny_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")


def _tiny_model(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    settings = {
        "vocab_size": 288,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "attn_implementation": "sdpa",
        **changes,
    }
    return LlamaForCausalLM(LlamaConfig(**settings)).eval().requires_grad_(False)


@pytest.fixture
def make_base() -> MakeBase:
    """The same model anew at every call, for training changes it."""
    return lambda: BaseModel("tiny", Path("tiny"), digest="0" * 64, model=_tiny_model(), tokenizer=_tiny_tokenizer())


@pytest.fixture
def tiny_base(make_base: MakeBase) -> BaseModel:
    return make_base()


@pytest.fixture
def make_pairs() -> MakePairs:
    """Pairs with a rule that can be learned: a query in lower case is better than one in capitals."""

    def make(count: int) -> list[PreferencePair]:
        return [
            PreferencePair(
                prompt=f"Write a query.\n\nDocument: fact number {number}\nQuery:",
                chosen=f" what is fact {number}",
                rejected=f" WHAT IS FACT {number}",
                chosen_score=0.9,
                rejected_score=0.1,
                document_id=str(number),
            )
            for number in range(count)
        ]

    return make
