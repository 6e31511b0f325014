"""Which base models can be tuned."""

from __future__ import annotations

from typing import Any

import pytest
import torch

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


def test_a_model_without_the_layers_that_are_tuned_is_refused(tiny_base: BaseModel) -> None:
    tiny_base.model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigurationError, match="none of the layers that are tuned"):
        check_trainable(tiny_base)


def test_a_model_without_an_end_token_is_refused(tiny_base: BaseModel) -> None:
    tiny_base.tokenizer.eos_token = None
    with pytest.raises(ConfigurationError, match="no end token"):
        check_trainable(tiny_base)
