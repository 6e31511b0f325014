"""With the embedded encoder: an analyst from its file, and types of real collections told apart and proposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import adjusted_rand_score

from inpars_plus.corpora import Document, open_corpus, sample
from inpars_plus.foundation import default_cache_directory
from inpars_plus.optimizers.routing import fit_type_router, propose_types
from inpars_plus.programs import MetricRecord, OptimizerRecord, ProgramCard, load_program, save_program
from inpars_plus.programs.form import form_features
from inpars_plus.retrieval.embeddings import embed
from inpars_plus.retrieval.encoders import load_encoder

pytestmark = [pytest.mark.model, pytest.mark.slow]

MIXED = ("scifact", "cosqa", "stackfaq", "news")


def test_an_analyst_from_its_file_loads_the_embedded_encoder_by_itself(typed: Any, tmp_path: Path) -> None:
    fitted = fit_type_router(typed.some(20, "code", "talk"), load_encoder(), seed=0)
    card = ProgramCard(
        document_type="any",
        lm="none",
        optimizer=OptimizerRecord(name="logistic-regression"),
        seed=0,
        metric=MetricRecord(name="routing"),
        data_hash="",
    )
    save_program(fitted.router, tmp_path / "analyst.json", card)
    loaded: Any = load_program(tmp_path / "analyst.json")
    routes = loaded.route(typed.some(4, "code", "talk", start=200))
    assert [route.nearest for route in routes] == ["code"] * 4 + ["talk"] * 4


@pytest.mark.collections
def test_types_of_real_collections_are_told_apart_and_found_without_their_names(collections: Path) -> None:
    known: list[Document] = []
    unseen: list[Document] = []
    for name in MIXED:
        drawn = sample(open_corpus(f"x={collections / name}:{name}"), 100, seed=0)
        known += drawn[:60]
        unseen += drawn[60:]
    vectors = embed(
        [one.full_text for one in [*known, *unseen]], load_encoder(), cache_directory=default_cache_directory()
    )
    router = fit_type_router(known, _Cached(), seed=0).router
    routes = router.route(unseen)
    right = sum(route.document_type == one.doc_type for route, one in zip(routes, unseen, strict=True))
    assert right / len(unseen) >= 0.95  # the 98 % are for 400 documents a type; docs/adaptive.md

    both = [*known, *unseen]
    found = propose_types(form_features(both), lambda: vectors, seed=0)
    assert adjusted_rand_score([one.doc_type for one in both], found.labels) >= 0.85


class _Cached:
    def encode(self, texts: Any) -> Any:
        return embed(list(texts), load_encoder(), cache_directory=default_cache_directory())
