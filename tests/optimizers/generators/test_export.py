"""What can be written as GGUF and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.foundation.errors import ConfigurationError, RunError
from inpars_plus.optimizers.generators.export import merge_adapters, save_weights, why_not_gguf, write_gguf
from inpars_plus.optimizers.generators.models import BaseModel, LoraSettings, add_lora, load_base, trainable


def test_adapters_are_added_to_the_weights(tiny_base: BaseModel) -> None:
    tokens = torch.tensor([[1, 2, 3]])
    model = add_lora(tiny_base, LoraSettings(rank=4), seed=0)
    with torch.no_grad():
        for value in trainable(model).values():
            value.normal_(std=0.05)
        expected = model(tokens).logits
        merged = merge_adapters(model)
        assert not any("lora" in name for name, _ in merged.named_parameters())
        assert torch.allclose(merged(tokens).logits, expected, atol=1e-4)


@pytest.mark.slow
def test_a_directory_in_hugging_faces_form_becomes_a_gguf_file_with_the_same_weights(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    gguf: Any = pytest.importorskip("gguf")
    save_weights(tiny_base.model, tiny_base.tokenizer, tmp_path / "hf", dtype=torch.float32)
    base = load_base(str(tmp_path / "hf"))
    write_gguf(base, base.model, tmp_path / "model.gguf")
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "llama"
    assert fields["llama.block_count"] == 2
    assert fields["tokenizer.ggml.eos_token_id"] == base.end
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    down = gguf.quants.dequantize(tensors["blk.0.ffn_down.weight"].data, tensors["blk.0.ffn_down.weight"].tensor_type)
    mine = base.model.model.layers[0].mlp.down_proj.weight.detach().numpy()
    assert abs(down - mine).max() < abs(mine).max() / 100


def test_an_architecture_without_a_name_in_gguf_is_told(tiny_base: BaseModel, tmp_path: Path) -> None:
    assert why_not_gguf(tiny_base) is None
    tiny_base.model.config.model_type = "mamba"
    assert "models of type 'mamba' are not written as GGUF" in str(why_not_gguf(tiny_base))
    with pytest.raises(ConfigurationError, match="mamba"):
        write_gguf(tiny_base, tiny_base.model, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()


def test_scaled_positions_are_told(tiny_base: BaseModel) -> None:
    tiny_base.model.config.rope_parameters = {"rope_type": "llama3", "rope_theta": 1e4}
    assert "scales its positions ('llama3')" in str(why_not_gguf(tiny_base))


def test_a_tokenizer_of_another_kind_is_told(tiny_base: BaseModel) -> None:
    tiny_base.tokenizer = object()
    assert "tokenizer is none that is written as GGUF" in str(why_not_gguf(tiny_base))


def test_a_folder_that_cannot_be_written_is_told(tiny_base: BaseModel, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RunError, match="the tuned generator cannot be written"):
        save_weights(tiny_base.model, tiny_base.tokenizer, tmp_path / "taken" / "hf")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_disk_that_is_full_for_the_tokenizer_is_told(tiny_base: BaseModel, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"the tuned generator cannot be written \(No space left on device"):
        save_weights(tiny_base.model, tiny_base.tokenizer, tmp_path)
