"""From scored candidates to preference pairs: which query of a document is better than which.

Three rules choose the pairs. ``reward`` is ours: an accepted candidate against one that is clearly worse, both opening
alike where possible, the openings of the chosen ones kept in balance. ``three-candidates`` is the rule of CPO and of
InPars+ (best against worst of reference, teacher and student, arXiv 2401.08417, section 3), ``threshold`` that of
Reinforced-IR (arXiv 2502.11562). All of them refuse what a reward must not be won by: a chosen candidate is never a
copy, and never fails a check; pairs of one text, ties and pairs across documents do not occur. All but the control
``random`` keep openings in balance: a candidate that opens as too many chosen ones do cannot be the best.

Why the balance. A model tuned on what scores best learns the form that scores best, and then all its queries open with
the same word. A pair whose two queries open alike says nothing about openings; and a chosen set in which openings are
about equally frequent keeps the likelihood term from preferring one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.foundation.files import read_lines, write_lines
from inpars_plus.metrics.words import words
from inpars_plus.optimizers.generators.candidates import ScoredCandidate, opening_of, query_type

__all__ = [
    "PAIR_RULES",
    "PairRule",
    "PairSettings",
    "PreferencePair",
    "choose_pairs",
    "pair_counts",
    "read_pairs",
    "threshold_choice",
    "write_pairs",
]

_OF_QUERY = 0.8
"""Share of the query in what Reinforced-IR searches with; the answer has the rest."""

PairRule = Literal["reward", "three-candidates", "threshold", "random"]


class PreferencePair(BaseModel):
    """A line of preference data, in the form that other trainers read.

    Attributes:
        prompt: what the model reads, character for character as in serving.
        chosen: the better completion, with its leading space, without an end token.
        rejected: the worse one.
        chosen_score: reward of the chosen.
        rejected_score: reward of the rejected.
        document_id: of the document.
    """

    model_config = ConfigDict(frozen=True)

    prompt: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    document_id: str


@dataclass(frozen=True)
class PairSettings:
    """How pairs are chosen.

    Attributes:
        rule: a key of :data:`PAIR_RULES`.
        per_document: most pairs of a document.
        min_gap: least difference of rewards; not of the threshold rule, which has ``tau``.
        min_chosen: least reward of the chosen.
        opening_share: most of the chosen queries that may begin with the same word; and twice as many with the
            same kind of question. 1 turns balance off.
        guarded: whether a chosen candidate must pass every check. Off only to show what then happens.
        tau: of the threshold rule; see :func:`threshold_choice`.
    """

    rule: PairRule = "reward"
    per_document: int = 2
    min_gap: float = 0.3
    min_chosen: float = 0.5
    opening_share: float = 0.2
    guarded: bool = True
    tau: float = 0.95


_Rule = Callable[[Sequence[ScoredCandidate], PairSettings, "_Balance", random.Random], list[tuple[Any, Any]]]


class _Balance:
    """How often each opening and kind was chosen so far."""

    def __init__(self, share: float) -> None:
        self._share = share
        self.openings: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def room_for(self, query: str) -> bool:
        if self._share >= 1:
            return True
        total = self.openings.total() + 1
        # A few of each are let in before shares mean anything.
        most = max(4.0, self._share * total)
        return self.openings[opening_of(query)] < most and self.kinds[query_type(query)] < max(8.0, 2 * most)

    def frequency(self, query: str) -> tuple[int, int]:
        if self._share >= 1:
            return (0, 0)
        return (self.openings[opening_of(query)], self.kinds[query_type(query)])

    def add(self, query: str) -> None:
        self.openings[opening_of(query)] += 1
        self.kinds[query_type(query)] += 1


def choose_pairs(
    candidates: Mapping[str, Sequence[ScoredCandidate]], settings: PairSettings, *, seed: int = 0
) -> list[PreferencePair]:
    """Choose preference pairs.

    Args:
        candidates: document id → its scored candidates.
        settings: rule and limits.
        seed: of the order in which documents are looked at, and of the random rule.

    Returns:
        Pairs, in the order of the documents looked at; a document without a clear preference gives none.

    Raises:
        ConfigurationError: an unknown rule.
    """
    if settings.rule not in PAIR_RULES:
        raise ConfigurationError(
            f"there is no pair rule '{settings.rule}'", remedy=f"Choose one of: {', '.join(PAIR_RULES)}"
        )
    rule = PAIR_RULES[settings.rule]
    rng = random.Random(seed)
    order = sorted(candidates)
    rng.shuffle(order)
    balance = _Balance(settings.opening_share)
    # Documents with the fewest good openings choose first, or they would find their only one taken.
    order.sort(key=lambda name: len({opening_of(one.text) for one in candidates[name] if _may_win(one, settings)}))
    found = []
    for name in order:
        for chosen, rejected in rule(candidates[name], settings, balance, rng)[: settings.per_document]:
            found.append(
                PreferencePair(
                    prompt=chosen.prompt,
                    chosen=f" {chosen.text}",
                    rejected=f" {rejected.text}",
                    chosen_score=chosen.reward,
                    rejected_score=rejected.reward,
                    document_id=name,
                )
            )
    rng.shuffle(found)
    return found


def _by_reward(
    candidates: Sequence[ScoredCandidate], settings: PairSettings, balance: _Balance, rng: random.Random
) -> list[tuple[ScoredCandidate, ScoredCandidate]]:
    pairs: list[tuple[ScoredCandidate, ScoredCandidate]] = []
    left = [one for one in candidates if _may_win(one, settings)]
    beaten: Counter[str] = Counter()
    while left and len(pairs) < settings.per_document:
        # The rarest opening first; among equals, the best.
        best = min(left, key=lambda one: (*balance.frequency(one.text), -one.reward, one.text))
        left = [one for one in left if opening_of(one.text) != opening_of(best.text)]
        worse = [one for one in candidates if _clearly(best, one, settings)]
        if not worse or not balance.room_for(best.text):
            continue
        rejected = min(
            worse,
            key=lambda one: (
                opening_of(one.text) != opening_of(best.text),
                beaten[one.text],
                query_type(one.text) != query_type(best.text),
                one.reward,
                one.text,
            ),
        )
        beaten[rejected.text] += 1
        balance.add(best.text)
        pairs.append((best, rejected))
    return pairs


def _three_candidates(
    candidates: Sequence[ScoredCandidate], settings: PairSettings, balance: _Balance, rng: random.Random
) -> list[tuple[ScoredCandidate, ScoredCandidate]]:
    """Best against worst of three, dropped when all of them lie in the undecided middle.

    The three are of the model itself, which comes last, and of the first two others; of a model alone, its first three.
    """
    by_origin: dict[str, ScoredCandidate] = {}
    for one in candidates:
        by_origin.setdefault(one.origin.removesuffix(f", opening '{one.opening}'"), one)
    *others, own = by_origin.values()
    three = [*others[:2], own] if others else list(candidates)[:3]
    if len(three) < 2 or all(0.3 < one.reward < 0.7 for one in three):
        return []
    _, worst = _extremes(three)
    best, _ = _extremes([worst, *(one for one in three if balance.room_for(one.text))])
    if not _may_win(best, settings) or not _clearly(best, worst, settings):
        return []
    balance.add(best.text)
    return [(best, worst)]


def _threshold(
    candidates: Sequence[ScoredCandidate], settings: PairSettings, balance: _Balance, rng: random.Random
) -> list[tuple[ScoredCandidate, ScoredCandidate]]:
    """Reinforced-IR's, with the least reward of a chosen query as what the best must surpass."""
    if not candidates:
        return []
    _, worst = _extremes(candidates)
    pool = [one for one in candidates if one is worst or balance.room_for(one.text)]
    pool.sort(key=lambda one: (one.reward, one.text), reverse=True)
    baseline = settings.min_chosen
    # A reward stands where the likeness of answer and passage stands in the paper.
    scores = [_OF_QUERY * baseline + (1 - _OF_QUERY) * one.reward for one in pool]
    choice = threshold_choice(scores, baseline=baseline, tau=settings.tau)
    if choice is None:
        return []
    best = pool[choice[0]]
    if not _may_win(best, settings) or not _distinct(best, worst):
        return []
    balance.add(best.text)
    return [(best, worst)]


def threshold_choice(scores: Sequence[float], *, baseline: float, tau: float = 0.95) -> tuple[int, int] | None:
    """Which of several answers Reinforced-IR prefers to which (arXiv 2502.11562 and its published code).

    An answer a is judged by how like the passage d a query q is with it: ``s = (.8 q + .2 a) · d``. The best is
    preferred to the worst if it is better than the query alone, ``max s > s0`` with ``s0 = q · d``, and if the worst is
    clearly below it: ``(max s - .8 s0) tau >= min s - .8 s0``, which says ``a_worst · d <= tau a_best · d``.

    Args:
        scores: s of each answer.
        baseline: s0.
        tau: how near to the best the worst may come.

    Returns:
        The positions of the best and of the worst, or ``None`` where neither is preferred. Of equals the first counts.
    """
    if len(scores) < 2:
        return None
    positions = range(len(scores))
    best, worst = max(positions, key=scores.__getitem__), min(positions, key=scores.__getitem__)
    own = _OF_QUERY * baseline
    kept = scores[best] > max(baseline, scores[worst]) and (scores[best] - own) * tau >= scores[worst] - own
    return (best, worst) if kept else None


def _random(
    candidates: Sequence[ScoredCandidate], settings: PairSettings, balance: _Balance, rng: random.Random
) -> list[tuple[ScoredCandidate, ScoredCandidate]]:
    """The control: any two candidates, in any order."""
    pairs = []
    for _ in range(settings.per_document):
        if len(candidates) >= 2:
            one, other = rng.sample(list(candidates), 2)
            if _distinct(one, other):
                pairs.append((one, other))
    return pairs


PAIR_RULES: Mapping[str, _Rule] = {
    "reward": _by_reward,
    "three-candidates": _three_candidates,
    "threshold": _threshold,
    "random": _random,
}
"""The rules by name; ``random`` ignores rewards and checks, and is there for comparison."""


def pair_counts(pairs: Iterable[PreferencePair]) -> dict[str, Any]:
    """For a report: pairs, documents, mean rewards, and how the chosen queries begin."""
    pairs = list(pairs)
    count = max(len(pairs), 1)
    openings = Counter(opening_of(pair.chosen) for pair in pairs)
    return {
        "pairs": len(pairs),
        "documents": len({pair.document_id for pair in pairs}),
        "chosen_score": sum(pair.chosen_score for pair in pairs) / count,
        "rejected_score": sum(pair.rejected_score for pair in pairs) / count,
        "openings": dict(openings.most_common(12)),
        "top_opening": max(openings.values(), default=0) / count,
        "types": dict(Counter(query_type(pair.chosen) for pair in pairs).most_common()),
    }


def write_pairs(path: Path, pairs: Iterable[PreferencePair]) -> None:
    """Write pairs as JSONL, replacing the file."""
    write_lines(path, (pair.model_dump() for pair in pairs))


def read_pairs(path: Path) -> list[PreferencePair]:
    """Read what :func:`write_pairs` wrote, or another tool did.

    Raises:
        InputError: a line is no pair; it names the line.
    """
    pairs = []
    for number, line in read_lines(path):
        try:
            pairs.append(PreferencePair.model_validate(line))
        except ValidationError as problem:
            first = problem.errors()[0]
            raise InputError(
                f"this line is no preference pair ({'.'.join(map(str, first['loc']))}: {first['msg']})",
                place=f"{path}, line {number}",
                remedy="Give prompt, chosen, rejected, chosen_score, rejected_score and document_id",
            ) from problem
    return pairs


def _may_win(one: ScoredCandidate, settings: PairSettings) -> bool:
    return one.reward >= settings.min_chosen and (one.accepted or not settings.guarded)


def _clearly(best: ScoredCandidate, other: ScoredCandidate, settings: PairSettings) -> bool:
    return best.reward - other.reward >= settings.min_gap and _distinct(best, other)


def _distinct(one: ScoredCandidate, other: ScoredCandidate) -> bool:
    return words(one.text) != words(other.text)


def _extremes(candidates: Sequence[ScoredCandidate]) -> tuple[ScoredCandidate, ScoredCandidate]:
    ordered = sorted(candidates, key=lambda one: (one.reward, one.text))
    return ordered[-1], ordered[0]
