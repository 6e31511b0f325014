"""Training a generator on preference pairs: steps, schedule, checkpoints, early stop.

The loop is short and our own because of what it must do that trainers at hand do not: packed forward passes in which
documents share their demonstrations, checkpoints without pickle in the middle of an epoch, and a stop on what retrieval
rewards instead of on a loss. Devices and what passes between processes are ``accelerate``'s.

Several processes share each step's documents and add up their gradients before they update, each the same weights in
the same way; so they end as one alone would, but for rounding. The first of them validates, writes and tells the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import append_lines, read_lines, write_lines
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.progress import bar, say
from inpars_plus.foundation.summaries import peak_memory_mb
from inpars_plus.optimizers.generators.batches import DocumentPairs, Part, chosen_tokens, parts_of, steps_of
from inpars_plus.optimizers.generators.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from inpars_plus.optimizers.generators.losses import CpoVariant, NllReduction, cpo_loss, dpo_loss, rpo_loss, sft_loss
from inpars_plus.optimizers.generators.models import trainable
from inpars_plus.optimizers.generators.packing import completion_log_probabilities, predicted_logits

__all__ = ["LossName", "Schedule", "TrainSettings", "Trained", "Trainer", "learning_rate_at"]

LossName = Literal["cpo", "dpo", "rpo", "sft"]
Schedule = Literal["linear", "cosine", "inverse_sqrt", "constant"]

_MAX_NODES, _MAX_NODES_SINGLE = 1536, 1152


@dataclass(frozen=True)
class TrainSettings:
    """How a generator is trained.

    Attributes:
        loss: ``cpo``, ``dpo``, ``rpo`` or ``sft``.
        variant: of CPO.
        beta: see :mod:`inpars_plus.optimizers.generators.losses`.
        alpha: weight of the likelihood of the chosen, for CPO and RPO.
        label_smoothing: see there.
        gamma: margin of CPO's simpo.
        nll_reduction: of CPO's likelihood.
        learning_rate: the highest.
        schedule: what follows the warm-up.
        warmup: share of the steps in which the rate rises from 0.
        weight_decay: of AdamW.
        max_gradient: norm to which gradients are cut.
        epochs: passes over the documents.
        documents_per_step: gradients of so many documents make one update.
        max_nodes: most tokens of a forward pass; its memory grows with them, by about a gigabyte a thousand with the
            embedded model in bfloat16, and by two in single precision. ``None`` for 1,536, or 1,152 in single
            precision.
        max_tokens: most tokens of a prompt with a completion.
        packed: whether shared tokens are read once; the plain form gives the same gradients, slower.
        checkpoint_every: steps between two checkpoints.
        validate_every: steps between two validations; 0 for none but at the end, ``None`` for two an epoch.
        patience: validations without a better reward after which training ends; 0 for never.
    """

    loss: LossName = "cpo"
    variant: CpoVariant = "sigmoid"
    beta: float = 0.1
    alpha: float = 1.0
    label_smoothing: float = 0.0
    gamma: float = 0.5
    nll_reduction: NllReduction = "token"
    learning_rate: float = 1e-3
    schedule: Schedule = "linear"
    warmup: float = 0.1
    weight_decay: float = 0.0
    max_gradient: float = 1.0
    epochs: int = 1
    documents_per_step: int = 8
    max_nodes: int | None = None
    max_tokens: int = 2048
    packed: bool = True
    checkpoint_every: int = 10
    validate_every: int | None = 0
    patience: int = 0


@dataclass(frozen=True)
class Trained:
    """What training came to.

    Attributes:
        documents: trained on; those with pairs that are too long are not.
        steps: updates made, those before a kill included.
        best_step: after which the weights are kept: the best validated, or the last.
        best_reward: its validation reward; ``None`` without validation.
        stopped_early: whether patience ended it before its last step.
    """

    documents: int
    steps: int
    best_step: int
    best_reward: float | None
    stopped_early: bool


class Trainer:
    """Trains the adapters of a model.

    Args:
        model: with adapters, from :func:`inpars_plus.optimizers.generators.models.add_lora`.
        settings: how.
        directory: of checkpoints and of the log ``train.jsonl``; a run that was killed goes on from there.
        seed: of the order of documents.
        validate: gives the reward of the model as it is, on validation documents; more is better. Of several processes
            all are given one, and only the first calls it.
        probe: a part on which the distance to the base is measured at each validation.
        key: digest of all that the result depends on; a checkpoint in the directory with another is passed over.
    """

    def __init__(
        self,
        model: Any,
        settings: TrainSettings,
        *,
        directory: Path,
        seed: int = 0,
        validate: Callable[[Any], float] | None = None,
        probe: Part | None = None,
        key: str = "",
    ) -> None:
        accelerate = require("accelerate", install="pip install accelerate", purpose="Tuning a generator")
        self._model = model
        self._settings = settings
        self._directory = directory
        self._seed = seed
        self._validate = validate
        self._probe = probe
        self._key = key
        self._accelerator = accelerate.Accelerator(cpu=not torch.cuda.is_available())
        model.to(self._accelerator.device)
        single = next(model.parameters()).dtype == torch.float32
        self._max_nodes = settings.max_nodes or (_MAX_NODES_SINGLE if single else _MAX_NODES)
        self._weights = trainable(model)
        # fused: five times faster on a CPU.
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )

    def train(self, documents: Sequence[DocumentPairs]) -> Trained:
        """Train, or go on training; afterwards the model has the best weights.

        Raises:
            RunError: the loss or its gradient is not a number, or a checkpoint cannot be written or read.
        """
        settings = self._settings
        self._directory.mkdir(parents=True, exist_ok=True)
        plan = [
            (epoch, step)
            for epoch in range(settings.epochs)
            for step in steps_of(len(documents), settings.documents_per_step, epoch=epoch, seed=self._seed)
        ]
        every = settings.validate_every
        if every is None:
            every = max(1, len(documents) // settings.documents_per_step // 2)
        state = self._resume()
        self._trim_log(state.step)
        best = {name: value.detach().clone() for name, value in state.best.items()} or None
        with bar("Training", len(plan)) as progress:
            progress.update(state.step)
            while state.step < len(plan) and not state.stopped:
                _, members = plan[state.step]
                rate = learning_rate_at(state.step, len(plan), settings)
                line = self._update([documents[member] for member in members], rate, state.step)
                state.step += 1
                last = state.step == len(plan)
                if self._validate is not None and (last or (every and state.step % every == 0)):
                    best = self._judge(state, line, best)
                self._log(state.step, line)
                if last or state.stopped or state.step % settings.checkpoint_every == 0:
                    self._save(state, best)
                    give_back_memory()  # steps of many sizes leave gaps, and what is held would creep up
                progress.update(1)
        if best is not None:
            with torch.no_grad():
                for name, value in best.items():
                    self._weights[name].copy_(value)
        return Trained(
            documents=len(documents),
            steps=state.step,
            best_step=state.best_step or state.step,
            best_reward=state.best_reward,
            stopped_early=state.stopped and state.step < len(plan),
        )

    def _update(self, documents: Sequence[DocumentPairs], rate: float, step: int) -> dict[str, float]:
        settings = self._settings
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        # Weights of the whole step, so that what the processes make of their own documents only has to be added up.
        pairs = sum(len(document.pairs) for document in documents)
        tokens = sum(map(chosen_tokens, documents))
        own = documents[self._accelerator.process_index :: self._accelerator.num_processes]
        parts = parts_of(own, max_nodes=self._max_nodes, packed=settings.packed)
        line: dict[str, float] = {"loss": 0.0, "chosen": 0.0, "rejected": 0.0, "accuracy": 0.0, "nodes": 0.0}
        for part in parts:
            weight = part.pairs / pairs
            part = part.to(self._accelerator.device)
            sums = completion_log_probabilities(self._model, part.packed)[0]
            # A mean over tokens is one over the tokens of the step, however the step is cut.
            share = int(part.tokens[part.chosen].sum()) / tokens / weight
            loss = self._loss(sums, part, share)
            value = float(loss.detach())
            self._check_number("loss", value, step)
            self._accelerator.backward(loss * weight)
            with torch.no_grad():
                chosen, rejected = sums[part.chosen], sums[part.rejected]
                line["loss"] += value * weight
                line["chosen"] += float(settings.beta * chosen.mean()) * weight
                line["rejected"] += float(settings.beta * rejected.mean()) * weight
                line["accuracy"] += float((chosen > rejected).float().mean()) * weight
                line["nodes"] += part.packed.nodes
        if self._accelerator.num_processes > 1:
            line = self._added_up(line)
        norm = torch.nn.utils.clip_grad_norm_(list(self._weights.values()), settings.max_gradient)
        # Before the step: one gradient that is not a number makes all weights so, and the checkpoint after them.
        self._check_number("gradient", float(norm), step)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {**line, "margin": line["chosen"] - line["rejected"], "gradient": float(norm), "rate": rate}

    def _added_up(self, line: dict[str, float]) -> dict[str, float]:
        """Add the gradients of all processes, and the figures of a line of the log; one message carries both."""
        weights = list(self._weights.values())
        figures = torch.tensor(list(line.values()), device=self._accelerator.device)
        # A step with fewer documents than processes leaves some without any, and so without gradients.
        own = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
        flat = self._accelerator.reduce(torch.cat([one.flatten() for one in (*own, figures)]), reduction="sum")
        *summed, told = flat.split([one.numel() for one in (*own, figures)])
        for weight, total in zip(weights, summed, strict=True):
            weight.grad = total.view_as(weight)
        return dict(zip(line, told.tolist(), strict=True))

    def _check_number(self, name: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise RunError(
                f"the {name} is not a number at step {step + 1}",
                place=str(self._directory),
                remedy="Lower the learning rate (--learning-rate) and run the same command again; the first round's "
                "samples are kept",
            )

    def _loss(self, sums: Tensor, part: Part, share: float) -> Tensor:
        """The loss of a part.

        Args:
            sums: log-probabilities of its completions.
            part: one of a step's.
            share: its share of the step's chosen tokens over its share of the pairs.
        """
        settings = self._settings
        chosen, rejected = sums[part.chosen], sums[part.rejected]
        chosen_tokens, rejected_tokens = part.tokens[part.chosen], part.tokens[part.rejected]
        if settings.loss == "sft":
            return sft_loss(chosen, chosen_tokens) * share
        if settings.loss == "cpo":
            return cpo_loss(
                chosen,
                rejected,
                chosen_tokens,
                rejected_tokens,
                beta=settings.beta,
                alpha=settings.alpha * (share if settings.nll_reduction == "token" else 1.0),
                variant=settings.variant,
                label_smoothing=settings.label_smoothing,
                gamma=settings.gamma,
                nll_reduction=settings.nll_reduction,
            )
        with torch.no_grad(), self._model.disable_adapter():
            reference = completion_log_probabilities(self._model, part.packed)[0]
        referenced = (chosen, rejected, reference[part.chosen], reference[part.rejected])
        if settings.loss == "dpo":
            return dpo_loss(*referenced, beta=settings.beta, label_smoothing=settings.label_smoothing)
        return rpo_loss(
            *referenced,
            chosen_tokens,
            beta=settings.beta,
            alpha=settings.alpha,
            label_smoothing=settings.label_smoothing,
        )

    def _judge(
        self, state: Checkpoint, line: dict[str, float], best: dict[str, Tensor] | None
    ) -> dict[str, Tensor] | None:
        """Validate; remember the weights if they are the best so far."""
        reward = self._reward()
        line["reward"] = reward
        if self._probe is not None and self._accelerator.is_main_process:
            line["kl"] = self.distance_to_base(self._probe)
        if state.best_reward is None or reward > state.best_reward:
            state.best_reward, state.best_step, state.worse = reward, state.step, 0
            return {name: value.detach().clone() for name, value in self._weights.items()}
        state.worse += 1
        state.stopped = bool(self._settings.patience) and state.worse >= self._settings.patience
        return best

    def _reward(self) -> float:
        """The validation reward, which the first process measures: all must agree on when to stop."""
        assert self._validate is not None
        self._model.eval()
        main = self._accelerator.is_main_process
        reward = self._validate(self._model) if main else 0.0
        if self._accelerator.num_processes > 1:
            told = torch.tensor([reward], dtype=torch.float64, device=self._accelerator.device)
            reward = float(self._accelerator.reduce(told, reduction="sum"))
        return reward

    @torch.no_grad()
    def distance_to_base(self, part: Part) -> float:
        """Kullback-Leibler divergence of the tuned model from the base, in nats a token.

        It is the mean over the completion tokens of a part of ``sum_v p(v) ln(p(v) / p_base(v))``, so it is taken on
        given texts and not on the tuned model's own.
        """
        part = part.to(self._accelerator.device)
        tuned = predicted_logits(self._model, part.packed).log_softmax(-1)
        with self._model.disable_adapter():
            base = predicted_logits(self._model, part.packed).log_softmax(-1)
        return float((tuned.exp() * (tuned - base)).sum(-1).mean())

    def _resume(self) -> Checkpoint:
        state = load_checkpoint(self._directory, self._weights, self._optimizer, self._key)
        # The first process writes the next one only after a step with the others, so all have read this one by then.
        if state.step and self._accelerator.is_main_process:
            say(f"Training goes on after step {state.step}")
        return state

    def _save(self, state: Checkpoint, best: dict[str, Tensor] | None) -> None:
        if self._accelerator.is_main_process:
            state.best = best or {}
            save_checkpoint(self._directory, state, self._weights, self._optimizer)

    def _log(self, step: int, figures: dict[str, float]) -> None:
        if self._accelerator.is_main_process:
            shown = {name: round(value, 6) for name, value in figures.items()}
            line = {"step": step, **shown, "peak_memory_mb": peak_memory_mb()}
            append_lines(self._directory / "train.jsonl", [line])

    def _trim_log(self, step: int) -> None:
        """Drop the lines after the checkpoint that training goes on from: those steps are made again."""
        path = self._directory / "train.jsonl"
        if not path.exists() or not self._accelerator.is_main_process:
            return
        write_lines(path, [line for _, line in read_lines(path) if line["step"] <= step])


def learning_rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """The learning rate of an update: rising over the warm-up, then as the schedule says.

    Args:
        step: from 0.
        total: number of updates.
        settings: rate, schedule and warm-up.
    """
    warm = max(1, round(settings.warmup * total)) if settings.warmup else 0
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    gone = (step - warm) / max(1, total - warm)
    factors = {
        "constant": 1.0,
        "linear": 1.0 - gone,
        "cosine": 0.5 * (1 + math.cos(math.pi * gone)),
        "inverse_sqrt": math.sqrt(max(warm, 1) / max(step + 1, 1)),
    }
    return settings.learning_rate * factors[settings.schedule]
