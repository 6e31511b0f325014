"""The offline analyst: tells a document's type from its vector and its form, without a language model.

It is a linear classifier over both (multinomial logistic regression), and beside it a measure of how unlike the
documents of a type a document is: the squared Mahalanobis distance to the nearest type's mean under one covariance
for all types (Lee et al., 2018, arXiv:1807.03888), divided by the number of dimensions. Each type has a limit. A
document beyond every type's own limit is of no known type, however sure the classifier is. A document within the limit
of any type is known, and the classifier alone says of which type it is: that may be one whose own limit it is beyond,
because the limits tell known from unknown and not one type from another. :mod:`inpars_plus.optimizers.routing` fits
both.

Weights are numbers in JSON; the encoder is not saved. It is given, or else it is the embedded one, which is loaded
when the first document comes.
"""

from __future__ import annotations

import base64
import binascii
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Protocol, Self

import dspy
import numpy as np
import numpy.typing as npt

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, ProgramFileError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.programs.form import FORM_FEATURES, form_features
from inpars_plus.programs.inputs import check_document, check_documents
from inpars_plus.programs.program import Program
from inpars_plus.programs.routes import Route

__all__ = ["PROBE", "DocumentEncoder", "RouterWeights", "TypeRouter", "features_of", "scaled"]

PROBE = "The pump of the third unit stops with error 7 when air has entered the line; how is the vent opened?"
"""A text whose vector is kept with the weights, so that another encoder than the one they were fitted on is noticed."""

_LEAST_LIKENESS = 0.95
_MOST_SPREADS = 8.0

_Numbers = npt.NDArray[np.float64]


class DocumentEncoder(Protocol):
    """What turns documents into vectors; :class:`inpars_plus.retrieval.encoders.Encoder` is one."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of length 1, ``[texts, dimensions]``."""
        ...


@dataclass(frozen=True)
class RouterWeights:
    """What was fitted. T types, V dimensions of a vector, D = V + features of form.

    Attributes:
        center: ``[D]``, of the rows of :func:`features_of`.
        scale: ``[D]``, their spread; see :func:`scaled`.
        coefficients: ``[T, D]``, of the classifier.
        intercepts: ``[T]``.
        means: ``[T, D]``, of the types' scaled rows.
        whitening: ``[D, D]``, times which scaled rows have covariance 1 within types.
        limits: ``[T]``, a distance a type; a document that is beyond all of them is of no known type.
        probe: ``[V]``, the vector of :data:`PROBE`.
    """

    center: _Numbers
    scale: _Numbers
    coefficients: _Numbers
    intercepts: _Numbers
    means: _Numbers
    whitening: _Numbers
    limits: _Numbers
    probe: _Numbers

    def check(self, types: int) -> None:
        """Refuse weights whose shapes do not fit together.

        Raises:
            ProgramFileError: one of them is of another shape, or holds what is no number.
        """
        width = len(self.probe) + len(FORM_FEATURES)
        shapes = {
            "center": (width,),
            "scale": (width,),
            "coefficients": (types, width),
            "intercepts": (types,),
            "means": (types, width),
            "whitening": (width, width),
            "limits": (types,),
            "probe": (len(self.probe),),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ProgramFileError(
                    f"the weights '{name}' of the analyst are of the shape {value.shape} or not finite, and should be "
                    f"numbers of the shape {shape}",
                    remedy="Fit the analyst again",
                )


class _Encoding:
    """The encoder of a router: shared by its copies, made when it is needed, compared with the probe once."""

    def __init__(self, encoder: DocumentEncoder | None) -> None:
        self._encoder = encoder
        self._compared = False
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Encoding:
        return self

    def vectors(self, texts: Sequence[str], probe: _Numbers) -> npt.NDArray[np.float32]:
        with self._lock:
            if self._encoder is None:
                # By name, because this package must not bring torch along.
                self._encoder = import_module("inpars_plus.retrieval.encoders").load_encoder()
            encoder: Any = self._encoder
            if not self._compared:
                _compare(encoder.encode([PROBE]), probe)
                self._compared = True
        return np.asarray(encoder.encode(list(texts)))


class TypeRouter(Program):
    """Tells the types of documents, in batches and without a language model.

    Safe to call from many threads and to deep-copy; copies share the encoder.

    Args:
        types: the known types, at least two.
        weights: fitted on documents of these types, in this order.
        encoder: of the documents; ``None`` is the embedded one.
    """

    def __init__(self, types: Sequence[str], weights: RouterWeights, *, encoder: DocumentEncoder | None = None) -> None:
        super().__init__()
        if len(types) < 2 or len(set(types)) != len(types):
            raise ConfigurationError(
                f"an analyst tells at least two different types apart, and was given {', '.join(types) or 'none'}",
                remedy="Name two or more; documents of one type need no analyst",
            )
        weights.check(len(types))
        self.types = tuple(types)
        self.weights = weights
        self._encoding = _Encoding(encoder)

    def use_encoder(self, encoder: DocumentEncoder) -> Self:
        """Encode with this encoder from now on; copies that were made before keep theirs."""
        self._encoding = _Encoding(encoder)
        return self

    def route(self, documents: Sequence[Document]) -> list[Route]:
        """Tell the types of documents.

        Returns:
            A route a document, in order: a type, or ``unknown_type`` or ``empty_document``.

        Raises:
            ConfigurationError: the encoder is another one than that of the fitting, or what is given is no list of
                documents.
            MissingPartError: there is no encoder on this machine.
        """
        check_documents(documents)
        routes = [Route(document_type=None, reason="empty_document")] * len(documents)
        filled = [at for at, document in enumerate(documents) if not document.is_empty]
        if not filled:
            return routes
        some = [documents[at] for at in filled]
        rows = features_of(some, self._encoding.vectors([one.full_text for one in some], self.weights.probe))
        for at, route in zip(filled, self._routes(rows), strict=True):
            routes[at] = route
        return routes

    def forward(self, source: Document) -> dspy.Prediction:
        """Tell the type of one document.

        Returns:
            A prediction with the fields of :class:`~inpars_plus.programs.routes.Route`.

        Raises:
            InParsError: as :meth:`route`; a ``ConfigurationError`` where the source is no document.
        """
        check_document(source)
        (route,) = self.route([source])
        return dspy.Prediction(**route.model_dump())

    def distances(self, rows: _Numbers) -> _Numbers:
        """How unlike the types documents are, in their own spread: about 1 for a document of the type.

        Args:
            rows: ``[documents, D]`` from :func:`features_of`.

        Returns:
            ``[documents, types]``.
        """
        weights = self.weights
        spread = scaled(rows, weights.center, weights.scale) @ weights.whitening
        centers = weights.means @ weights.whitening
        squares = (spread**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1) - 2.0 * spread @ centers.T
        return np.asarray(np.maximum(squares, 0.0) / rows.shape[1])

    def probabilities(self, rows: _Numbers) -> _Numbers:
        """Of the types, by the classifier: ``[documents, types]``, from rows of :func:`features_of`."""
        weights = self.weights
        logits = scaled(rows, weights.center, weights.scale) @ weights.coefficients.T + weights.intercepts
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def _routes(self, rows: _Numbers) -> list[Route]:
        shares, distances = self.probabilities(rows), self.distances(rows)
        routes = []
        for share, distance in zip(shares, distances, strict=True):
            best = int(share.argmax())
            known = bool((distance <= self.weights.limits).any())
            routes.append(
                Route(
                    document_type=self.types[best] if known else None,
                    reason=None if known else "unknown_type",
                    confidence=float(share[best]),
                    nearest=self.types[best],
                )
            )
        return routes

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know to build this program again; the weights in base64."""
        packed = {field.name: _packed(getattr(self.weights, field.name)) for field in fields(self.weights)}
        return {"types": list(self.types), "form": list(FORM_FEATURES), "weights": packed}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave.

        Raises:
            ProgramFileError: the weights cannot be read, or are for other features of form.
        """
        if settings["form"] != list(FORM_FEATURES):
            raise ProgramFileError(
                "the analyst was fitted on other features of form than this version of inpars-plus knows",
                remedy="Fit it again, or use the version that wrote it",
            )
        weights = {field.name: _unpacked(settings["weights"][field.name]) for field in fields(RouterWeights)}
        return cls([str(name) for name in settings["types"]], RouterWeights(**weights))


def features_of(documents: Sequence[Document], vectors: npt.NDArray[np.float32]) -> _Numbers:
    """What types are told by: vectors of meaning beside the features of form.

    Args:
        documents: any.
        vectors: ``[documents, V]``, of their full texts.

    Returns:
        ``[documents, V + features of form]``, not scaled.
    """
    return np.hstack([np.asarray(vectors, dtype=np.float64), form_features(documents)])


def scaled(rows: _Numbers, center: _Numbers, scale: _Numbers) -> _Numbers:
    """Rows less their center, in units of their spread, each at most 8: no single feature makes a document foreign."""
    return np.clip((rows - center) / scale, -_MOST_SPREADS, _MOST_SPREADS)


def _compare(found: npt.NDArray[np.float32], probe: _Numbers) -> None:
    row = np.asarray(found, dtype=np.float64).ravel()
    if row.shape == probe.shape and float(row @ probe) >= _LEAST_LIKENESS:
        return
    raise ConfigurationError(
        "the encoder is not the one that the analyst was fitted with: the same text has another vector, of "
        f"{row.size} dimensions for {probe.size}",
        remedy="Give the analyst the encoder of its fitting, or fit it again",
    )


def _packed(array: _Numbers) -> dict[str, Any]:
    data = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(data.shape), "float32": base64.b64encode(data.tobytes()).decode("ascii")}


def _unpacked(packed: Mapping[str, Any]) -> _Numbers:
    shape = tuple(int(length) for length in packed["shape"])
    try:
        data = base64.b64decode(packed["float32"], validate=True)
    except binascii.Error as problem:
        raise ProgramFileError("the weights of the analyst are not base64", remedy="Fit it again") from problem
    if not shape or min(shape) < 1 or len(data) != 4 * math.prod(shape):
        raise ProgramFileError("the weights of the analyst are of another shape than they say", remedy="Fit it again")
    return np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float64)
