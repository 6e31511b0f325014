"""Our losses are TRL's on the same token ids; with the extra ``trl``, which ``make test-trl`` installs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.experiments.benchmarks.tuning_form import own_loss, trl_loss
from inpars_plus.optimizers.generators.batches import DocumentPairs, part_of
from inpars_plus.optimizers.generators.losses import dpo_loss, rpo_loss, sft_loss
from inpars_plus.optimizers.generators.models import BaseModel
from inpars_plus.optimizers.generators.packing import completion_log_probabilities

pytest.importorskip("trl", reason="the extra trl is not installed")

BATCH = [
    DocumentPairs((40, 41, 42, 43), ((1, 2, 3, 0), (4, 5, 0)), ((0, 1),)),
    DocumentPairs((40, 41, 50), ((7, 8, 0), (9, 10, 11, 12, 0)), ((0, 1),)),
]


@pytest.mark.slow
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"beta": 0.4, "alpha": 0.5}, {"beta": 0.4, "cpo_alpha": 0.5}),
        ({"label_smoothing": 0.1}, {"label_smoothing": 0.1}),
        ({"variant": "hinge"}, {"loss_type": "hinge"}),
        ({"variant": "ipo"}, {"loss_type": "ipo"}),
        (
            {"variant": "simpo", "alpha": 0.0, "gamma": 0.7},
            {"loss_type": "simpo", "cpo_alpha": 0.0, "simpo_gamma": 0.7},
        ),
    ],
    ids=["sigmoid", "other weights", "smoothed", "hinge", "ipo", "simpo"],
)
@pytest.mark.filterwarnings("ignore::Warning")
def test_losses_are_those_of_trl(
    make_base: Callable[[], BaseModel], packed: bool, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    base = make_base()
    with torch.no_grad():
        mine = own_loss(base.model, packed=packed, **ours)(BATCH)
        other = trl_loss(base, base.model.requires_grad_(True), **theirs)(BATCH)
    assert float(mine) == pytest.approx(float(other), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"loss": "dpo", "beta": 0.1}, {"loss_type": ["sigmoid"], "beta": 0.1}),
        ({"loss": "dpo", "beta": 2.0}, {"loss_type": ["sigmoid"], "beta": 2.0}),
        (
            {"loss": "rpo", "beta": 0.5, "alpha": 0.7, "nll_reduction": "token"},
            {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7], "beta": 0.5},
        ),
        ({"loss": "sft"}, {"loss_type": ["sft"]}),
    ],
    ids=["dpo", "dpo, other beta", "rpo", "sft"],
)
@pytest.mark.filterwarnings("ignore::Warning")
def test_losses_with_a_reference_are_those_of_trl(
    make_base: Callable[[], BaseModel], packed: bool, ours: dict[str, Any], theirs: dict[str, Any], tmp_path: Path
) -> None:
    base, before = make_base(), make_base()
    with torch.no_grad():
        for value in base.model.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)) * 0.02)
        mine = _own(base.model, before.model, packed, **ours)
        other = _of_trl(base, before.model, tmp_path, **theirs)
        if ours["loss"] != "sft":  # or the reference would say nothing
            assert float(_own(base.model, base.model, packed, **ours)) != pytest.approx(float(mine), abs=1e-2)
    assert float(mine) == pytest.approx(float(other), abs=1e-4)


def _own(model: Any, before: Any, packed: bool, *, loss: str, **settings: Any) -> torch.Tensor:
    part = part_of(BATCH, packed=packed)
    now, then = (completion_log_probabilities(one, part.packed)[0] for one in (model, before))
    if loss == "sft":
        return sft_loss(now[part.chosen], part.tokens[part.chosen])
    referenced = (now[part.chosen], now[part.rejected], then[part.chosen], then[part.rejected])
    return (
        dpo_loss(*referenced, **settings)
        if loss == "dpo"
        else rpo_loss(*referenced, part.tokens[part.chosen], **settings)
    )


def _of_trl(base: BaseModel, before: Any, folder: Path, **settings: Any) -> torch.Tensor:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=base.model.requires_grad_(True),
        ref_model=before,
        args=DPOConfig(
            output_dir=str(folder), use_cpu=True, report_to=[], bf16=False, gradient_checkpointing=False, **settings
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": " b", "rejected": " c"}]),
        processing_class=base.tokenizer,
    )
    rows = [
        {
            "prompt_ids": list(one.prompt),
            "chosen_ids": list(one.completions[better]),
            "rejected_ids": list(one.completions[worse]),
        }
        for one in BATCH
        for better, worse in one.pairs
    ]
    found: torch.Tensor = trainer.compute_loss(base.model, trainer.data_collator(rows))
    return found
