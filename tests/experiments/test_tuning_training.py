"""One round of training, from pairs to a model to serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.experiments.tuning_training import train_round
from inpars_plus.lms.embedded import local_model
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
