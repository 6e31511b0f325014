"""Scores smoothed over documents that are alike: what answers a question stands near other answers to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inpars_plus.retrieval.indexed import Hits

__all__ = ["METHOD", "SMOOTHED", "Vectors", "smoothed"]

METHOD = 1
"""How it is done; finished runs of another number are not taken for this one's."""
SMOOTHED = 100
"""How many documents of a ranking take part, whatever k is."""

_NEIGHBORS = 5
_SHARPNESS = 4
_DECIMALS = 5
"""Cosines are rounded to these, because their last bits depend on the machine: ties must not."""
_SCORE_DECIMALS = 9
"""So that equal scores stay equal, whatever their weights in a mean."""

Vectors = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
"""Positions of documents → ``[documents, dimensions]``, rows of length 1, or 0 for an empty document."""


def smoothed(hits: Hits, vectors: Vectors, weight: float) -> Hits:
    """Rank the first 100 documents anew, each by a mean of its own score and those of its nearest among them.

    ``s'(d) = (s(d) + a * sum of cos(d, n)^4 * s(n)) / (1 + a * sum of cos(d, n)^4)`` over the 5 nearest neighbors n of
    d, where a is the weight. It is one step of score regularization (Diaz 2005, "Regularizing Ad Hoc Retrieval
    Scores"), but a document without a near neighbor keeps its score. Those behind the first 100 stay behind them, in
    their order.

    Args:
        hits: at least 100 wide, or as wide as the corpus.
        vectors: of documents.
        weight: of a neighbor with the same vector, beside 1 for the document itself.
    """
    positions, scores = hits.positions.copy(), hits.scores.copy()
    for row, found in enumerate((hits.positions[:, :SMOOTHED] >= 0).sum(axis=1).tolist()):
        if found < 2:
            continue
        values = _smoothed(hits.scores[row, :found], vectors(hits.positions[row, :found]), weight)
        order = np.lexsort((hits.positions[row, :found], -values))
        positions[row, :found], scores[row, :found] = hits.positions[row, order], values[order]
        # A mean of these is below none of those behind them, but for rounding.
        scores[row, found:] = np.minimum(scores[row, found:], scores[row, found - 1])
    return Hits(positions, scores)


def _smoothed(
    scores: npt.NDArray[np.float64], vectors: npt.NDArray[np.float32], weight: float
) -> npt.NDArray[np.float64]:
    cosines = (vectors @ vectors.T).round(_DECIMALS)
    np.fill_diagonal(cosines, -2.0)
    total, weights, rows = scores.copy(), np.ones_like(scores), np.arange(len(scores))
    for _ in range(min(_NEIGHBORS, len(scores) - 1)):
        nearest = cosines.argmax(axis=1)  # of equal ones, the one that is ranked first
        part = weight * cosines[rows, nearest].clip(0.0, 1.0).astype(np.float64) ** _SHARPNESS
        total, weights = total + part * scores[nearest], weights + part
        cosines[rows, nearest] = -2.0
    return np.asarray((total / weights).round(_SCORE_DECIMALS), dtype=np.float64)
