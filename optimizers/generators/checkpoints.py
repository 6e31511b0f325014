"""Checkpoints of training as safetensors and JSON: never pickle, always whole.

``checkpoint.safetensors`` holds the tuned weights, the two moments of AdamW for each, and the best weights so far; its
header holds the counters. It is one file and replaced in one move, so a kill leaves the one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import replacing

__all__ = ["CHECKPOINT_FILE", "Checkpoint", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """Where training is.

    Attributes:
        step: updates made.
        best_step: the update after which the validation reward was best; 0 before the first validation.
        best_reward: that reward.
        worse: validations since then.
        stopped: whether patience ran out.
        key: of the settings and data that it is of.
        best: the weights after ``best_step``.
    """

    step: int = 0
    best_step: int = 0
    best_reward: float | None = None
    worse: int = 0
    stopped: bool = False
    key: str = ""
    best: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def counters(self) -> dict[str, Any]:
        """What is not a tensor."""
        return {name: value for name, value in vars(self).items() if name != "best"}


def save_checkpoint(
    directory: Path, state: Checkpoint, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint.

    Raises:
        RunError: the disk is full or cannot be written; the checkpoint before is still there.
    """
    tensors = {f"weights/{name}": value for name, value in weights.items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    for name, value in weights.items():
        for part, moment in optimizer.state[value].items():
            tensors[f"{part}/{name}"] = torch.as_tensor(moment)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path = directory / CHECKPOINT_FILE
    try:
        with replacing(path) as temporary:
            save_file(plain, temporary, metadata={"counters": json.dumps(state.counters)})
    except (OSError, SafetensorError) as problem:
        raise RunError(
            f"the checkpoint cannot be written ({problem})",
            place=str(path),
            remedy="Make room on the disk and run the same command again; it goes on from the checkpoint before",
        ) from problem


def load_checkpoint(
    directory: Path, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, key: str = ""
) -> Checkpoint:
    """Put weights and moments back as they were, or return a checkpoint at step 0.

    A checkpoint with another key is passed over: with other settings or other data, training starts anew.

    Raises:
        RunError: the file is damaged, or of a model with other adapters.
    """
    path = directory / CHECKPOINT_FILE
    if not path.exists():
        return Checkpoint(key=key)
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            state = Checkpoint(**json.loads(file.metadata()["counters"]))
            if state.key != key:
                return Checkpoint(key=key)
            names = set(file.keys())
            for name, value in weights.items():
                value.copy_(file.get_tensor(f"weights/{name}"))
                optimizer.state[value] = {
                    part: file.get_tensor(f"{part}/{name}").to(value.device)
                    for part in ("step", "exp_avg", "exp_avg_sq")
                    if f"{part}/{name}" in names
                }
            state.best = {name: file.get_tensor(f"best/{name}") for name in weights if f"best/{name}" in names}
            return state
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as problem:
        raise RunError(
            f"the checkpoint cannot be used ({problem})",
            place=str(path),
            remedy="Delete it to train anew, or choose another directory",
        ) from problem
