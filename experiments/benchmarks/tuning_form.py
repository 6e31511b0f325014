"""One form of a CPO step, timed in a process of its own, so that its peak memory is its own.

    python -m inpars_plus.experiments.benchmarks.tuning_form packed --completions 2

Prints JSON: seconds a pair, peak memory, and the loss before the first update.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from inpars_plus.experiments.benchmarks.common import passages, timed
from inpars_plus.foundation import peak_memory_mb
from inpars_plus.foundation.parts import require
from inpars_plus.lms.torch_models import pick_precision
from inpars_plus.optimizers.generators.batches import DocumentPairs, part_of
from inpars_plus.optimizers.generators.losses import cpo_loss
from inpars_plus.optimizers.generators.models import (
    BaseModel,
    LoraSettings,
    add_lora,
    load_base,
    mixed_precision,
    trainable,
)
from inpars_plus.optimizers.generators.packing import completion_log_probabilities

__all__ = ["FORMS", "StepLoss", "main", "own_loss", "trl_loss"]

FORMS = ("packed", "plain", "trl")

_PROMPT_TOKENS = 245
_COMPLETION_TOKENS = 12
_RATE = 1e-4
_PLAIN_ROWS = 8

StepLoss = Callable[[list[DocumentPairs]], Tensor]
"""The loss of a step's documents."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Time one form; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--completions", type=int, default=2, help="of each document, an even number")
    parser.add_argument("--documents", type=int, default=4, help="of each step")
    parser.add_argument("--prompt", type=int, default=_PROMPT_TOKENS, help="tokens of each document")
    parser.add_argument("--shared", type=int, default=0, help="tokens that all prompts begin with, as demonstrations")
    parser.add_argument("--steps", type=int, default=3, help="that are timed, after one that is not")
    parser.add_argument("--single", action="store_true", help="single precision instead of the machine's best")
    given = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = load_base("embedded", dtype=torch.float32 if given.single else pick_precision(device), device=device)
    model = add_lora(base, LoraSettings(), seed=0)
    loss_of = trl_loss(base, model) if given.form == "trl" else own_loss(model, packed=given.form == "packed")
    batches = _batches(base, given.documents, given.completions, given.steps + 1, given.prompt, given.shared)
    weights = list(trainable(model).values())
    optimizer = torch.optim.AdamW(weights, lr=_RATE, fused=True)
    model.train()
    seconds, memory, first = [], [], 0.0
    for number, batch in enumerate(batches):
        with timed() as watch:
            value = 0.0
            for part in _parts(batch, given.form):
                loss = loss_of(part) * (len(part) / len(batch))
                loss.backward()  # type: ignore[no-untyped-call]
                value += float(loss.detach())
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        memory.append(torch.cuda.max_memory_allocated() // 2**20 if device == "cuda" else peak_memory_mb())
        if number == 0:
            first = value  # and its time is not counted: kernels are chosen, memory is taken
        else:
            seconds.append(watch.seconds)
    pairs = given.documents * given.completions // 2
    print(
        json.dumps(
            {
                "seconds_per_pair": [one / pairs for one in seconds],
                "peak_memory_mb": memory,
                "loss": first,
                "threads": torch.get_num_threads(),
                "device": device,
            }
        )
    )
    return 0


def _parts(batch: list[DocumentPairs], form: str) -> list[list[DocumentPairs]]:
    """The documents of each forward pass: all of a step, or, a row for each completion, what memory has room for."""
    together = max(1, _PLAIN_ROWS // len(batch[0].completions)) if form == "plain" else len(batch)
    return [batch[start : start + together] for start in range(0, len(batch), together)]


def _batches(
    base: BaseModel, documents: int, completions: int, count: int, prompt: int, shared: int
) -> list[list[DocumentPairs]]:
    """Passages of the same length, each with completions cut from the passage after it; no passage comes twice.

    All prompts begin with the same ``shared`` tokens, of the last passages.
    """
    texts = passages(base.encode, prompt)
    trunk = [token for text in reversed(texts) for token in text][:shared]
    found = []
    for number in range(documents * count):
        source = texts[2 * number + 1]
        written = tuple(
            (*source[at * _COMPLETION_TOKENS : (at + 1) * _COMPLETION_TOKENS], base.end) for at in range(completions)
        )
        pairs = tuple((at, at + 1) for at in range(0, completions, 2))
        found.append(DocumentPairs((*trunk, *texts[2 * number]), written, pairs))
    return [found[start : start + documents] for start in range(0, len(found), documents)]


def own_loss(model: Any, *, packed: bool, **settings: Any) -> StepLoss:
    """Our loss of a batch; the settings are those of ``cpo_loss``."""

    def loss(batch: list[DocumentPairs]) -> Tensor:
        device = next(model.parameters()).device
        part = part_of(batch, packed=packed).to(device)
        sums = completion_log_probabilities(model, part.packed)[0]
        chosen, rejected = part.chosen, part.rejected
        return cpo_loss(sums[chosen], sums[rejected], part.tokens[chosen], part.tokens[rejected], **settings)

    return loss


def trl_loss(base: BaseModel, model: Any, **settings: Any) -> StepLoss:
    """The loss of TRL's trainer on the same token ids; the settings are those of its ``CPOConfig``."""
    cpo = require("trl.experimental.cpo", install="pip install 'inpars-plus[trl]'", purpose="Comparing with TRL")
    datasets = require("datasets", install="pip install 'inpars-plus[trl]'", purpose="Comparing with TRL")
    folder = tempfile.mkdtemp()
    trainer = cpo.CPOTrainer(
        model=model,
        args=cpo.CPOConfig(
            output_dir=folder, max_length=1024, use_cpu=not torch.cuda.is_available(),
            report_to=[], bf16=False, gradient_checkpointing=False, **{"beta": 0.1, "cpo_alpha": 1.0, **settings},
        ),
        train_dataset=datasets.Dataset.from_list([{"prompt": "a", "chosen": " b", "rejected": " c"}]),
        processing_class=base.tokenizer,
    )  # fmt: skip

    def loss(batch: list[DocumentPairs]) -> Tensor:
        rows = [(one.prompt, one.completions[a], one.completions[b]) for one in batch for a, b in one.pairs]
        fields: dict[str, Tensor] = {}
        for name, at in (("chosen", 1), ("rejected", 2)):
            length = max(len(row[0]) + len(row[at]) for row in rows)
            ids = torch.full((len(rows), length), base.end)
            mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
            for number, row in enumerate(rows):
                whole = torch.tensor([*row[0], *row[at]])
                ids[number, : len(whole)], mask[number, : len(whole)] = whole, 1
                labels[number, len(row[0]) : len(whole)] = whole[len(row[0]) :]
            fields |= {f"{name}_input_ids": ids, f"{name}_attention_mask": mask, f"{name}_labels": labels}
        device = next(model.parameters()).device
        with mixed_precision(model):  # as its training loop has it with bf16=True
            value: Tensor = trainer.get_batch_loss_metrics(model, {key: one.to(device) for key, one in fields.items()})[
                0
            ]
        return value

    return loss


if __name__ == "__main__":
    raise SystemExit(main())
