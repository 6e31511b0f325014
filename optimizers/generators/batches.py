"""From preference pairs to batches: which documents go into a step, and which tokens into a forward pass.

A *step* is a fixed number of documents. It is cut into *parts* that fit into memory, each one packed forward pass; the
gradients of its parts add up. The order follows from seed and epoch alone, so training goes on in the middle of one.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inpars_plus.foundation.errors import InputError
from inpars_plus.foundation.progress import say
from inpars_plus.optimizers.generators.models import BaseModel
from inpars_plus.optimizers.generators.packing import Packed, TokenPair, pack, pack_plain
from inpars_plus.optimizers.generators.pairs import PreferencePair

__all__ = ["DocumentPairs", "Part", "chosen_tokens", "group_pairs", "part_of", "parts_of", "steps_of"]


@dataclass(frozen=True)
class DocumentPairs:
    """The pairs of one document as tokens.

    Attributes:
        prompt: ids.
        completions: distinct ones, each with its end token.
        pairs: positions of chosen and rejected among the completions.
    """

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Tokens when nothing is shared with other documents."""
        return len(self.prompt) + sum(map(len, self.completions))


@dataclass(frozen=True)
class Part:
    """One forward pass.

    Attributes:
        packed: the completions of some documents.
        chosen: position of each pair's chosen completion, shape (pairs,).
        rejected: of its rejected one, shape (pairs,).
        tokens: of each completion, its end token included, shape (completions,).
    """

    packed: Packed
    chosen: Tensor
    rejected: Tensor
    tokens: Tensor

    @property
    def pairs(self) -> int:
        """How many."""
        return len(self.chosen)

    def to(self, device: torch.device | str) -> Part:
        """The same on a device."""
        return Part(self.packed.to(device), self.chosen.to(device), self.rejected.to(device), self.tokens.to(device))


def group_pairs(pairs: Sequence[PreferencePair], base: BaseModel, *, max_tokens: int) -> list[DocumentPairs]:
    """Turn pairs into tokens, those of one prompt together, in the order in which prompts first come.

    Prompts that are too long with one of their completions are left out, and their number is told.

    Args:
        pairs: preference data.
        base: whose tokens.
        max_tokens: most tokens of a prompt with one completion.

    Raises:
        InputError: there are no pairs, or all are longer than that.
    """
    if not pairs:
        raise InputError("there are no preference pairs", remedy="Sample more candidates, or lower the gap")
    prompts: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        prompts.setdefault(pair.prompt, []).append(pair)
    found = []
    too_long: list[tuple[str, int]] = []
    for text, members in prompts.items():
        prompt = tuple(base.encode(text))
        positions: dict[str, int] = {}
        for pair in members:
            for completion in (pair.chosen, pair.rejected):
                positions.setdefault(completion, len(positions))
        completions = tuple((*base.encode(completion), base.end) for completion in positions)
        longest = len(prompt) + max(map(len, completions))
        if longest > max_tokens:
            too_long.append((members[0].document_id, longest))
            continue
        chosen = tuple((positions[pair.chosen], positions[pair.rejected]) for pair in members)
        found.append(DocumentPairs(prompt, completions, chosen))
    if not found:
        document, longest = too_long[0]
        raise InputError(
            f"a prompt with its completion has {longest} tokens, but at most {max_tokens} are trained on",
            place=f"document {document}",
            remedy="Shorten the documents, or use fewer demonstrations",
        )
    if too_long:
        say(f"{len(too_long):,} of {len(prompts):,} prompts with their completions are too long to train on: left out")
    return found


def chosen_tokens(document: DocumentPairs) -> int:
    """Tokens of the chosen completion of each of a document's pairs, summed."""
    return sum(len(document.completions[better]) for better, _ in document.pairs)


def steps_of(count: int, size: int, *, epoch: int, seed: int) -> list[list[int]]:
    """The documents of each step of an epoch, shuffled.

    Args:
        count: of documents.
        size: documents of a step; the last one may have fewer.
        epoch: from 0; each has an order of its own.
        seed: of the orders.
    """
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return [order[start : start + size] for start in range(0, count, size)]


def parts_of(documents: Sequence[DocumentPairs], *, max_nodes: int, packed: bool = True) -> list[Part]:
    """Cut a step's documents into forward passes of at most ``max_nodes`` tokens (one document at least).

    They are as few as the limit allows, and then as even as can be, because the largest says how much memory it takes.
    """
    fewest = len(_cut(documents, max_nodes, packed=packed))
    limits = range(max_nodes + 1)
    even = bisect.bisect_left(limits, True, key=lambda limit: len(_cut(documents, limit, packed=packed)) <= fewest)
    return [part_of(members, packed=packed) for members in _cut(documents, even, packed=packed)]


def _cut(documents: Sequence[DocumentPairs], limit: int, *, packed: bool) -> list[list[DocumentPairs]]:
    """Runs of documents of at most ``limit`` tokens each, one document at least."""
    parts: list[list[DocumentPairs]] = []
    size = 0
    for document in documents:
        if not packed:
            length = sum(len(document.prompt) + len(completion) for completion in document.completions)
        else:  # the trunk that documents share, their demonstrations, counts once
            length = document.length - (_common(parts[-1][0].prompt, document.prompt) if parts else 0)
        if not parts or size + length > limit:
            parts.append([])
            size, length = 0, document.length if packed else length
        parts[-1].append(document)
        size += length
    return parts


def part_of(documents: Sequence[DocumentPairs], *, packed: bool = True) -> Part:
    """One forward pass over documents, packed or a row for each completion."""
    sequences: list[TokenPair] = []
    chosen: list[int] = []
    rejected: list[int] = []
    for document in documents:
        first = len(sequences)
        sequences.extend((document.prompt, completion) for completion in document.completions)
        chosen.extend(first + better for better, _ in document.pairs)
        rejected.extend(first + worse for _, worse in document.pairs)
    return Part(
        packed=pack(sequences) if packed else pack_plain(sequences),
        chosen=torch.tensor(chosen),
        rejected=torch.tensor(rejected),
        tokens=torch.tensor([len(completion) for _, completion in sequences]),
    )


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
