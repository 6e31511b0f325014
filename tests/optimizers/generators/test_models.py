"""Which base models can be tuned."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend, Replace, Sequence
from transformers import PreTrainedTokenizerFast

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.generators.models import BaseModel, check_trainable


def test_a_model_whose_head_gives_its_probabilities_can_be_tuned(tiny_base: BaseModel) -> None:
    check_trainable(tiny_base)


def test_a_model_that_scales_what_its_head_gives_is_refused(tiny_base: BaseModel) -> None:
    forward = tiny_base.model.forward

    def scaled(*inputs: Any, **named: Any) -> Any:
        found = forward(*inputs, **named)
        found.logits = found.logits * 40.0
        return found

    tiny_base.model.forward = scaled
    with pytest.raises(ConfigurationError, match="of type 'llama' cannot be tuned here"):
        check_trainable(tiny_base)


def test_a_model_that_sees_less_than_a_prompt_is_refused(tiny_base: BaseModel) -> None:
    tiny_base.model.config.sliding_window = 512
    tiny_base.model.config.layer_types = ["full_attention", "full_attention"]
    check_trainable(tiny_base)
    tiny_base.model.config.layer_types = ["sliding_attention", "full_attention"]
    with pytest.raises(ConfigurationError, match="sees only the last 512 tokens"):
        check_trainable(tiny_base)


@pytest.mark.parametrize("by", ["tensor", "setting", None])
def test_a_gguf_file_whose_scaled_positions_torch_would_not_read_is_refused(
    by: str | None, tiny_base: BaseModel, tmp_path: Path
) -> None:
    gguf: Any = pytest.importorskip("gguf")
    tiny_base.path = tmp_path / "scaled.gguf"
    writer = gguf.GGUFWriter(tiny_base.path, "llama")
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN if by == "setting" else gguf.RopeScalingType.NONE)
    writer.add_tensor("rope_freqs.weight" if by == "tensor" else "output_norm.weight", np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if by is None:
        check_trainable(tiny_base)
        return
    named = {"tensor": "rope_freqs.weight", "setting": "llama.rope.scaling.type"}[by]
    with pytest.raises(ConfigurationError, match=rf"scales its positions \('{named}'\).*in Hugging Face's form"):
        check_trainable(tiny_base)


def test_a_tokenizer_that_reads_an_answer_otherwise_behind_its_prompt_is_refused(tiny_base: BaseModel) -> None:
    alphabet = sorted({*string.ascii_letters, *string.punctuation, "\n", "▁"})
    marked = Tokenizer(BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    marked.normalizer = Sequence([Prepend("▁"), Replace(" ", "▁")])  # as that of Llama 2
    tiny_base.tokenizer = PreTrainedTokenizerFast(tokenizer_object=marked, eos_token="<|end|>")
    with pytest.raises(ConfigurationError, match="cuts a prompt with its answer into other tokens"):
        check_trainable(tiny_base)
    marked.normalizer = Replace(" ", "▁")
    tiny_base.tokenizer = PreTrainedTokenizerFast(tokenizer_object=marked, eos_token="<|end|>")
    check_trainable(tiny_base)


def test_a_model_without_the_layers_that_are_tuned_is_refused(tiny_base: BaseModel) -> None:
    tiny_base.model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigurationError, match="none of the layers that are tuned"):
        check_trainable(tiny_base)


def test_a_model_without_an_end_token_is_refused(tiny_base: BaseModel) -> None:
    tiny_base.tokenizer.eos_token = None
    with pytest.raises(ConfigurationError, match="no end token"):
        check_trainable(tiny_base)
