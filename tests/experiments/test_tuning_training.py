"""One round of training, from pairs to a model to serve, and its hand-over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

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


@pytest.mark.slow
@pytest.mark.parametrize("own_cut", [False, True], ids=["Qwen's", "another"])
def test_torch_serves_what_the_engine_would_read_as_other_tokens(
    own_cut: bool, kinds: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = kinds.tokenizer(r"\p{N}+|[^\p{N}]+" if own_cut else kinds.qwen)
    save_weights(kinds.model("llama", True), tokenizer, tmp_path / "base", dtype=torch.float32)
    with caplog.at_level("INFO", "inpars_plus"):
        told = train_round(
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
    assert (told["documents"], told["steps"], told["best_reward"]) == (4, 1, None)
    served = local_model(str(tmp_path / "round" / "generator")).path
    assert served.name == ("hf" if own_cut else "model.gguf")
    assert ("Torch will serve the tuned model: as GGUF it would read text" in caplog.text) == own_cut


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
