"""Models read from GGUF, kept in torch's form so that the next start is quick."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.kept_models import find_kept
from inpars_plus.lms.torch_models import load_causal_lm
from inpars_plus.optimizers.generators.export import save_weights, write_gguf
from inpars_plus.optimizers.generators.models import load_base

TEXT = "naïve café? 100 °C"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def gguf(tiny: Any, tmp_path: Path) -> Path:
    pytest.importorskip("gguf")
    parts = json.loads(tiny.tokenizer().backend_tokenizer.to_str())
    parts["added_tokens"] = []
    parts["model"]["vocab"] = {token: at for token, at in parts["model"]["vocab"].items() if at < 256} | {"ca": 256}
    parts["model"]["merges"] = [["c", "a"]]  # transformers reads no tokenizer without any
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(parts)), eos_token="<|end|>", pad_token="<|end|>"
    )
    save_weights(tiny.model(), tokenizer, tmp_path / "hf", dtype=torch.float32)
    base = load_base(str(tmp_path / "hf"))
    write_gguf(base, base.model, tmp_path / "model.gguf")
    return tmp_path / "model.gguf"


def _said(path: Path, dtype: torch.dtype = torch.float32) -> tuple[list[int], torch.Tensor]:
    model, tokenizer = load_causal_lm(path, dtype=dtype)
    tokens = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        return tokens, model(torch.tensor([tokens])).logits


def test_the_second_start_reads_the_same_model_without_the_file_being_taken_apart(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, logits = _said(gguf)
    (kept,) = cache.iterdir()
    monkeypatch.setattr("transformers.modeling_gguf_pytorch_utils.load_gguf_checkpoint", None)
    again, same = _said(gguf)
    assert again == tokens
    assert torch.equal(same, logits)
    assert {file.name for file in kept.iterdir()} >= {"model.safetensors", "tokenizer.json", "kept.json"}
    assert {file.suffix for file in kept.iterdir()} <= {".safetensors", ".json", ".jinja"}


def test_each_precision_is_kept_by_itself(gguf: Path, cache: Path) -> None:
    assert _said(gguf)[1].dtype == torch.float32
    assert _said(gguf, torch.bfloat16)[1].dtype == torch.bfloat16
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "kept.json"])
def test_a_damaged_one_is_made_again(gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    _, logits = _said(gguf)
    (kept,) = cache.iterdir()
    data = (kept / name).read_bytes()
    (kept / name).write_bytes(data[:-8])
    assert torch.equal(_said(gguf)[1], logits)
    assert "is damaged, so it is made again" in caplog.text
    assert (kept / name).read_bytes() == data


def test_where_nothing_can_be_kept_the_model_is_still_read(
    gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parent.write_text("a file")
    assert _said(gguf)[1].shape[-1] == 288
    assert "is not kept" in caplog.text


def test_a_cache_that_cannot_be_changed_is_read_all_the_same(
    gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    _said(gguf)
    (kept,) = cache.iterdir()
    monkeypatch.setattr("inpars_plus.lms.kept_models.os.utime", refuse)
    assert find_kept(kept) == kept
    assert not caplog.text


def test_a_model_that_another_process_kept_meanwhile_is_no_trouble(
    gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _said(gguf)
    monkeypatch.setattr("inpars_plus.lms.torch_models.find_kept", lambda _: None)
    _said(gguf)
    assert not caplog.text
    assert [one.name.startswith(".") for one in cache.iterdir()] == [False]


def test_what_was_not_used_for_a_month_and_what_is_too_large_is_not_kept(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cache / "old"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    _said(gguf)
    (kept,) = cache.iterdir()
    assert kept.name != "old"
    monkeypatch.setattr("inpars_plus.lms.kept_models._LARGEST", 1000)
    _said(gguf, torch.bfloat16)
    assert [*cache.iterdir()] == [kept]


def test_what_is_no_model_is_told_and_not_kept(tmp_path: Path, cache: Path) -> None:
    pytest.importorskip("gguf")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(ConfigurationError, match="the model cannot be read"):
        load_causal_lm(path, dtype=torch.float32)
    assert not cache.exists()
