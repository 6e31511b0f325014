"""Many completions of many prompts as one sequence that reads every shared token once.

The tokens of all sequences form a tree: sequences that begin alike share its trunk. Laid out as one sequence of nodes,
each token sees its ancestors and itself only, and its position is its depth. For a causal model without absolute
position tables that is the same computation as one sequence at a time, in any order of the nodes, so losses and
gradients agree up to rounding. A document is read once for all its completions, demonstrations once for all
documents of a batch, and completions that open with the same words share those too.

The plain form (:func:`pack_plain`), one row a sequence, is what the packed one is tested against.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.generators.models import mixed_precision

__all__ = ["Packed", "TokenPair", "completion_log_probabilities", "pack", "pack_plain", "predicted_logits"]

_LEAST_RUN = 128

TokenPair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of a completion behind it."""


@dataclass(frozen=True)
class Packed:
    """Sequences laid out for one forward pass.

    Attributes:
        tokens: ids, shape (rows, length); padding is 0.
        positions: position ids, shape (rows, length).
        mask: whether a token (third axis) sees another (fourth), shape (rows, 1, length, length), bool. Padding sees
            itself alone, because a row without anything to see gives NaN.
        sources: index into the flattened (rows · length) nodes, one for each node that predicts something, shape (S,).
        predicted_from: index into ``sources`` for each completion token, shape (T,).
        predicted: the completion tokens' ids, shape (T,).
        owners: which sequence each completion token is of, shape (T,).
        count: number of sequences.
        nodes: tokens that are not padding.
        segments: start and end of the trunk that all sequences share, then of the runs of branches behind it; no run
            sees another. ``None`` where there are several rows.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    sources: Tensor
    predicted_from: Tensor
    predicted: Tensor
    owners: Tensor
    count: int
    nodes: int
    segments: tuple[tuple[int, int], ...] | None = None

    def to(self, device: torch.device | str) -> Packed:
        """The same on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Packed(**moved, count=self.count, nodes=self.nodes, segments=self.segments)


def pack(sequences: Sequence[TokenPair], *, multiple: int = 64) -> Packed:
    """Lay out sequences as one tree.

    Args:
        sequences: prompts with their completions; prompts and completions have a token at least.
        multiple: the length is padded to a multiple of this, so that few shapes occur and memory stays flat.

    Returns:
        One row.

    Raises:
        InputError: there is no sequence, or a prompt or completion is empty.
    """
    _check(sequences)
    children: dict[tuple[int, int], int] = {}
    tokens: list[int] = []
    parents: list[int] = []
    completions: list[list[int]] = []
    for prompt, completion in sequences:
        node = -1
        path = []
        for token in (*prompt, *completion):
            key = (node, int(token))
            if key not in children:
                children[key] = len(tokens)
                tokens.append(int(token))
                parents.append(node)
            node = children[key]
            path.append(node)
        completions.append(path[len(prompt) - 1 :])
    length = -(-len(tokens) // multiple) * multiple
    order, segments = _branches(parents, length)
    places = np.empty(len(tokens), dtype=np.int64)
    places[order] = np.arange(len(tokens))
    visible = np.eye(length, dtype=bool)
    depth = np.zeros(length, dtype=np.int64)
    padded = np.zeros(length, dtype=np.int64)
    for node, parent in enumerate(parents):
        place = places[node]
        padded[place] = tokens[node]
        if parent >= 0:
            visible[place] |= visible[places[parent]]
            depth[place] = depth[places[parent]] + 1
    paths = [[int(places[node]) for node in path] for path in completions]
    found = _packed(padded[None], depth[None], visible[None], paths, [0] * len(sequences), len(tokens))
    return dataclasses.replace(found, segments=segments)


def pack_plain(sequences: Sequence[TokenPair]) -> Packed:
    """Lay out sequences one a row, padded to the longest: the form whose results :func:`pack` must repeat.

    Raises:
        InputError: as :func:`pack`.
    """
    _check(sequences)
    rows = [[int(token) for token in (*prompt, *completion)] for prompt, completion in sequences]
    length = max(map(len, rows))
    tokens = np.zeros((len(rows), length), dtype=np.int64)
    visible = np.broadcast_to(np.tri(length, dtype=bool), (len(rows), length, length)).copy()
    for row, ids in enumerate(rows):
        tokens[row, : len(ids)] = ids
    positions = np.broadcast_to(np.arange(length), tokens.shape).copy()
    paths = [list(range(len(prompt) - 1, len(row))) for (prompt, _), row in zip(sequences, rows, strict=True)]
    return _packed(tokens, positions, visible, paths, list(range(len(rows))), sum(map(len, rows)))


def completion_log_probabilities(model: Any, packed: Packed) -> tuple[Tensor, Tensor]:
    """Log-probabilities of completions under a causal language model of ``transformers``.

    Args:
        model: has ``model`` (the body), as ``transformers``' causal models have, and output embeddings; adapters in it
            count.
        packed: on the model's device.

    Returns:
        Sums over each completion's tokens, shape (count,), with gradients; and the log-probability of each completion
        token, shape (T,), in the order of ``packed.owners``.
    """
    logits = predicted_logits(model, packed)
    chosen = logits[packed.predicted_from, packed.predicted]
    token_log_probabilities = chosen - torch.logsumexp(logits, dim=-1)[packed.predicted_from]
    sums = torch.zeros(packed.count, dtype=torch.float32, device=logits.device)
    return sums.index_add(0, packed.owners, token_log_probabilities), token_log_probabilities


def predicted_logits(model: Any, packed: Packed) -> Tensor:
    """What a model predicts at each of ``packed.sources``: logits in single precision, shape (S, vocabulary).

    The head, the widest layer, is applied only where a completion token is predicted.
    """
    # get_base_model: what peft wraps; its layers hold the adapters.
    causal: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    body: Any = causal.model
    with mixed_precision(model):
        hidden = body(
            input_ids=packed.tokens,
            attention_mask=packed.mask,
            position_ids=packed.positions,
            use_cache=False,
            segments=packed.segments,
        ).last_hidden_state
        states = hidden.reshape(-1, hidden.shape[-1])[packed.sources]
        logits: Tensor = causal.get_output_embeddings()(states)
    return logits.float()


def _branches(parents: Sequence[int], length: int) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    """The order of nodes in which every branch behind the trunk is contiguous, and the runs of it.

    Args:
        parents: of each node, -1 for none; a parent comes before its children.
        length: with padding, which goes to the last run.
    """
    children = np.bincount(np.asarray(parents) + 1, minlength=len(parents) + 1)
    trunk = 0
    # The first sequence was laid out first, so the trunk is the first nodes.
    while trunk < len(parents) and children[trunk] == 1:
        trunk += 1
    branch = np.full(len(parents), -1)
    for node in range(trunk, len(parents)):
        branch[node] = node if parents[node] == trunk - 1 else branch[parents[node]]
    order = np.argsort(branch, kind="stable")
    sizes = np.unique(branch[branch >= 0], return_counts=True)[1]
    runs: list[tuple[int, int]] = []
    start = end = trunk
    for size in sizes:
        end += int(size)
        if end - start >= _LEAST_RUN:
            runs.append((start, end))
            start = end
    if start < length and (start < end or not runs):
        runs.append((start, end))
    if runs:
        runs[-1] = (runs[-1][0], length)
    return order, ((0, trunk), *runs)


def _packed(
    tokens: np.ndarray,
    positions: np.ndarray,
    visible: np.ndarray,
    paths: Sequence[Sequence[int]],
    rows: Sequence[int],
    nodes: int,
) -> Packed:
    """``paths``: node before the first completion token, then those of the completion, in each sequence's row."""
    length = tokens.shape[1]
    sources: dict[int, int] = {}
    predicted_from: list[int] = []
    predicted: list[int] = []
    owners: list[int] = []
    for owner, (row, path) in enumerate(zip(rows, paths, strict=True)):
        for before, node in itertools.pairwise(path):
            predicted_from.append(sources.setdefault(row * length + before, len(sources)))
            predicted.append(int(tokens[row, node]))
            owners.append(owner)
    return Packed(
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        mask=torch.from_numpy(visible)[:, None],
        sources=torch.tensor(list(sources)),
        predicted_from=torch.tensor(predicted_from),
        predicted=torch.tensor(predicted),
        owners=torch.tensor(owners),
        count=len(paths),
        nodes=nodes,
    )


def _check(sequences: Sequence[TokenPair]) -> None:
    if not sequences:
        raise InputError("there is nothing to pack", remedy="Give a prompt with a completion")
    for number, (prompt, completion) in enumerate(sequences, start=1):
        if not len(prompt) or not len(completion):
            raise InputError(
                "a prompt or a completion has no tokens", place=f"sequence {number}", remedy="Leave it out"
            )
