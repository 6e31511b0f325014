"""What can be written as GGUF and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from inpars_plus.foundation.errors import ConfigurationError, RunError
from inpars_plus.lms.embedded import release_pipelines
from inpars_plus.lms.scoring import EmbeddedScorer
from inpars_plus.optimizers.generators.export import (
    merge_adapters,
    round_weights,
    save_weights,
    why_not_gguf,
    why_not_served,
    write_gguf,
)
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
    mine = base.model.model.layers[0].mlp.down_proj.weight.detach().clone().numpy()
    assert abs(down - mine).max() < abs(mine).max() / 100
    round_weights(base.model)
    rounded = base.model.model.layers[0].mlp.down_proj.weight.detach().numpy()
    assert (rounded == down).all()
    assert (rounded != mine).any()


def test_rounding_rounds_once_and_leaves_what_the_file_holds_in_single_precision(tiny_base: BaseModel) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_base.model.state_dict().items()}
    round_weights(tiny_base.model)
    once = {name: tensor.clone() for name, tensor in tiny_base.model.state_dict().items()}
    round_weights(tiny_base.model)
    twice = tiny_base.model.state_dict()
    assert all(torch.equal(once[name], twice[name]) for name in before)
    changed = {name for name in before if not torch.equal(before[name], once[name])}
    assert changed
    assert all(before[name].ndim == 2 for name in changed)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_the_engine_reads_and_computes_a_qwen_model_as_torch_does(
    kind: str, tied: bool, kinds: Any, tmp_path: Path
) -> None:
    save_weights(kinds.model(kind, tied), kinds.tokenizer(kinds.qwen), tmp_path / "hf", dtype=torch.float32)
    base = load_base(str(tmp_path / "hf"))
    path = tmp_path / "model.gguf"
    write_gguf(base, base.model, path)
    assert why_not_served(base, path) is None
    prompt, completion = "Document: Pump 12 stops with error 7.\nQuery:", " why does the pump 12 stop with error 7?"
    (served,) = EmbeddedScorer(path, kind).score([(prompt, completion)])
    release_pipelines()
    first, more = base.encode(prompt), base.encode(completion)
    with torch.no_grad():
        likely = base.model(torch.tensor([[*first, *more]])).logits[0, len(first) - 1 : -1].log_softmax(-1)
    mine = [float(likely[at, token]) for at, token in enumerate(more)]
    assert served.tokens == len(mine) > 8
    apart = [abs(a - b) for a, b in zip(mine, served.log_probabilities, strict=True)]
    assert sum(apart) / len(apart) <= 0.05
    assert max(mine) - min(mine) > 1  # so that other weights would be seen


@pytest.mark.slow
def test_a_file_whose_tokenizer_would_cut_otherwise_is_not_served(kinds: Any, tmp_path: Path) -> None:
    save_weights(kinds.model("llama", True), kinds.tokenizer(r"\p{N}+|[^\p{N}]+"), tmp_path / "hf", dtype=torch.float32)
    base = load_base(str(tmp_path / "hf"))
    assert why_not_gguf(base) is None
    write_gguf(base, base.model, tmp_path / "model.gguf")
    assert "read text as other tokens" in str(why_not_served(base, tmp_path / "model.gguf"))


@pytest.mark.slow
def test_a_file_that_the_engine_cannot_load_is_not_served(tiny_base: BaseModel, tmp_path: Path) -> None:
    parts = json.loads(tiny_base.tokenizer.backend_tokenizer.to_str())
    parts["model"]["merges"] = []
    tiny_base.tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(parts)))
    write_gguf(tiny_base, tiny_base.model, tmp_path / "model.gguf")
    assert "the file cannot be loaded as a GGUF model" in str(why_not_served(tiny_base, tmp_path / "model.gguf"))


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
