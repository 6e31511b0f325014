"""Tuning the query encoder alone: documents keep their vectors, so an index stays as it is.

For each query the loss is the cross-entropy of the documents that answer it, over the whole corpus:
``-log( sum over answers of exp(s * q.d) / sum over all documents of exp(s * q.d) )`` with cosines and scale s. That is
MultipleNegativesRanking (Henderson et al. 2017) with every document as a negative. Weights tuned on a few hundred
queries overfit, so the result is the mean of tuned and given weights (WiSE-FT; Wortsman et al. 2022). Queries of each
state of the corpus come in equal parts, as :func:`~inpars_plus.optimizers.rankers.batches.even_batches` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import InputError, RunError
from inpars_plus.foundation.texts import made_whole
from inpars_plus.optimizers.rankers.batches import even_batches
from inpars_plus.optimizers.rankers.saving import save_model
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.threads import wait_without_spinning

__all__ = ["QuerySideSettings", "QueryTarget", "QueryTuning", "tune_query_encoder"]

_TOKENS = 64
"""Of a query; the rest is cut."""
_CHARACTERS = 2_000


@dataclass(frozen=True)
class QueryTarget:
    """What is learned from one query.

    Attributes:
        text: of the query.
        positions: rows of the vectors of the documents that answer it.
        corpus: which of the matrices of vectors it is asked of.
    """

    text: str
    positions: tuple[int, ...]
    corpus: int = 0


@dataclass(frozen=True)
class QuerySideSettings:
    """How it is trained.

    Attributes:
        steps: of the optimizer.
        batch: queries a step.
        learning_rate: the highest; it rises for a tenth of the steps and falls to 0.
        weight_decay: of AdamW.
        scale: s of the loss, an inverse temperature.
        share: of the tuned weights in the result; the rest is what was given.
    """

    steps: int = 120
    batch: int = 32
    learning_rate: float = 3e-5
    weight_decay: float = 0.01
    scale: float = 20.0
    share: float = 0.5


@dataclass(frozen=True)
class QueryTuning:
    """What came of it.

    Attributes:
        losses: of each step, in nats.
        queries: how many were learned from.
    """

    losses: tuple[float, ...]
    queries: int


def tune_query_encoder(
    base: str | None,
    targets: Sequence[QueryTarget],
    vectors: Sequence[npt.NDArray[np.float32]],
    out: Path,
    *,
    settings: QuerySideSettings | None = None,
    seed: int = 0,
    on_step: Callable[[], object] | None = None,
) -> QueryTuning:
    """Tune, and write the encoder as a sentence-transformers model.

    Args:
        base: the encoder to begin with, as :func:`~inpars_plus.retrieval.encoders.load_encoder` takes it.
        targets: what is learned from.
        vectors: of the documents, ``[documents, dimensions]`` each, rows of length 1; not changed. Several matrices are
            several states of the corpus, such as with and without some titles.
        out: directory; replaced. ``SentenceTransformer(out)`` loads it.
        settings: how.
        seed: of the order of the queries.
        on_step: called after each step.

    Raises:
        InputError: there are no queries, or the vectors are of another encoder.
        RunError: the loss is not a number.
    """
    from sentence_transformers.util import batch_to_device

    settings = settings or QuerySideSettings()
    if not targets:
        raise InputError("a query encoder cannot be tuned without queries", remedy="Generate some first")
    torch, model, precision = _load(base)
    size = model.get_embedding_dimension()
    if any(matrix.shape[1] != size for matrix in vectors):
        raise InputError(
            f"the documents have vectors of {vectors[0].shape[1]} dimensions, but the encoder makes {size}",
            remedy="Encode the documents with the encoder that is tuned",
        )
    device, longest = model.device, model.max_seq_length
    model.max_seq_length = min(_TOKENS, longest or _TOKENS)
    given = {name: value.clone() for name, value in model.state_dict().items()}
    banks = [torch.from_numpy(np.ascontiguousarray(matrix)).to(device) for matrix in vectors]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    losses = []
    kinds = [[one for one in targets if one.corpus == number] for number in range(len(vectors))]
    batches = even_batches(kinds, steps=settings.steps, batch=settings.batch, seed=seed)
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings.steps)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            features = model.preprocess([made_whole(target.text[:_CHARACTERS]) for target in batch])
            encoded = model(batch_to_device(features, device))["sentence_embedding"]
        loss = _loss(torch, encoded, batch, banks, settings.scale)
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise RunError(f"the loss of step {step + 1} is not a number", place=str(out), remedy="Lower the rate")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if on_step is not None:
            on_step()
    with torch.no_grad():
        tuned = model.state_dict()
        model.load_state_dict(
            {
                name: torch.lerp(value, tuned[name], settings.share) if value.is_floating_point() else value
                for name, value in given.items()
            }
        )
    model.max_seq_length = longest
    save_model(model.eval(), out, note=_card(base, settings, len(targets), seed))
    return QueryTuning(tuple(losses), len(targets))


def _load(base: str | None) -> tuple[Any, Any, str]:
    wait_without_spinning()
    import torch

    encoder = load_encoder(base)
    model = encoder.model_to_train()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # with so few queries its noise costs more than it saves
    return torch, model, encoder.precision


def _card(base: str | None, settings: QuerySideSettings, queries: int, seed: int) -> str:
    given = Path(base).name if base else "all-MiniLM-L6-v2, as it installs with the package index"
    return (
        "# Encoder of queries alone\n\n"
        f"**Documents are to be encoded with the encoder that this one was tuned from: {given}.** They keep their "
        "vectors; it was tuned to make vectors of queries that fit these, and of nothing else.\n\n"
        f"It was tuned on {queries:,} queries with every document as a negative ({settings.steps} steps of "
        f"{settings.batch}, learning rate {settings.learning_rate:g}, seed {seed}); {settings.share:g} of the weights "
        "are the tuned ones, the rest those that were given.\n\n"
        "What follows is the card of the encoder that it was tuned from."
    )


def _schedule(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / max(1, steps // 10)) * (1 - step / steps)


def _loss(torch: Any, encoded: Any, batch: Sequence[QueryTarget], banks: Sequence[Any], scale: float) -> Any:
    encoded = torch.nn.functional.normalize(encoded.float(), dim=-1)
    total = encoded.new_zeros(())
    for number, bank in enumerate(banks):
        rows = [at for at, target in enumerate(batch) if target.corpus == number]
        if not rows:
            continue
        logits = scale * encoded[rows] @ bank.T
        answers = torch.stack(
            [torch.logsumexp(logits[row, list(batch[at].positions)], 0) for row, at in enumerate(rows)]
        )
        total = total + (torch.logsumexp(logits, 1) - answers).sum()
    return total / len(batch)
