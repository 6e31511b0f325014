"""The offline analyst as a program: routes, its file, its copies, and encoders that do not fit."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, ProgramFileError
from inpars_plus.foundation.files import digest
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import (
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    Route,
    TypeRouter,
    list_programs,
    load_program,
    save_program,
)
from inpars_plus.programs.form import FORM_FEATURES
from inpars_plus.programs.type_router import RouterWeights
from inpars_plus.retrieval.hashing import HashingEncoder

CARD = ProgramCard(
    document_type="any",
    lm="hashing-64",
    optimizer=OptimizerRecord(name="logistic-regression"),
    seed=0,
    metric=MetricRecord(name="routing"),
    data_hash="abc",
)


@pytest.fixture(scope="module")
def router(typed: Any) -> TypeRouter:
    return fit_type_router(typed.some(150, "code", "talk", "report"), HashingEncoder(), seed=0).router


@pytest.fixture
def saved(router: TypeRouter, tmp_path: Path) -> Path:
    save_program(router, tmp_path / "analyst.json", CARD)
    return tmp_path / "analyst.json"


def test_a_batch_and_single_documents_have_the_same_routes(router: TypeRouter, typed: Any) -> None:
    documents = typed.some(5, "code", "talk", "report", start=200)
    together = router.route(documents)
    for document, route in zip(documents, together, strict=True):
        alone = router(source=document)
        assert (alone.document_type, alone.reason, alone.nearest) == (route.document_type, None, document.doc_type)
        assert alone.confidence == pytest.approx(route.confidence)
        assert 0.9 < alone.confidence <= 1.0


def test_an_empty_document_has_a_reason_and_the_others_keep_their_places(router: TypeRouter, typed: Any) -> None:
    (code,) = typed.some(1, "code", start=200)
    routes = router.route([Document(id="e"), code, Document(id="f", text=" \n")])
    assert [route.reason for route in routes] == ["empty_document", None, "empty_document"]
    assert routes[1].document_type == "code"
    assert router.route([]) == []


def test_a_document_unlike_all_others_is_of_no_known_type(router: TypeRouter) -> None:
    odd = [Document(id="1", text="7 8 9 " * 500), Document(id="2", text="¿¿¿ ### @@@"), Document(id="3", text="x")]
    assert {route.reason for route in router.route(odd)} == {"unknown_type"}


def test_the_limits_tell_known_from_unknown_and_the_classifier_tells_the_type(router: TypeRouter, typed: Any) -> None:
    (code,) = typed.some(1, "code", start=200)
    at = router.types.index("code")

    def told(own: float, others: float) -> Route:
        limits = np.full(len(router.types), others)
        limits[at] = own
        (route,) = TypeRouter(
            router.types, dataclasses.replace(router.weights, limits=limits), encoder=HashingEncoder()
        ).route([code])
        return route

    assert told(own=1e9, others=0.0).document_type == "code"
    assert told(own=0.0, others=1e9).document_type == "code", "within another type's limit it is known"
    assert told(own=0.0, others=0.0).reason == "unknown_type"


def test_a_loaded_analyst_says_exactly_what_the_saved_one_said(router: TypeRouter, saved: Path, typed: Any) -> None:
    loaded = load_program(saved)
    assert isinstance(loaded, TypeRouter)
    documents = typed.some(20, "code", "talk", "report", start=200)
    assert loaded.use_encoder(HashingEncoder()).route(documents) == router.route(documents)
    assert [card.program for card in list_programs(saved.parent)] == ["TypeRouter"]
    save_program(loaded, saved.parent / "again.json", loaded.card)
    assert (saved.parent / "again.json").read_bytes() == saved.read_bytes()


def test_an_analyst_of_a_large_encoder_is_saved_and_loaded(tmp_path: Path) -> None:
    vector, width = 2_048, 2_048 + len(FORM_FEATURES)
    shapes = {"center": (width,), "scale": (width,), "coefficients": (2, width), "intercepts": (2,)}
    shapes |= {"means": (2, width), "whitening": (width, width), "limits": (2,), "probe": (vector,)}
    weights = RouterWeights(**{name: np.ones(shape) for name, shape in shapes.items()})
    save_program(TypeRouter(["code", "talk"], weights), tmp_path / "large.json", CARD)
    loaded: Any = load_program(tmp_path / "large.json")
    assert loaded.weights.whitening.shape == (width, width)


def test_an_encoder_that_the_weights_were_not_fitted_with_is_refused(saved: Path, typed: Any) -> None:
    class Reversed(HashingEncoder):
        def encode(self, texts: Any, *, short: bool = False) -> Any:
            return super().encode(texts)[:, ::-1]

    for other in (HashingEncoder(32), Reversed()):
        loaded: Any = load_program(saved)
        with pytest.raises(ConfigurationError, match="not the one that the analyst was fitted with"):
            loaded.use_encoder(other).route(typed.some(1, "code"))


def test_copies_share_the_encoder(router: TypeRouter, typed: Any) -> None:
    class Locked(HashingEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()  # cannot be copied

    locked = TypeRouter(router.types, router.weights, encoder=Locked())
    documents = typed.some(3, "talk", start=200)
    for made in (copy.deepcopy(locked), locked.deepcopy(), locked.reset_copy()):
        assert made.route(documents) == router.route(documents)


def test_the_file_of_another_set_of_features_is_refused(saved: Path) -> None:
    envelope = json.loads(saved.read_text())
    envelope["settings"]["form"] = envelope["settings"]["form"][:-1]
    _resign(saved, envelope)
    with pytest.raises(ProgramFileError, match="other features of form"):
        load_program(saved)


@pytest.mark.parametrize(
    "weights",
    [
        {"shape": [3], "float32": "AAAA"},
        {"shape": [3, 3], "float32": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"shape": [0], "float32": ""},
        {"shape": [1], "float32": "§§§"},
        {"shape": [-1], "float32": "AAAAAA=="},
        {"shape": [2**32, 2**32], "float32": ""},
        {},
    ],
)
def test_weights_that_are_none_are_refused_in_one_sentence(saved: Path, weights: dict[str, Any]) -> None:
    envelope = json.loads(saved.read_text())
    envelope["settings"]["weights"]["means"] = weights
    _resign(saved, envelope)
    with pytest.raises(ProgramFileError) as caught:
        load_program(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(router: TypeRouter) -> None:
    broken = dataclasses.replace(router.weights, limits=np.array([1.0, np.nan, 1.0]))
    with pytest.raises(ProgramFileError, match="'limits'"):
        TypeRouter(router.types, broken)


def test_an_analyst_of_one_type_is_refused(router: TypeRouter) -> None:
    with pytest.raises(ConfigurationError, match="at least two different types"):
        TypeRouter(["code"], router.weights)


def test_a_route_has_either_a_type_or_a_reason() -> None:
    with pytest.raises(ValueError, match="either a type or a reason"):
        Route(document_type="code", reason="unknown_type")
    with pytest.raises(ValueError, match="either a type or a reason"):
        Route(document_type=None)


def test_loading_an_analyst_brings_no_torch(saved: Path) -> None:
    import subprocess

    code = (
        "import sys; from inpars_plus.programs import load_program; from inpars_plus.corpora import Document; "
        "from inpars_plus.retrieval.hashing import HashingEncoder; "
        f"router = load_program({str(saved)!r}).use_encoder(HashingEncoder()); "
        "print(router(source=Document(id='1', text='a_b = c.d_e()')).nearest, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["code", "False"]


def _resign(path: Path, envelope: dict[str, Any]) -> None:
    envelope["digest"] = digest({key: value for key, value in envelope.items() if key != "digest"})
    path.write_text(json.dumps(envelope))
