"""A training as data, and what one process does of it: load, adapt, train, write the adapters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.foundation.parts import require
from inpars_plus.lms.torch_models import pick_precision
from inpars_plus.optimizers.generators.batches import group_pairs, part_of
from inpars_plus.optimizers.generators.export import save_adapters
from inpars_plus.optimizers.generators.models import BaseModel as TorchBase
from inpars_plus.optimizers.generators.models import LoraSettings, add_lora, load_base
from inpars_plus.optimizers.generators.pairs import PreferencePair
from inpars_plus.optimizers.generators.trainer import Trained, Trainer, TrainSettings
from inpars_plus.optimizers.generators.writing import greedy_completions

__all__ = ["ADAPTER_FILE", "Judge", "TrainingTask", "adapted_model", "fit_here"]

ADAPTER_FILE = "adapter_model.safetensors"
"""What ``peft`` calls the weights of adapters."""

Judge = Callable[[list[str]], float]
"""The mean reward of what was written for the validation documents, a text each; more is better."""

_PROBE_DOCUMENTS = 4
_LONGEST_WAIT = timedelta(days=1)  # the others wait for the first process while it validates


class TrainingTask(BaseModel):
    """All that a training depends on, but for the judge; as JSON it travels between processes.

    Attributes:
        base: name of the model to tune.
        pairs: preference data.
        before: file of the adapters that training goes on from.
        settings: how.
        lora: fresh adapters, where there are none before.
        seed: of adapters and order.
        directory: of checkpoints and log.
        adapter: directory that the adapters are written to.
        prompts: of the validation documents; none keeps the last weights.
        key: digest of all of this; what is left of a training with another is not gone on from.
    """

    model_config = ConfigDict(frozen=True)

    base: str
    pairs: tuple[PreferencePair, ...]
    before: Path | None = None
    settings: TrainSettings
    lora: LoraSettings = LoraSettings()
    seed: int = 0
    directory: Path
    adapter: Path
    prompts: tuple[str, ...] = ()
    key: str = ""


def fit_here(task: TrainingTask, judge: Judge) -> tuple[TorchBase, Any, Trained]:
    """Train in this process; started as one of several, with them.

    Args:
        task: what.
        judge: asked at validations, by the first process.

    Returns:
        The base model, the same with trained adapters, and what training came to.

    Raises:
        ConfigurationError: there is no such model.
        InputError: a pair is too long.
        RunError: the loss is not a number, or something cannot be written or read.
    """
    base, model = adapted_model(task, task.before)
    documents = group_pairs(task.pairs, base, max_tokens=task.settings.max_tokens)

    def validate(model: Any) -> float:
        give_back_memory()  # what the steps before left free
        texts = greedy_completions(model, base, task.prompts)
        give_back_memory()
        return judge(texts)

    trainer = Trainer(
        model,
        task.settings,
        directory=task.directory,
        seed=task.seed,
        validate=validate if task.prompts else None,
        probe=part_of(documents[:_PROBE_DOCUMENTS]),
        key=task.key,
    )
    trained = trainer.train(documents)
    give_back_memory()
    if _process().is_main_process:
        save_adapters(model, task.adapter)
    return base, model, trained


def adapted_model(task: TrainingTask, adapters: Path | None) -> tuple[TorchBase, Any]:
    """The base model, and the same with adapters: those of a file, or fresh ones."""
    device = _process().device
    base = load_base(task.base, dtype=pick_precision(device), device=device)
    model = add_lora(base, task.lora, seed=task.seed)
    if adapters is not None:
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        set_peft_model_state_dict(model, load_file(adapters))
    return base, model


def _process() -> Any:
    """What ``accelerate`` knows of this process: its device, and which of several it is."""
    accelerate = require("accelerate", install="pip install accelerate", purpose="Tuning a generator")
    return accelerate.PartialState(cpu=not torch.cuda.is_available(), timeout=_LONGEST_WAIT)
