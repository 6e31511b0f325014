from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inpars_plus.retrieval import DenseRetriever, load_encoder


def test_every_document_is_found_in_the_order_of_its_cosine(ids, texts, letters):
    (ranking,) = DenseRetriever(ids, texts, letters).search(["zinc in cells"], 1000)
    cosines = letters.encode(texts) @ letters.encode(["zinc in cells"])[0]
    assert list(ranking.ids) == [ids[position] for position in np.argsort(-cosines)]
    assert ranking.scores == pytest.approx(sorted(cosines, reverse=True), abs=1e-5)


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_finds_nothing(ids, texts, letters, query):
    first, second = DenseRetriever(ids, texts, letters).search([query, "sand"], 4)
    assert (len(first), len(second)) == (0, 4)
    assert query not in letters.encoded


def test_empty_documents_are_never_found(letters):
    retriever = DenseRetriever(["a", "empty", "b", "blank"], ["sand", "", "mud", "  "], letters)
    assert set(retriever.search(["sand"], 10)[0].ids) == {"a", "b"}
    assert "" not in letters.encoded


def test_a_corpus_of_empty_documents_finds_nothing(letters):
    assert DenseRetriever(["a"], [""], letters).search(["sand"], 3)[0].ids == ()


def test_equal_documents_stay_in_the_order_of_the_corpus_at_every_k(letters):
    names = ["d5", "d3", "d9", "d1", "d7"]
    retriever = DenseRetriever([*names, "other"], ["zinc in cells"] * 5 + ["sand and mud"], letters)
    for k in range(1, 6):
        assert retriever.search(["zinc in cells"], k)[0].ids == tuple(names[:k])


def test_searches_with_different_k_are_answered_together(ids, texts, letters):
    retriever = DenseRetriever(ids, texts, letters)
    queries = [f"query {number} about sand" for number in range(60)]
    expected = [ranking.ids for ranking in retriever.search(queries, 8)]
    start = threading.Barrier(12)

    def search(number: int) -> list[tuple[str, ...]]:
        if number < 12:
            start.wait()
        return [ranking.ids for ranking in retriever.search([queries[number]], 1 + number % 8)]

    with ThreadPoolExecutor(12) as pool:
        for number, (found,) in enumerate(pool.map(search, range(60))):
            assert found == expected[number][: 1 + number % 8]


def test_threads_that_ask_at_once_share_a_batch(ids, texts, letter_encoder):
    class Slow(letter_encoder):
        def encode(self, texts, *, short=False):
            released.wait(5)
            return super().encode(texts, short=short)

    released = threading.Event()
    released.set()
    encoder = Slow()
    retriever = DenseRetriever(ids, texts, encoder)
    encoder.calls.clear()
    released.clear()
    with ThreadPoolExecutor(20) as pool:
        pending = [pool.submit(retriever.search, [f"query {number}"], 2) for number in range(20)]
        threading.Timer(0.3, released.set).start()
        assert all(len(search.result()[0]) == 2 for search in pending)
    assert sum(encoder.calls) == 20
    assert len(encoder.calls) <= 3


def test_a_repeated_query_is_encoded_once(ids, texts, letters):
    retriever = DenseRetriever(ids, texts, letters)
    letters.encoded.clear()
    first = retriever.search(["sand", "mud", "sand"], 3)
    assert retriever.search(["mud", "sand"], 3) == [first[1], first[0]]
    assert sorted(letters.encoded) == ["mud", "sand"]


def test_queries_beyond_the_memory_are_encoded_again(ids, texts, letters, monkeypatch):
    monkeypatch.setattr("inpars_plus.retrieval.query_vectors._REMEMBERED_QUERIES", 2)
    retriever = DenseRetriever(ids, texts, letters)
    retriever.search(["one", "two", "three", "four"], 1)
    letters.encoded.clear()
    retriever.search(["four", "one"], 1)
    assert letters.encoded == ["one"]


def test_an_encoder_that_fails_fails_its_search_and_no_later_one(ids, texts, letters, monkeypatch):
    retriever = DenseRetriever(ids, texts, letters)
    with monkeypatch.context() as patch:
        patch.setattr(letters, "encode", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retriever.search(["sand"], 2)
    assert len(retriever.search(["sand"], 2)[0]) == 2


@pytest.mark.model
def test_the_embedded_encoder_finds_by_meaning(ids, texts, tmp_path):
    retriever = DenseRetriever(ids, texts, load_encoder(), cache_directory=tmp_path)
    queries = ["how do insects communicate", "baking a loaf", "fusion in the sun", "tired drivers"]
    assert [ranking.ids[0] for ranking in retriever.search(queries, 3)] == ["bees", "bread", "stars", "sleep"]


@pytest.mark.model
def test_one_by_one_and_in_a_batch_the_order_is_the_same_up_to_rounding(ids, texts, tmp_path):
    queries = ["zinc", "how do insects communicate when they have found some food", "sun"]
    together = DenseRetriever(ids, texts, load_encoder(), cache_directory=tmp_path).search(queries, 8)
    alone = DenseRetriever(ids, texts, load_encoder(), cache_directory=tmp_path)
    for query, expected in zip(queries, together, strict=True):
        (found,) = alone.search([query], 8)
        assert found.ids[0] == expected.ids[0]
        assert found.scores == pytest.approx(expected.scores, abs=0.01)
