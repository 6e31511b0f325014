from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from inpars_plus.retrieval import embeddings, load_encoder
from inpars_plus.retrieval.cache import load_arrays
from inpars_plus.retrieval.embeddings import embed


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(embeddings, "SHARD_SIZE", 3)


def test_rows_are_in_the_order_of_the_texts(texts, letters, letter_encoder):
    np.testing.assert_array_equal(embed(texts, letters), letter_encoder().encode(texts))


def test_a_second_time_nothing_is_encoded(texts, tmp_path, letter_encoder):
    first = embed(texts, letter_encoder(), cache_directory=tmp_path)
    again = letter_encoder()
    np.testing.assert_array_equal(embed(texts[::-1], again, cache_directory=tmp_path), first[::-1])
    assert again.encoded == []


def test_a_grown_corpus_has_its_new_documents_encoded_only(texts, tmp_path, letter_encoder):
    embed(texts, letter_encoder(), cache_directory=tmp_path)
    grown = letter_encoder()
    embed([*texts, "a new one"], grown, cache_directory=tmp_path)
    assert grown.encoded == ["a new one"]


def test_repeated_texts_are_encoded_once(letters):
    vectors = embed(["same", "other", "same"], letters)
    assert sorted(letters.encoded) == ["other", "same"]
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_corpora_that_share_texts_share_their_vectors_and_nothing_else(tmp_path, letter_encoder):
    embed(["shared", "only here"], letter_encoder(), cache_directory=tmp_path)
    other = letter_encoder()
    vectors = embed(["only there", "shared"], other, cache_directory=tmp_path)
    assert other.encoded == ["only there"]
    np.testing.assert_array_equal(vectors, letter_encoder().encode(["only there", "shared"]))


def test_another_encoder_shares_nothing(texts, tmp_path, letter_encoder):
    embed(texts, letter_encoder("one"), cache_directory=tmp_path)
    other = letter_encoder("two")
    embed(texts, other, cache_directory=tmp_path)
    assert len(other.encoded) == len(texts)


def test_texts_of_like_length_are_encoded_together(texts, letters):
    embed(texts, letters)
    lengths = [len(text) for text in letters.encoded]
    assert lengths == sorted(lengths, reverse=True)


def test_an_encoder_that_fails_half_way_loses_no_finished_shard(texts, tmp_path, letter_encoder):
    class Failing(letter_encoder):
        def encode(self, texts, *, short=False):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(texts, short=short)

    with pytest.raises(KeyboardInterrupt):
        embed(texts, Failing(), cache_directory=tmp_path)
    resumed = letter_encoder()
    embed(texts, resumed, cache_directory=tmp_path)
    assert len(resumed.encoded) == len(texts) - 6


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: data[:-1] + bytes([data[-1] ^ 4])])
def test_a_damaged_file_is_encoded_again_with_a_warning(texts, tmp_path, caplog, damage, letter_encoder):
    first = embed(texts, letter_encoder(), cache_directory=tmp_path)
    path = sorted(tmp_path.rglob("*.safetensors"))[0]
    path.write_bytes(damage(path.read_bytes()))
    again = letter_encoder()
    np.testing.assert_array_equal(embed(texts, again, cache_directory=tmp_path), first)
    assert 1 <= len(again.encoded) <= 3
    assert str(path) in caplog.text
    healed = letter_encoder()
    embed(texts, healed, cache_directory=tmp_path)
    assert healed.encoded == []


def test_where_nobody_may_write_texts_are_encoded_all_the_same(texts, letters, forbidden, tmp_path, caplog):
    (tmp_path / "cache").symlink_to(forbidden)
    np.testing.assert_array_equal(embed(texts, letters, cache_directory=tmp_path / "cache"), letters.encode(texts))
    assert caplog.text.count("kept in memory") == 1


_ENCODE = """
import sys
from pathlib import Path
from inpars_plus.retrieval import embeddings, load_encoder
embeddings.SHARD_SIZE = 64
texts = [f"document {n} tells of {n * n} things that nobody has counted yet" for n in range(20_000)]
embeddings.embed(texts, load_encoder(), cache_directory=Path(sys.argv[1]))
"""


@pytest.mark.model
@pytest.mark.slow
def test_a_process_killed_while_it_encodes_leaves_whole_shards_to_go_on_from(tmp_path, letter_encoder):
    process = subprocess.Popen(
        [sys.executable, "-c", _ENCODE, str(tmp_path)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    deadline = time.monotonic() + 120
    try:
        while len(list(tmp_path.rglob("*.safetensors"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()

    encoder = load_encoder()
    texts = [f"document {n} tells of {n * n} things that nobody has counted yet" for n in range(20_000)]
    kept = {row.tobytes() for path in tmp_path.rglob("*.safetensors") for row in load_arrays(path)["keys"]}
    finished = [text for text in texts if hashlib.sha256(text.encode()).digest() in kept]
    assert len(finished) == len(kept) >= 128
    others = [text for text in texts if text not in set(finished)][:5]
    resumed = letter_encoder(encoder.digest)
    resumed.encode = lambda texts, short=False: resumed.encoded.extend(texts) or encoder.encode(texts)
    vectors = embed(finished + others, resumed, cache_directory=tmp_path)
    assert sorted(resumed.encoded) == sorted(others)
    np.testing.assert_allclose(vectors[:3], encoder.encode(finished[:3]), atol=0.02)


def test_another_cache_copies_what_the_machine_s_own_has(tmp_path, letters, monkeypatch):
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "machine"))
    first = embed(["sand", "mud"], letters, cache_directory=tmp_path / "machine")
    letters.encoded.clear()
    again = embed(["mud", "sand", "clay"], letters, cache_directory=tmp_path / "stack")
    assert letters.encoded == ["clay"]
    assert (again[:2] == first[::-1]).all()
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "elsewhere"))
    letters.encoded.clear()
    embed(["mud", "sand", "clay"], letters, cache_directory=tmp_path / "stack")
    assert letters.encoded == []
