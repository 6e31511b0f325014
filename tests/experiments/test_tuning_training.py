"""One round of training, from pairs to a model to serve, and its hand-over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inpars_plus.experiments.tune_generator import tune_generator
from inpars_plus.experiments.tuning_training import train_round
from inpars_plus.foundation import digest_file
from inpars_plus.lms.embedded import TUNED_CARD, local_model
from inpars_plus.optimizers.generators.export import save_weights
from inpars_plus.optimizers.generators.pairs import PreferencePair

pytestmark = pytest.mark.usefixtures("one_thread")

PAIRS = [
    PreferencePair(
        prompt=f"Document: fact {at}\nQuery:",
        chosen=f" what is fact {at}",
        rejected=" fact",
        chosen_score=0.9,
        rejected_score=0.1,
        document_id=str(at),
    )
    for at in range(4)
]


@pytest.fixture
def train(kinds: Any, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Trains a tiny model whose tokenizer cuts text by a pattern, for one round."""

    def one_round(cut: str) -> dict[str, Any]:
        save_weights(kinds.model("llama", True), kinds.tokenizer(cut), tmp_path / "base", dtype=torch.float32)
        return train_round(
            base_name=str(tmp_path / "base"),
            pairs=[*PAIRS, PAIRS[0].model_copy(update={"prompt": "Query:", "rejected": " fact" * 5000})],
            folder=tmp_path / "round",
            before=None,
            kind="cpo",
            learning_rate=1e-3,
            epochs=1,
            patience=0,
            seed=0,
            program=None,
            lm=None,
            metric=None,  # type: ignore[arg-type]  # nothing is validated
            validation=[],
            key="",
        )

    return one_round


@pytest.mark.slow
@pytest.mark.parametrize("own_cut", [False, True], ids=["Qwen's", "another"])
def test_torch_serves_what_the_engine_would_read_as_other_tokens(
    own_cut: bool, kinds: Any, train: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "inpars_plus"):
        told = train(r"\p{N}+|[^\p{N}]+" if own_cut else kinds.qwen)
    assert (told["documents"], told["steps"], told["best_reward"]) == (4, 1, None)
    served = local_model(str(tmp_path / "round" / "generator")).path
    assert served.name == ("hf" if own_cut else "model.gguf")
    assert ("Torch will serve the tuned model: as GGUF it would read text" in caplog.text) == own_cut


@pytest.mark.slow
def test_a_tuned_model_has_the_same_weights_in_both_its_forms(kinds: Any, train: Any, tmp_path: Path) -> None:
    train(kinds.qwen)
    assert unlike(tmp_path / "round" / "generator") == []


def unlike(generator: Path) -> list[str]:
    """The weights for torch that are not those of the GGUF file, but for rounding to bfloat16.

    Values are compared without their order, because the file has rows of some weights in another.
    """
    gguf: Any = pytest.importorskip("gguf")
    tensors = gguf.GGUFReader(generator / "model.gguf").tensors
    served = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in tensors}
    saved = load_file(generator / "hf" / "model.safetensors")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    found = {name: names.get_name(name, try_suffixes=(".weight",)) for name in saved}
    assert set(found.values()) == set(served)

    def ordered(values: torch.Tensor) -> torch.Tensor:
        return values.to(torch.bfloat16).flatten().sort().values

    return [name for name in saved if not torch.equal(ordered(saved[name]), ordered(torch.tensor(served[found[name]])))]


@pytest.mark.slow
def test_a_tuning_of_before_its_weights_for_torch_were_rounded_writes_them_anew_and_trains_nothing(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    checkpoint = run / "rounds" / "1" / "training" / "checkpoint.safetensors"
    settings = small.tune_settings(corpus, compiled, run, tiny_directory, rounds=1)
    with monkeypatch.context() as patch:
        patch.setattr("inpars_plus.experiments.tuning_training.round_weights", lambda model: None)
        patch.setattr("inpars_plus.optimizers.generators.export.EXPORT_FORM", "as trained")
        first = tune_generator(settings, **small.World(replies=small.write_candidate).parts)
    assert unlike(run / "generator") != []
    trained = checkpoint.stat().st_mtime_ns
    world = small.World(replies=small.write_candidate)
    second = tune_generator(settings, **world.parts)
    assert unlike(run / "generator") == unlike(run / "rounds" / "1" / "generator") == []
    assert (checkpoint.stat().st_mtime_ns, world.calls) == (trained, 0)
    assert first is not None
    assert second is not None
    assert (second.results, second.hashes) == (first.results, first.hashes)


@pytest.mark.slow
def test_a_tuning_killed_while_it_hands_over_leaves_the_generator_of_before(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tune(**values: float) -> None:
        settings = small.tune_settings(corpus, compiled, tmp_path / "run", tiny_directory, rounds=1, **values)
        tune_generator(settings, **small.World(replies=small.write_candidate).parts)

    def files() -> dict[Path, str]:
        folder = tmp_path / "run" / "generator"
        return {path.relative_to(folder): digest_file(path) for path in folder.rglob("*") if path.is_file()}

    def killed(_: Any, copy: Any, *__: Any) -> None:
        assert ".generator.half" in copy.name
        raise KeyboardInterrupt

    tune()
    before = files()
    assert Path(TUNED_CARD) in before
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(learning_rate=5e-3)
    assert files() == before
    tune(learning_rate=5e-3)
    assert files().keys() == before.keys()
    assert files() != before
