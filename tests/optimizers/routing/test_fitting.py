"""Fitting the analyst: it tells unseen documents apart, knows what is foreign to all, and repeats under its seed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.retrieval.hashing import HashingEncoder

ENCODER = HashingEncoder()


def test_unseen_documents_get_their_type(typed: Any) -> None:
    fitted = fit_type_router(typed.some(150, "code", "talk", "report"), ENCODER, seed=0)
    unseen = typed.some(40, "code", "talk", "report", start=150)
    routes = fitted.router.route(unseen)
    right = [route.document_type == one.doc_type for route, one in zip(routes, unseen, strict=True)]
    assert sum(right) / len(right) >= 0.98
    assert fitted.right >= 0.98
    assert fitted.documents == {"code": 150, "report": 150, "talk": 150}


def test_documents_of_a_type_that_was_never_seen_are_of_no_known_type(typed: Any) -> None:
    router = fit_type_router(typed.some(80, "talk", "report"), ENCODER, seed=0).router
    routes = router.route(typed.some(30, "code"))
    assert {route.reason for route in routes} == {"unknown_type"}
    assert all(route.document_type is None and route.nearest in ("talk", "report") for route in routes)


def test_the_same_seed_gives_the_same_weights(typed: Any) -> None:
    documents = typed.some(40, "code", "talk")
    settings = [json.dumps(fit_type_router(documents, ENCODER, seed=seed).router.dump_settings()) for seed in (3, 3, 4)]
    assert settings[0] == settings[1]
    assert settings[0] != settings[2]


def test_empty_documents_are_passed_over(typed: Any) -> None:
    empty = [Document(id=f"empty-{number}", doc_type="nothing") for number in range(20)]
    fitted = fit_type_router([*typed.some(20, "code", "talk"), *empty], ENCODER, seed=0)
    assert fitted.router.types == ("code", "talk")


def test_documents_that_are_all_alike_are_told_apart_too() -> None:
    texts = {"code": "def add(a, b): return a + b", "talk": "Well, thank you all so much for coming tonight!"}
    documents = [
        Document(id=f"{name}-{at}", text=text, doc_type=name) for name, text in texts.items() for at in range(12)
    ]
    fitted = fit_type_router(documents, ENCODER, seed=0)
    assert fitted.right == 1.0


def test_one_type_or_too_few_documents_of_one_are_refused(typed: Any) -> None:
    with pytest.raises(ConfigurationError, match="all of type 'code'"):
        fit_type_router(typed.some(20, "code"), ENCODER, seed=0)
    with pytest.raises(ConfigurationError, match="only 3 of type 'talk'"):
        fit_type_router([*typed.some(20, "code"), *typed.some(3, "talk")], ENCODER, seed=0)
    with pytest.raises(ConfigurationError, match="0 documents"):
        fit_type_router([], ENCODER, seed=0)
