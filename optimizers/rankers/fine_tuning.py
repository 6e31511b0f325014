"""Fine-tuning whole encoders and cross-encoders, with the trainers of sentence-transformers.

* A bi-encoder by MultipleNegativesRanking over triplets (Henderson et al. 2017), or by MarginMSE against a teacher's
  scores (GPL; Wang et al. 2022): ``mean((q.p - q.n) - (teacher(q, p) - teacher(q, n)))^2``.
* A cross-encoder by binary cross-entropy of single pairs, or by ListNet (Cao et al. 2007) over the answer and its
  negatives.

Documents get other vectors, so a corpus has to be encoded again; :mod:`~inpars_plus.optimizers.rankers.query_side` does
without. A cross-encoder begins well only from one that was trained on judgments, which is to be named as its base;
begun from MiniLM's encoder with a new head, it learns next to nothing from a few thousand pairs.

Where the hardware multiplies in bfloat16, forward and backward passes compute in it; weights stay in single precision.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inpars_plus.foundation.errors import InputError
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.precision import Precision, fast_precision
from inpars_plus.foundation.progress import bar
from inpars_plus.foundation.texts import made_whole
from inpars_plus.optimizers.rankers.bases import base_encoder, cross_encoder_to_train
from inpars_plus.optimizers.rankers.saving import save_model
from inpars_plus.retrieval.threads import wait_without_spinning

__all__ = ["FineTuning", "training_precision", "tune_bi_encoder", "tune_cross_encoder"]

_Row = Mapping[str, Any]

_INSTALL = "pip install 'sentence-transformers[train]'"
_TRIPLET = ("anchor", "positive", "negative")


@dataclass(frozen=True)
class FineTuning:
    """How a model is fine-tuned.

    Attributes:
        steps: of the optimizer.
        batch: rows a step.
        learning_rate: the highest; it rises for a tenth of the steps and falls to 0.
        max_tokens: of a text; the rest is cut.
    """

    steps: int = 200
    batch: int = 16
    learning_rate: float = 2e-5
    max_tokens: int = 256


def tune_bi_encoder(
    base: str | None,
    rows: Sequence[_Row],
    out: Path,
    *,
    loss: Literal["ranking", "margin-mse"] = "ranking",
    settings: FineTuning | None = None,
    seed: int = 0,
) -> None:
    """Fine-tune an encoder, and write it as a sentence-transformers model with a card.

    MultipleNegativesRanking takes the answers of the other rows of a batch for negatives, and a query has a row for
    each of its negatives; so no text is twice in a batch, as the loss asks for.

    Args:
        base: the encoder to begin with, as :func:`~inpars_plus.optimizers.rankers.bases.base_encoder` takes it;
            ``None`` is the embedded MiniLM.
        rows: triplets with the columns ``anchor``, ``positive`` and ``negative``; for ``margin-mse`` also ``label``,
            the teacher's score of the positive less that of the negative.
        out: directory; replaced. ``SentenceTransformer(out)`` loads it.
        loss: MultipleNegativesRanking, or MarginMSE.
        settings: how.
        seed: of the order of the rows and of dropout.

    Raises:
        InputError: there are no rows, or a column is missing.
        ConfigurationError: the base is no encoder, or cannot be read.
        MissingPartError: a package for training is not installed, or the base is not on this machine.
    """
    columns = (*_TRIPLET, "label") if loss == "margin-mse" else _TRIPLET
    dataset = _dataset(rows, columns)
    package = _package()
    model = base_encoder(base).model_to_train()
    settings = settings or FineTuning()
    model.max_seq_length = min(settings.max_tokens, model.max_seq_length or settings.max_tokens)
    _give_examples(model.model_card_data, rows)
    losses = package.sentence_transformer.losses
    function = losses.MarginMSELoss(model) if loss == "margin-mse" else losses.MultipleNegativesRankingLoss(model)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = package.SentenceTransformerTrainingArguments(
            **_arguments(scratch, settings, seed),
            batch_sampler="no_duplicates" if loss == "ranking" else "batch_sampler",
        )
        trainer = package.SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=dataset, loss=function, callbacks=[]
        )
        _run(trainer, settings.steps)
    save_model(model, out)


def tune_cross_encoder(
    base: str | None,
    rows: Sequence[_Row],
    out: Path,
    *,
    loss: Literal["pairs", "lists"] = "pairs",
    settings: FineTuning | None = None,
    seed: int = 0,
) -> None:
    """Fine-tune a cross-encoder, and write it so that ``CrossEncoder(out)`` loads it.

    Args:
        base: the cross-encoder to begin with, or an encoder, which gets a new head, as
            :func:`~inpars_plus.optimizers.rankers.bases.cross_encoder_base` takes it; ``None`` is the embedded MiniLM.
        rows: triplets with the columns ``anchor``, ``positive`` and ``negative``; negatives of one anchor and positive
            make a list for ``lists``.
        out: directory; replaced.
        loss: binary cross-entropy of pairs, or ListNet.
        settings: how.
        seed: of the order of the rows, of dropout and of a new head.

    Raises:
        InputError: there are no rows, or a column is missing.
        ConfigurationError: the base writes text, has no safetensors weights or cannot be read.
        MissingPartError: a package for training is not installed, or the base is not on this machine.
    """
    _dataset(rows, _TRIPLET)
    package, settings = _package(), settings or FineTuning()
    import torch

    torch.manual_seed(seed)
    model = cross_encoder_to_train(base, max_tokens=settings.max_tokens)
    losses = package.cross_encoder.losses
    grouped = _pairs(rows) if loss == "pairs" else _lists(rows)
    function = losses.BinaryCrossEntropyLoss(model) if loss == "pairs" else losses.ListNetLoss(model)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = package.CrossEncoderTrainingArguments(**_arguments(scratch, settings, seed))
        trainer = package.CrossEncoderTrainer(
            model=model, args=arguments, train_dataset=_dataset(grouped, tuple(grouped[0])), loss=function
        )
        _run(trainer, settings.steps)
    save_model(model, out)


def _give_examples(card: Any, rows: Sequence[_Row]) -> None:
    """Short ones of three queries, for the model card; the trainer would show a bar of its own while it draws some."""
    rows_by_query = {row["anchor"]: [row[name] for name in _TRIPLET] for row in reversed(rows)}
    examples = sorted(rows_by_query.values(), key=lambda texts: sum(map(len, texts)))[:3]
    card.widget = [{"source_sentence": query, "sentences": texts} for query, *texts in examples]
    card.usage_examples = examples[0]


def _run(trainer: Any, steps: int) -> None:
    """Train, with this project's bar; the trainer without its own would print its last figures."""
    from transformers import PrinterCallback, TrainerCallback

    class Progress(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            progress.update()

    trainer.remove_callback(PrinterCallback)
    with bar("Fine-tuning", steps) as progress:
        trainer.add_callback(Progress())
        trainer.train()


def _pairs(rows: Sequence[_Row]) -> list[dict[str, Any]]:
    """Each (query, text) once, with 1 for an answer and 0 for a negative."""
    labelled: dict[tuple[str, str], float] = {}
    for row in rows:
        labelled.setdefault((row["anchor"], row["negative"]), 0.0)
        labelled[row["anchor"], row["positive"]] = 1.0
    return [{"query": query, "text": text, "label": label} for (query, text), label in labelled.items()]


def _lists(rows: Sequence[_Row]) -> list[dict[str, Any]]:
    """One row a query and answer: the answer first, then its negatives."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        groups.setdefault((row["anchor"], row["positive"]), []).append(row["negative"])
    return [
        {"query": query, "docs": [positive, *negatives], "labels": [1.0, *[0.0] * len(negatives)]}
        for (query, positive), negatives in groups.items()
    ]


def _dataset(rows: Sequence[_Row], columns: Sequence[str]) -> Any:
    if not rows:
        raise InputError("there is nothing to train on", remedy="Generate queries and mine negatives first")
    missing = next((name for name in columns if name not in rows[0]), None)
    if missing is not None:
        raise InputError(f"the rows to train on have no column '{missing}'", remedy=f"They need {', '.join(columns)}")
    datasets = require("datasets", install=_INSTALL, purpose="Fine-tuning an encoder")
    return datasets.Dataset.from_list([{name: _whole(row[name]) for name in columns} for row in rows])


def _whole(value: Any) -> Any:
    """A value of a row, whose texts a tokenizer is to read."""
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return made_whole(value) if isinstance(value, str) else value


def _package() -> Any:
    wait_without_spinning()
    return require("sentence_transformers", install=_INSTALL, purpose="Fine-tuning an encoder")


def training_precision() -> Precision:
    """What models are fine-tuned in on this machine."""
    return fast_precision(_device())


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _arguments(scratch: str, settings: FineTuning, seed: int) -> dict[str, Any]:
    return {
        "output_dir": scratch,
        "max_steps": settings.steps,
        "per_device_train_batch_size": settings.batch,
        "learning_rate": settings.learning_rate,
        "warmup_steps": max(1, settings.steps // 10),
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "no",  # the trainer's checkpoints are pickles
        "report_to": [],
        "logging_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": _device() == "cpu",
        "bf16": training_precision() == "bfloat16",
        "dataloader_pin_memory": False,
    }
