"""Fine-tuning with sentence-transformers' trainers, a few steps of the real encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inpars_plus.foundation.errors import ConfigurationError, InputError, MissingPartError
from inpars_plus.optimizers.rankers.fine_tuning import FineTuning, tune_bi_encoder, tune_cross_encoder
from inpars_plus.retrieval.encoders import load_encoder

pytestmark = [pytest.mark.model, pytest.mark.slow]

TEXTS = ("bees dance to tell where food is", "yeast makes bread rise", "a star burns hydrogen")
ROWS = [
    {"anchor": word, "positive": TEXTS[at], "negative": TEXTS[(at + shift) % 3], "label": 0.5}
    for at, word in enumerate(("glimp frosk", "tarn velk", "zorp hask"))
    for shift in (1, 2)
]
QUICK = FineTuning(steps=12, batch=6, learning_rate=3e-4, max_tokens=32)


@pytest.mark.parametrize("loss", ["ranking", "margin-mse"])
def test_a_bi_encoder_learns_and_others_load_it(tmp_path: Path, loss: str, capfd: pytest.CaptureFixture[str]) -> None:
    tune_bi_encoder(None, ROWS, tmp_path / "tuned", loss=loss, settings=QUICK)  # type: ignore[arg-type]
    printed = capfd.readouterr()
    assert printed.out == ""  # what a job prints is its result
    assert "widget" not in printed.err  # the only bar is ours
    encoder = load_encoder(str(tmp_path / "tuned"))
    queries, texts = encoder.encode([row["anchor"] for row in ROWS[::2]], short=True), encoder.encode(list(TEXTS))
    margins = np.diag(queries @ texts.T) - (queries @ texts.T).mean(axis=1)
    assert margins.min() > 0.05
    assert not [path for path in (tmp_path / "tuned").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert "source_sentence: glimp frosk" in card
    assert f"    '{TEXTS[1]}',\n" in card  # in the code that shows how the model is used


def test_the_answer_to_a_query_is_not_a_negative_for_another_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    batches: list[list[str]] = []
    forward = MultipleNegativesRankingLoss.forward

    def recorded(self: Any, features: Any, labels: Any) -> Any:
        texts = [text for one in features for text in self.model.tokenizer.batch_decode(one["input_ids"])]
        batches.append([text.replace("[PAD]", "").strip() for text in texts])
        return forward(self, features, labels)

    monkeypatch.setattr(MultipleNegativesRankingLoss, "forward", recorded)
    rows = [
        {"anchor": f"query {query}", "positive": f"answer {query}", "negative": f"negative {query} {number}"}
        for query in range(6)
        for number in range(4)
    ]
    tune_bi_encoder(None, rows, tmp_path / "tuned", settings=FineTuning(steps=8, batch=4, max_tokens=16))
    assert len(batches) == 8
    assert [batch for batch in batches if len(set(batch)) < len(batch)] == []
    assert max(map(len, batches)) == 4 * 3


@pytest.mark.parametrize("loss", ["pairs", "lists"])
def test_a_cross_encoder_is_written_that_others_load(tmp_path: Path, loss: str) -> None:
    tune_cross_encoder(None, ROWS, tmp_path / "tuned", loss=loss, settings=QUICK)  # type: ignore[arg-type]

    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(tmp_path / "tuned"), device="cpu", local_files_only=True)
    scores = model.predict([(row["anchor"], row["positive"]) for row in ROWS])
    assert np.isfinite(scores).all()
    with pytest.raises(ConfigurationError, match="here is a CrossEncoder"):
        tune_bi_encoder(str(tmp_path / "tuned"), ROWS, tmp_path / "encoder")


def test_a_base_of_transformers_is_found_by_name_and_gets_mean_pooling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the hub's cache has them: the model alone, without the files of sentence-transformers.
    for path in load_encoder().directory.iterdir():
        if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json"):
            shutil.copy(path, tmp_path)
    asked: list[tuple[str, bool]] = []

    def cached(name: str, *, local_files_only: bool, **_: Any) -> str:
        asked.append((name, local_files_only))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", cached)
    tune_bi_encoder("some/base", ROWS, tmp_path / "tuned", settings=QUICK)
    assert set(asked) == {("some/base", True)}
    vectors = load_encoder(str(tmp_path / "tuned")).encode(["a bee"])
    assert vectors.shape == (1, 384)
    tune_cross_encoder("some/base", ROWS, tmp_path / "pairs", settings=FineTuning(steps=1, batch=2))
    assert (tmp_path / "pairs" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("architecture", "told", "alike"),
    [("LlamaForCausalLM", "a LlamaForCausalLM writes text", True), ("BertForSequenceClassification", "grades", False)],
)
def test_a_base_of_another_kind_is_told(tmp_path: Path, architecture: str, told: str, alike: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=told):
        tune_bi_encoder(str(tmp_path), ROWS, tmp_path / "x")
    if alike:
        with pytest.raises(ConfigurationError, match=told):
            tune_cross_encoder(str(tmp_path), ROWS, tmp_path / "x")


def test_no_rows_a_missing_column_and_what_is_no_model_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to train on"):
        tune_bi_encoder(None, [], tmp_path / "x")
    with pytest.raises(InputError, match="no column 'negative'"):
        tune_bi_encoder(None, [{"anchor": "a", "positive": "b"}], tmp_path / "x")
    with pytest.raises(ConfigurationError, match="no model with safetensors"):
        tune_cross_encoder(str(tmp_path), ROWS, tmp_path / "x")
    with pytest.raises(MissingPartError, match=r"'nobody/has-it'.*hf download"):
        tune_cross_encoder("nobody/has-it", ROWS, tmp_path / "x")


def test_rows_with_half_of_a_character_are_trained_on(tmp_path: Path) -> None:
    rows = [{**row, "anchor": f"{row['anchor']} \ud83d"} for row in ROWS]
    once = FineTuning(steps=1, batch=2, max_tokens=16)
    tune_bi_encoder(None, rows, tmp_path / "encoder", settings=once)
    tune_cross_encoder(None, rows, tmp_path / "pairs", loss="lists", settings=once)
    assert (tmp_path / "pairs" / "model.safetensors").is_file()
