"""Fitting the offline analyst on documents whose types are known.

Where documents of no known type begin is set on documents that the weights have not seen: in four folds, each is
compared with weights fitted on the other three, and a type's limit is the distance that ``KEPT`` of its documents stay
within. The weights themselves are then fitted on all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.type_router import PROBE, DocumentEncoder, RouterWeights, TypeRouter, features_of, scaled

__all__ = ["KEPT", "LEAST_DOCUMENTS", "FittedRouter", "fit_type_router"]

KEPT = 0.995
"""Share of a type's documents that its limit keeps."""

LEAST_DOCUMENTS = 8
"""Of each type."""

_FOLDS = 4
_STRENGTH = (
    0.1  # scikit-learn's C: strong regularisation, because there are more columns than most types have documents
)
_SMALLEST_SCALE = 1e-3
_SMALLEST_DISTANCE = 1e-6
_RIDGE = 1e-6
_BEYOND = 2

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FittedRouter:
    """A fitted analyst.

    Attributes:
        router: ready to use.
        documents: type → how many documents it was fitted on.
        right: share of documents that were given their own type by weights that had not seen them.
        unknown: share that was found to be of no known type by the same; about 1 − ``KEPT`` by design.
    """

    router: TypeRouter
    documents: dict[str, int]
    right: float
    unknown: float


def fit_type_router(documents: Sequence[Document], encoder: DocumentEncoder, *, seed: int) -> FittedRouter:
    """Fit an analyst to the types that documents state.

    Args:
        documents: of at least two types; empty ones are passed over.
        encoder: of the documents; the analyst keeps it.
        seed: of the folds.

    Raises:
        ConfigurationError: there is one type, or one of too few documents.
    """
    kept = [document for document in documents if not document.is_empty]
    counts = Counter(document.doc_type for document in kept)
    types = sorted(counts)
    few = next((name for name in types if counts[name] < LEAST_DOCUMENTS), None)
    if len(types) < 2 or few is not None:
        problem = f"only {counts[few]} of type '{few}'" if few is not None else f"all of type '{', '.join(types)}'"
        raise ConfigurationError(
            f"an analyst is fitted on at least {LEAST_DOCUMENTS} documents of each of two types, and of these "
            f"{len(kept)} documents there are {problem}",
            remedy="Give more documents, or leave small types out",
        )
    rows = features_of(kept, encoder.encode([document.full_text for document in kept]))
    labels = np.array([types.index(document.doc_type) for document in kept])
    probe = np.asarray(encoder.encode([PROBE]), dtype=np.float64)[0]
    best, own, nearest = np.zeros(len(kept), dtype=int), np.zeros(len(kept)), np.zeros((len(kept), len(types)))
    folds = _folds(labels, seed)
    for fold in range(_FOLDS):
        left = folds == fold
        router = TypeRouter(types, _weights(rows[~left], labels[~left], len(types), probe))
        best[left] = router.probabilities(rows[left]).argmax(axis=1)
        nearest[left] = router.distances(rows[left])
        own[left] = nearest[left, labels[left]]
    limits = np.array([_limit(own[labels == one]) for one in range(len(types))])
    known = (nearest <= limits).any(axis=1)
    weights = _weights(rows, labels, len(types), probe, limits=limits)
    return FittedRouter(
        router=TypeRouter(types, weights, encoder=encoder),
        documents={name: counts[name] for name in types},
        right=float((known & (best == labels)).mean()),
        unknown=float((~known).mean()),
    )


def _limit(distances: _Numbers) -> float:
    """The distance that ``KEPT`` of a type's documents stay within.

    The quantile of these distances where at least ``_BEYOND`` lie beyond it; else that of a normal distribution of
    their logarithms, because the farthest of few documents is as far as chance, or one odd document, made it.
    """
    if len(distances) * (1.0 - KEPT) >= _BEYOND:
        return float(np.quantile(distances, KEPT))
    logarithms = np.log(np.maximum(distances, _SMALLEST_DISTANCE))
    return math.exp(logarithms.mean() + NormalDist().inv_cdf(KEPT) * logarithms.std(ddof=1))


def _folds(labels: npt.NDArray[Any], seed: int) -> npt.NDArray[Any]:
    """The fold of each document; each type is spread evenly over them."""
    generator = np.random.default_rng(seed)
    folds = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        places = generator.permutation(np.flatnonzero(labels == label))
        folds[places] = np.arange(len(places)) % _FOLDS
    return folds


def _weights(
    rows: _Numbers, labels: npt.NDArray[Any], types: int, probe: _Numbers, *, limits: _Numbers | None = None
) -> RouterWeights:
    from sklearn.covariance import LedoitWolf
    from sklearn.linear_model import LogisticRegression

    center, scale = rows.mean(axis=0), rows.std(axis=0)
    # A feature that hardly varies here would make a new document that has a little of it seem far away.
    scale = np.maximum(scale, _SMALLEST_SCALE)
    points = scaled(rows, center, scale)
    model = LogisticRegression(C=_STRENGTH, max_iter=2_000).fit(points, labels)
    # Of two types scikit-learn gives the weights of the second alone.
    coefficients = model.coef_ if types > 2 else np.vstack([-model.coef_ / 2, model.coef_ / 2])
    intercepts = model.intercept_ if types > 2 else np.array([-model.intercept_[0] / 2, model.intercept_[0] / 2])
    means = np.stack([points[labels == one].mean(axis=0) for one in range(types)])
    covariance = LedoitWolf(assume_centered=True).fit(points - means[labels]).covariance_
    # Documents that are all alike have no covariance, which could not be inverted.
    whitening = np.linalg.cholesky(np.linalg.inv(covariance + _RIDGE * np.eye(len(covariance))))
    return RouterWeights(
        **{
            # As they come back from the file, so that a saved analyst says the same.
            name: np.asarray(value, dtype=np.float32).astype(np.float64)
            for name, value in {
                "center": center,
                "scale": scale,
                "coefficients": coefficients,
                "intercepts": intercepts,
                "means": means,
                "whitening": whitening,
                "limits": np.full(types, np.finfo(np.float32).max) if limits is None else limits,
                "probe": probe,
            }.items()
        }
    )
