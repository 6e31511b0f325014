from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from inpars_plus.retrieval import Bm25Retriever, RankBm25Retriever
from inpars_plus.retrieval.tokens import Tokenizer, with_parts

QUERIES = [
    "zinc deficiency in intestinal cells",
    "melting sand",
    "sand sand sea",
    "why does bread rise",
    "hydrogen zinc",
]


def lucene(corpus: list[list[str]], query: list[str]) -> list[float]:
    """The formula as it is written, term by term."""
    mean = sum(map(len, corpus)) / len(corpus)
    scores = []
    for terms in corpus:
        score = 0.0
        for term in query:
            df = sum(term in other for other in corpus)
            tf = terms.count(term)
            idf = math.log(1 + (len(corpus) - df + 0.5) / (df + 0.5))
            score += idf * tf / (tf + 0.9 * (1 - 0.4 + 0.4 * len(terms) / mean))
        scores.append(score)
    return scores


def okapi(corpus: list[list[str]], query: list[str]) -> list[float]:
    """The formula of rank-bm25, whose idf has a floor."""
    mean = sum(map(len, corpus)) / len(corpus)
    vocabulary = sorted({term for terms in corpus for term in terms})
    df = {term: sum(term in other for other in corpus) for term in vocabulary}
    idf = {term: math.log(len(corpus) - n + 0.5) - math.log(n + 0.5) for term, n in df.items()}
    floor = 0.25 * sum(idf.values()) / len(idf)
    idf = {term: value if value >= 0 else floor for term, value in idf.items()}
    return [
        sum(
            idf.get(term, 0) * tf * 1.9 / (tf + 0.9 * (1 - 0.4 + 0.4 * len(terms) / mean))
            for term in query
            if (tf := terms.count(term))
        )
        for terms in corpus
    ]


@pytest.mark.parametrize(("retriever_class", "formula"), [(Bm25Retriever, lucene), (RankBm25Retriever, okapi)])
def test_scores_and_order_are_those_of_the_written_formula(ids, texts, retriever_class, formula):
    tokenizer = Tokenizer()
    corpus = tokenizer.terms(texts)
    for query, ranking in zip(QUERIES, retriever_class(ids, texts).search(QUERIES, 100), strict=True):
        scores = dict(zip(ids, formula(corpus, tokenizer.terms([query])[0]), strict=True))
        expected = sorted((name for name in ids if scores[name] > 0), key=lambda name: (-scores[name], ids.index(name)))
        assert list(ranking.ids) == expected
        assert ranking.scores == pytest.approx([scores[name] for name in expected], rel=1e-5)


def test_both_rank_the_same_where_no_idf_is_negative(ids, texts):
    for ours, theirs in zip(
        Bm25Retriever(ids, texts).search(QUERIES, 1), RankBm25Retriever(ids, texts).search(QUERIES, 1), strict=True
    ):
        assert ours.ids == theirs.ids


def test_terms_are_stemmed_without_stop_words_or_single_letters():
    assert Tokenizer().terms(["The Cells of a growing x-ray"]) == [["cell", "grow", "ray"]]
    assert Tokenizer().terms([]) == []


@pytest.fixture(params=[Bm25Retriever, RankBm25Retriever])
def either(request):
    return request.param


@pytest.mark.parametrize("query", ["", "   ", "\n", "the of and", "a", "xylophone", "?!"])
def test_a_query_without_known_terms_finds_nothing(ids, texts, either, query):
    assert either(ids, texts).search([query, "sand"], 5)[0].ids == ()
    assert len(either(ids, texts).search([query, "sand"], 5)[1]) == 2


def test_a_k_larger_than_the_corpus_finds_what_shares_a_term(ids, texts, either):
    assert set(either(ids, texts).search(["sand"], 1000)[0].ids) == {"glass", "rivers"}


def test_a_single_document_is_found_by_its_words_only(either):
    retriever = either(["one"], ["zinc and cells"])
    assert [ranking.ids for ranking in retriever.search(["zinc", "copper"], 10)] == [("one",), ()]


def test_a_corpus_of_stop_words_and_empty_documents_finds_nothing(either):
    assert either(["a", "b"], ["the of and", ""]).search(["the", "zinc"], 3)[0].ids == ()


def test_an_empty_document_is_never_found(either):
    retriever = either(["empty", "full"], ["", "zinc"])
    assert retriever.search(["zinc"], 2)[0].ids == ("full",)


def test_equal_documents_stay_in_the_order_of_the_corpus(either):
    names = [f"d{number}" for number in (5, 3, 9, 1, 7)]
    retriever = either([*names, "other"], ["zinc in cells"] * 5 + ["sand and mud"])
    for k in (1, 2, 3, 5):
        assert retriever.search(["zinc"], k)[0].ids == tuple(names[:k])


def test_many_threads_get_what_one_gets(ids, texts):
    retriever = Bm25Retriever(ids, texts)
    expected = {query: retriever.search([query], 3) for query in QUERIES}
    with ThreadPoolExecutor(8) as pool:
        for query, found in zip(QUERIES * 40, pool.map(lambda q: retriever.search([q], 3), QUERIES * 40), strict=True):
            assert found == expected[query]


def test_an_index_from_the_cache_searches_like_a_fresh_one(ids, texts, tmp_path, monkeypatch):
    fresh = Bm25Retriever(ids, texts, cache_directory=tmp_path).search(QUERIES, 5)
    monkeypatch.setattr(Tokenizer, "indexed_terms", lambda *_: pytest.fail("the corpus was indexed again"))
    assert Bm25Retriever(ids, texts, cache_directory=tmp_path).search(QUERIES, 5) == fresh


def test_a_changed_text_has_an_index_of_its_own(ids, texts, tmp_path):
    Bm25Retriever(ids, texts, cache_directory=tmp_path)
    changed = Bm25Retriever(ids, [*texts[:-1], "zinc"], cache_directory=tmp_path)
    assert set(changed.search(["zinc"], 5)[0].ids) == {"cells", ids[-1]}
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_other_ids_share_an_index_and_get_their_own_names(ids, texts, tmp_path):
    Bm25Retriever(ids, texts, cache_directory=tmp_path)
    renamed = Bm25Retriever([f"x/{name}" for name in ids], texts, cache_directory=tmp_path)
    assert renamed.search(["bread"], 1)[0].ids == ("x/bread",)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_a_truncated_index_is_built_again_with_a_warning(ids, texts, tmp_path, caplog):
    fresh = Bm25Retriever(ids, texts, cache_directory=tmp_path).search(QUERIES, 5)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    assert Bm25Retriever(ids, texts, cache_directory=tmp_path).search(QUERIES, 5) == fresh
    assert "damaged" in caplog.text
    assert str(path) in caplog.text


def test_a_corpus_of_no_terms_can_be_cached(tmp_path):
    for _ in range(2):
        assert Bm25Retriever(["a"], ["the"], cache_directory=tmp_path).search(["the"], 1)[0].ids == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("get_user2(x)", "get_user2 get user 2(x)"),
        ("parseHTTPReply", "parseHTTPReply parse HTTP Reply"),
        ("IL6 in mRNA", "IL6 IL 6 in mRNA m RNA"),
        ("__init__ naïve café 100 °C", "__init__ naïve café 100 °C"),
        ("key a1b2c3d4e5f6", "key a1b2c3d4e5f6"),
        ("", ""),
    ],
)
def test_compound_words_get_their_parts_and_others_stay(text, expected):
    assert with_parts(text) == expected


def test_parts_find_the_whole_and_the_whole_finds_parts(tmp_path):
    texts = ["def get_user(): pass", "the user waits", "nothing of it"]
    plain = Bm25Retriever("abc", texts, cache_directory=tmp_path)
    parts = Bm25Retriever("abc", texts, parts=True, cache_directory=tmp_path)
    assert plain.search(["user"], 3)[0].ids == ("b",)
    assert set(parts.search(["user"], 3)[0].ids) == set(parts.search(["get_user"], 3)[0].ids) == {"a", "b"}
    assert parts.search(["get_user"], 3)[0].ids[0] == "a"
