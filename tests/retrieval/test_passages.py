"""Search by the nearest passage, against a plain loop over all of them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from inpars_plus.corpora import Document
from inpars_plus.retrieval.passages import PassageRetriever, passages_of


class Hashing:
    """Vectors that depend on the text alone, some of them equal."""

    digest = "hashing"

    def encode(self, texts, *, short=False):
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) % 400 for text in texts]
        vectors = np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds]).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_document_is_its_title_and_its_sentences():
    text = "Pumps leak when seals wear.  Cf. 2. After that they stop for good!\nReplace the seal in time"
    assert passages_of(Document(id="1", title="On pumps", text=text)) == [
        "On pumps",
        "Pumps leak when seals wear. Cf. 2.",
        "After that they stop for good!",
        "Replace the seal in time",
    ]


def test_an_empty_document_has_no_passage_and_a_short_one_has_itself():
    assert passages_of(Document(id="1")) == []
    assert passages_of(Document(id="1", text="No.")) == ["No."]
    assert passages_of(Document(id="1", title="Yes", text="No.")) == ["Yes", "No."]


@pytest.mark.parametrize("k", [1, 3, 10, 60])
def test_the_ranking_is_that_of_the_best_passage_of_each_document_ties_in_order(k):
    draw = np.random.default_rng(0)
    passages = [[f"passage {draw.integers(500)}" for _ in range(draw.integers(0, 30))] for _ in range(60)]
    ids = [f"d{at}" for at in range(60)]
    retriever = PassageRetriever(ids, passages, Hashing())
    queries = [f"query {at}" for at in range(20)]
    for query, ranking in zip(queries, retriever.search(queries, k), strict=True):
        (vector,) = Hashing().encode([query])
        best = {
            name: max(round(float(np.float32(one @ vector)), 5) for one in Hashing().encode(texts))
            for name, texts in zip(ids, passages, strict=True)
            if texts
        }
        expected = sorted(best, key=lambda name: (-best[name], ids.index(name)))[:k]
        assert ranking.scores == pytest.approx([best[name] for name in expected], abs=2e-5)
        assert [best[name] for name in ranking.ids] == pytest.approx([best[name] for name in expected], abs=2e-5)
        assert len(set(ranking.ids)) == len(ranking.ids) == min(k, len(best))


def test_a_query_encoder_of_its_own_is_used_for_queries_alone():
    class Turned(Hashing):
        def encode(self, texts, *, short=False):
            return -super().encode(texts)

    passages = [["a"], ["b"], ["c"]]
    plain, turned = (PassageRetriever("xyz", passages, Hashing(), query_encoder=one) for one in (None, Turned()))
    assert plain.search(["q"], 3)[0].ids == turned.search(["q"], 3)[0].ids[::-1]


def test_a_corpus_without_passages_finds_nothing():
    assert len(PassageRetriever(["a"], [[]], Hashing()).search(["q"], 5)[0]) == 0
