"""Is the difference real? Paired tests over documents or queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inpars_plus.foundation.errors import InputError

__all__ = ["Difference", "holm", "paired_bootstrap", "paired_randomization"]


@dataclass(frozen=True)
class Difference:
    """A mean paired difference with its interval.

    Attributes:
        score: mean of after minus before.
        low: lower end of the interval.
        high: upper end.
    """

    score: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For a summary file."""
        return {"score": self.score, "low": self.low, "high": self.high}


def paired_bootstrap(
    before: Sequence[float], after: Sequence[float], *, seed: int, samples: int = 10_000, confidence: float = 0.95
) -> Difference:
    """The percentile bootstrap interval of a mean paired difference (Efron and Tibshirani, 1993, chapter 13).

    Args:
        before: one value a document.
        after: as many, of the same documents in the same order.
        seed: of the resampling.
        samples: how many resamples.
        confidence: share of resamples inside the interval.

    Raises:
        InputError: the two are not of the same length, or empty.
    """
    differences = _differences(before, after)
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    step = max(1, 4_000_000 // len(differences))
    for start in range(0, samples, step):
        count = min(step, samples - start)
        drawn = generator.integers(0, len(differences), size=(count, len(differences)))
        means[start : start + count] = differences[drawn].mean(axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Difference(float(differences.mean()), float(low), float(high))


def paired_randomization(before: Sequence[float], after: Sequence[float], *, seed: int, samples: int = 10_000) -> float:
    """The two-sided p-value of a paired randomisation (sign-flip) test of the mean difference (Fisher, 1935).

    Args:
        before: one value a document or query.
        after: as many, in the same order.
        seed: of the sign flips.
        samples: how many flips are drawn, unless there are no more than that in all: with the default and up to 13
            values each of them counts once, so p is exact and does not depend on the seed.

    Returns:
        The share of flips with a mean at least as far from 0, the observed one counted, so never 0.

    Raises:
        InputError: the two are not of the same length, or empty.
    """
    differences = _differences(before, after)
    count = len(differences)
    generator = np.random.default_rng(seed)
    observed = abs(differences.mean())
    exact = 2**count <= samples
    flips = 2**count if exact else samples
    extreme = 0
    step = max(1, 4_000_000 // count)
    for start in range(0, flips, step):
        some = min(step, flips - start)
        if exact:
            bits = np.arange(start, start + some)[:, None] >> np.arange(count) & 1
            signs = 1.0 - 2.0 * bits
        else:
            signs = generator.choice((-1.0, 1.0), size=(some, count))
        extreme += int((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).sum())
    return extreme / flips if exact else (extreme + 1) / (flips + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for the number of tests, step down (Holm, 1979): below alpha means significant at alpha.

    Args:
        p_values: test → p-value.

    Returns:
        Test → adjusted p-value, at most 1, in the order given. The smallest of m is multiplied by m, the next by
        m - 1, and so on; none is below that of a smaller one.
    """
    highest, adjusted = 0.0, dict[str, float]()
    for at, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - at) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _differences(before: Sequence[float], after: Sequence[float]) -> np.ndarray:
    if len(before) != len(after) or not before:
        raise InputError(
            f"a paired test needs as many values before as after, and some, not {len(before)} and {len(after)}",
            remedy="Score both on the same documents",
        )
    differences: np.ndarray = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    return differences
