"""Our losses are TRL's on the same token ids; with the extra ``trl``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inpars_plus.experiments.benchmarks.tuning_form import own_loss, trl_loss
from inpars_plus.optimizers.generators.batches import DocumentPairs
from inpars_plus.optimizers.generators.models import BaseModel

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
