from __future__ import annotations

import subprocess
import sys

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.retrieval import (
    RETRIEVERS,
    Bm25Retriever,
    ConvexRetriever,
    DenseRetriever,
    RankBm25Retriever,
    RrfRetriever,
    build_retriever,
)


@pytest.mark.parametrize(("name", "kind"), [("bm25", Bm25Retriever), ("rank-bm25", RankBm25Retriever)])
def test_names_of_retrievers_without_a_model(documents, tmp_path, name, kind):
    retriever = build_retriever(name, documents, cache_directory=tmp_path)
    assert isinstance(retriever, kind)
    assert retriever.search(["bread"], 1)[0].ids == ("bread",)


@pytest.mark.model
@pytest.mark.parametrize("name", ["dense", "hybrid", "hybrid:0.7", "rrf"])
def test_names_of_retrievers_with_the_embedded_encoder(documents, tmp_path, name):
    retriever = build_retriever(name, documents, cache_directory=tmp_path)
    kind = {"dense": DenseRetriever, "rrf": RrfRetriever}.get(name, ConvexRetriever)
    assert isinstance(retriever, kind)
    if isinstance(retriever, ConvexRetriever):
        assert retriever.weight == (0.7 if name == "hybrid:0.7" else 0.5)
    assert retriever.search(["why bread rises"], 1)[0].ids == ("bread",)


def test_a_corpus_is_read_through_its_documents(documents, tmp_path):
    class Corpus:
        def documents(self):
            return iter(documents)

    retriever = build_retriever("bm25", Corpus(), cache_directory=tmp_path)
    assert len(retriever) == len(documents)


def test_titles_are_searched(tmp_path):
    documents = [Document(id="a", title="Furnaces", text="sand"), Document(id="b", text="mud")]
    retriever = build_retriever("bm25", documents, cache_directory=tmp_path)
    assert retriever.search(["furnaces"], 2)[0].ids == ("a",)


def test_the_cache_of_the_environment_is_the_default(documents, tmp_path, monkeypatch):
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "chosen"))
    build_retriever("bm25", documents)
    assert list((tmp_path / "chosen").rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["splade", "", "Hybrid", "package.module"])
def test_an_unknown_name_is_answered_with_the_known_ones(documents, name):
    with pytest.raises(ConfigurationError, match="no retriever has the name") as caught:
        build_retriever(name, documents)
    assert all(known in str(caught.value) for known in RETRIEVERS)


@pytest.mark.parametrize("name", ["hybrid:", "hybrid:much", "hybrid:1.5", "hybrid:-0.1", "hybrid:nan"])
def test_a_weight_that_is_none_is_refused(documents, name):
    with pytest.raises(ConfigurationError, match="a number between 0 and 1"):
        build_retriever(name, documents)


def test_no_documents_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no document to search"):
        build_retriever("bm25", [], cache_directory=tmp_path)


def test_a_repeated_id_is_named(tmp_path):
    with pytest.raises(CorpusError, match="document 'a': two documents have this id"):
        build_retriever("bm25", [Document(id="a"), Document(id="a")], cache_directory=tmp_path)


def test_importing_the_folder_brings_no_model_and_no_index():
    heavy = ["torch", "faiss", "sentence_transformers", "bm25s", "rank_bm25", "numpy", "transformers"]
    code = f"import sys, inpars_plus.retrieval; sys.exit(','.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}\n{code}"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
