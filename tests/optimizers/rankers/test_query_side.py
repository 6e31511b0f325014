"""The query encoder is tuned on the real one; the documents stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inpars_plus.foundation.errors import InputError
from inpars_plus.optimizers.rankers.query_side import QuerySideSettings, QueryTarget, tune_query_encoder
from inpars_plus.retrieval.encoders import load_encoder

pytestmark = [pytest.mark.model, pytest.mark.slow]

WORDS = ("glimp", "frosk", "tarn", "velk", "bruss", "quill", "zorp", "hask")
DOCUMENTS = ["how bees talk", "bread and yeast", "stars burn", "drivers who sleep", "sand dunes", "ships at sea"] + [
    f"report number {at}" for at in range(30)
]
# Words without a meaning: only training can tell which document they ask for.
TARGETS = [QueryTarget(f"{word} {other}", (at % 6,)) for at, word in enumerate(WORDS) for other in WORDS[:3]]
QUICK = QuerySideSettings(steps=25, batch=8, learning_rate=2e-4, share=1.0)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return load_encoder().encode(DOCUMENTS)


def found(directory: Path | None, vectors: np.ndarray) -> float:
    encoder = load_encoder(None if directory is None else str(directory))
    queries = encoder.encode([target.text for target in TARGETS], short=True)
    best = (queries @ vectors.T).argmax(axis=1)
    return float(np.mean([one in target.positions for one, target in zip(best, TARGETS, strict=True)]))


def test_it_learns_what_only_training_tells_and_others_load_it(
    tmp_path: Path, vectors: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    before = vectors.copy()
    steps: list[int] = []
    result = tune_query_encoder(
        None, TARGETS, [vectors], tmp_path / "tuned", settings=QUICK, on_step=lambda: steps.append(1)
    )
    assert capfd.readouterr().err == ""
    assert len(result.losses) == len(steps) == 25
    assert np.mean(result.losses[-5:]) < 0.5 * np.mean(result.losses[:5])
    assert found(tmp_path / "tuned", vectors) > found(None, vectors) + 0.5
    assert (vectors == before).all()

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tmp_path / "tuned"), device="cpu", local_files_only=True)
    assert model.encode(["a query"]).shape == (1, vectors.shape[1])
    assert not list((tmp_path / "tuned").rglob("*.bin"))
    card = (tmp_path / "tuned" / "README.md").read_text(encoding="utf-8")
    assert "Documents are to be encoded with the encoder that this one was tuned from: all-MiniLM-L6-v2" in card


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(tmp_path: Path, vectors: np.ndarray) -> None:
    short = QuerySideSettings(steps=3, batch=8, share=0.5)
    runs = [
        tune_query_encoder(None, TARGETS, [vectors], tmp_path / str(at), settings=short, seed=seed).losses
        for at, seed in enumerate((0, 0, 1))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_share_of_nothing_is_what_was_given(tmp_path: Path, vectors: np.ndarray) -> None:
    settings = QuerySideSettings(steps=2, batch=4, share=0.0)
    tune_query_encoder(None, TARGETS, [vectors], tmp_path / "same", settings=settings)
    queries = ["how do insects talk"]
    given, same = (load_encoder(one).encode(queries, short=True) for one in (None, str(tmp_path / "same")))
    assert np.abs(given - same).max() < 1e-3


def test_queries_may_be_asked_of_several_states_of_the_corpus(tmp_path: Path, vectors: np.ndarray) -> None:
    targets = [*TARGETS[:4], *(QueryTarget(one.text, one.positions, corpus=1) for one in TARGETS[4:8])]
    settings = QuerySideSettings(steps=2, batch=8)
    result = tune_query_encoder(None, targets, [vectors, vectors[:10]], tmp_path / "two", settings=settings)
    assert np.isfinite(result.losses).all()


def test_no_queries_and_vectors_of_another_encoder_are_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="without queries"):
        tune_query_encoder(None, [], [vectors], tmp_path / "x")
    with pytest.raises(InputError, match="vectors of 7 dimensions"):
        tune_query_encoder(None, TARGETS, [vectors[:, :7]], tmp_path / "x")
