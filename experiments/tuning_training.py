"""One round of training: from pairs to adapters and a model to serve, with validation by what the metric rewards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy
import torch

from inpars_plus.corpora import Document
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.foundation.progress import bar, say
from inpars_plus.lms.embedded import TUNED_FILE, TUNED_WEIGHTS, release_pipelines
from inpars_plus.metrics.query_metric import QueryMetric
from inpars_plus.optimizers.generators.export import (
    merge_adapters,
    round_weights,
    save_weights,
    why_not_gguf,
    why_not_served,
    write_gguf,
)
from inpars_plus.optimizers.generators.fitting import Judge, TrainingTask
from inpars_plus.optimizers.generators.pairs import PreferencePair
from inpars_plus.optimizers.generators.processes import fit, processes_for
from inpars_plus.optimizers.generators.trainer import TrainSettings

__all__ = ["train_round"]

_ON_POLICY_RATE = 0.5


def train_round(
    *,
    base_name: str,
    pairs: Sequence[PreferencePair],
    folder: Path,
    before: Path | None,
    kind: str,
    learning_rate: float,
    epochs: int,
    patience: int,
    seed: int,
    program: Any,
    lm: dspy.LM,
    metric: QueryMetric,
    validation: Sequence[Document],
    key: str,
) -> dict[str, Any]:
    """Train adapters on pairs, merge them and write the model.

    Args:
        base_name: of the model to tune.
        pairs: preference data.
        folder: of the round.
        before: file of the adapters of the round before, which training goes on from.
        kind: loss.
        learning_rate: of the first round; later ones take half.
        epochs: passes over the pairs.
        patience: validations without a better reward after which training ends; 0 for never.
        seed: of adapters and order.
        program: renders the prompts of the validation documents.
        lm: the model it was compiled for.
        metric: judges what is written for them.
        validation: documents; none validates by nothing and keeps the last weights.
        key: digest of all of this; what is left of a training with another is not gone on from.

    Returns:
        How many documents were trained on, the steps, and the best validation reward with its step.
    """
    settings = TrainSettings(
        loss="sft" if kind == "sft" else "cpo",
        learning_rate=learning_rate * (1.0 if before is None else _ON_POLICY_RATE),
        epochs=epochs,
        patience=patience,
        validate_every=None if validation else 0,
    )
    task = TrainingTask(
        base=base_name,
        pairs=tuple(pairs),
        before=before,
        settings=settings,
        seed=seed,
        directory=folder / "training",
        adapter=folder / "adapter",
        prompts=tuple(program.completion_prompt(document, lm) for document in validation),
        key=key,
    )
    base, model, trained = fit(task, _judge(metric, validation), processes=processes_for(settings))
    shutil.rmtree(folder / "generator", ignore_errors=True)  # another base may have left a file of another kind
    with bar("Writing the tuned model", None):
        merged = merge_adapters(model.to(torch.float32))
        reason, file = why_not_gguf(base), folder / "generator" / TUNED_FILE
        if reason is None:
            write_gguf(base, merged, file)
        if reason is None and not base.is_gguf:  # of a GGUF file the tokenizer is carried over as it stands
            reason = why_not_served(base, file)
            if reason is not None:
                file.unlink()
        if reason is None:
            round_weights(merged)  # one model in two forms
        save_weights(merged, base.tokenizer, folder / "generator" / TUNED_WEIGHTS)
    if reason is not None:
        say(f"Torch will serve the tuned model: {reason}")
    return {
        "documents": trained.documents,
        "steps": trained.steps,
        "best_step": trained.best_step,
        "best_reward": trained.best_reward,
        "stopped_early": trained.stopped_early,
    }


def _judge(metric: QueryMetric, documents: Sequence[Document]) -> Judge:
    def reward(texts: list[str]) -> float:
        judged = metric.judge([(document, text or None) for document, text in zip(documents, texts, strict=True)])
        release_pipelines()  # the scorer's; it is loaded again in seconds, and training needs the room
        give_back_memory()
        return round(sum(one.score for one in judged) / len(judged), 6)

    return reward
