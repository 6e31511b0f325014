"""What fine-tuning begins with, on tiny models of Transformers that are made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.rankers.bases import base_encoder, cross_encoder_to_train, load_pair_scorer
from inpars_plus.retrieval.encoders import load_encoder

pytestmark = pytest.mark.model

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


def tiny(at: Path, kind: str, *, tokenizer: bool = True, **changes: Any) -> Path:
    """A model of one layer; with the embedded encoder's tokenizer, or without any."""
    import transformers

    made = getattr(transformers, kind)
    config: Any = made.config_class(**{**_TINY, **changes})
    made(config).save_pretrained(at)
    if tokenizer:
        for name in _TOKENIZER:
            if (given := load_encoder().directory / name).is_file():
                shutil.copy(given, at)
    return at


def encode(at: Path) -> Any:
    return base_encoder(str(at)).check()


def train_pairs(at: Path) -> Any:
    return cross_encoder_to_train(str(at), max_tokens=16)


@pytest.mark.parametrize("use", [encode, train_pairs])
@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("GPT2LMHeadModel", {"n_embd": 8, "n_layer": 1, "n_head": 1}, "a GPT2LMHeadModel writes text"),
        ("BertModel", {"tokenizer": False}, "cannot be read as|tokenizer knows no word"),
        ("ViTModel", {"tokenizer": False}, "cannot be read as"),
    ],
)
def test_a_base_that_cannot_be_trained_is_told_before_anything_is_computed(
    tmp_path: Path, use: Any, kind: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        use(tiny(tmp_path / "base", kind, **changes))


@pytest.mark.parametrize("use", [encode, train_pairs])
def test_a_base_that_is_cut_off_is_told(tmp_path: Path, use: Any) -> None:
    at = tiny(tmp_path / "base", "BertModel", vocab_size=30522)
    use(at)
    weights = (at / "model.safetensors").read_bytes()
    (at / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ConfigurationError, match=r"cannot be read as .*Get it again"):
        use(at)


def test_a_cross_encoder_of_several_grades_is_told(tmp_path: Path) -> None:
    at = tiny(tmp_path / "base", "BertForSequenceClassification", vocab_size=30522, num_labels=3)
    with pytest.raises(ConfigurationError, match="gives a pair 3 grades"):
        train_pairs(at)
    with pytest.raises(ConfigurationError, match="one grade"):
        load_pair_scorer(str(at))


def test_an_encoder_without_its_tokenizer_s_files_is_told(tmp_path: Path) -> None:
    shutil.copytree(load_encoder().directory, tmp_path / "copy")
    for name in _TOKENIZER:
        (tmp_path / "copy" / name).unlink(missing_ok=True)
    with pytest.raises(ConfigurationError, match=r"cannot be read as|tokenizer knows no word"):
        load_encoder(str(tmp_path / "copy")).encode(["a bee"])


def test_half_of_a_character_is_read_as_a_question_mark(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = json.loads('"information \\ud83d science"')
    encoder = load_encoder()
    assert (encoder.encode([broken]) == encoder.encode(["information ? science"])).all()
    score = load_pair_scorer(
        str(tiny(tmp_path / "grader", "BertForSequenceClassification", vocab_size=30522, num_labels=1))
    )
    assert score([(broken, broken)]) == score([("information ? science", "information ? science")])
    assert "Loading weights" not in capfd.readouterr().err
