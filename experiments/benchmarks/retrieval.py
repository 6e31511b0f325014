"""The retrieval hit of 10,000 queries in 10,000 documents, beside ``rank-bm25``.

    python -m inpars_plus.experiments.benchmarks.retrieval

The texts are drawn word by word with the frequencies of the documentation that comes with Python, 50 to 250 words a
document; a query is eight words of its document, frequent words more often, as in people's queries.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from rank_bm25 import BM25Okapi

from inpars_plus.corpora import Document, open_corpus
from inpars_plus.experiments.benchmarks.common import Benchmark, Row, Stopwatch, main_of, median_ratio, timed
from inpars_plus.lms import CompletionScore
from inpars_plus.metrics import QueryMetric
from inpars_plus.metrics.words import words
from inpars_plus.retrieval import Bm25Retriever, ranks_of_sources
from inpars_plus.retrieval.bm25 import K1, B
from inpars_plus.retrieval.tokens import Tokenizer

__all__ = ["measure"]

_DOCUMENTS = 10_000
_SAMPLE = 100
_ROUNDS = 3
_DEPTH = 100
"""How deep the metric looks for the source document."""


def measure(quick: bool = False) -> Benchmark:
    """Rank the source documents of all queries with both."""
    count, sample, rounds = (200, 20, 1) if quick else (_DOCUMENTS, _SAMPLE, _ROUNDS)
    documents, queries = _texts(count)
    ids = [document.id for document in documents]
    texts = [document.full_text for document in documents]
    tokenizer = Tokenizer()
    with timed() as own_index:
        retriever = Bm25Retriever(ids, texts)
    with timed() as other_index:
        other = BM25Okapi(tokenizer.terms(texts), k1=K1, b=B)
    own_seconds, other_seconds, agreed = [], [], []
    for number in range(rounds):
        # A sample of its own each round; scaled to all queries, because all would take minutes.
        chosen = random.Random(number).sample(range(count), sample)
        with timed() as theirs:
            other_ranks = _ranks(other, tokenizer, [queries[i] for i in chosen], chosen)
        with timed() as ours:
            ranks = ranks_of_sources(retriever, queries, ids, _DEPTH)
        own_seconds.append(ours.seconds)
        other_seconds.append(theirs.seconds * count / sample)
        agreed += [(ranks[i] == 1) == (rank == 1) for i, rank in zip(chosen, other_ranks, strict=True)]
    judged = _judged(retriever, documents, queries)
    ratio = median_ratio(other_seconds, own_seconds)
    whole = median_ratio(
        [seconds + other_index.seconds for seconds in other_seconds],
        [seconds + own_index.seconds for seconds in own_seconds],
    )
    return Benchmark(
        name="retrieval",
        compared=f"The rank of the source document in the top {_DEPTH} for {count:,} queries in {count:,} documents, "
        f"by ranks_of_sources over our BM25 and by rank_bm25.BM25Okapi.get_scores and a count of higher scores; "
        f"the same terms, k1 and b, and both tokenize the queries. rank-bm25 ranks {sample} queries a round, scaled to "
        f"{count:,}; the median of {rounds} rounds, in turn.",
        rows=[
            Row(what="retrieval hit of 10,000 queries, rank-bm25 / ours", value=ratio, at_least=30.0),
            Row(what="the same with building the index", value=whole),
        ],
        figures={
            "documents": count,
            "queries": count,
            "sample": sample,
            "own_seconds": own_seconds,
            "rank_bm25_seconds_scaled": other_seconds,
            "own_index_seconds": own_index.seconds,
            "rank_bm25_index_seconds": other_index.seconds,
            "agree_on_rank_1": sum(agreed) / len(agreed),
            "query_metric_seconds": judged.seconds,
        },
    )


def _texts(count: int) -> tuple[list[Document], list[str]]:
    draw = random.Random(0)
    frequencies = Counter(
        word for document in open_corpus(["python-docs"]).documents() for word in words(document.full_text)
    )
    vocabulary = list(frequencies)
    bounds = list(accumulate(frequencies.values()))
    documents, queries = [], []
    for number in range(count):
        drawn = draw.choices(vocabulary, cum_weights=bounds, k=draw.randint(50, 250))
        documents.append(Document(id=str(number), text=" ".join(drawn)))
        queries.append(" ".join(draw.sample(drawn, 8)))
    return documents, queries


def _ranks(index: BM25Okapi, tokenizer: Tokenizer, queries: list[str], sources: list[int]) -> list[int]:
    """The cheapest way to a rank with rank-bm25: no sorting, only a count of the documents with higher scores."""
    ranks = []
    for terms, source in zip(tokenizer.terms(queries), sources, strict=True):
        scores = index.get_scores(terms)
        ranks.append(int((scores > scores[source]).sum()) + 1)
    return ranks


class _Flat:
    """Finds every query equally natural: the language model is not what is measured here."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        return [CompletionScore((-3.0,) * 6) for _ in pairs]


def _judged(retriever: Bm25Retriever, documents: list[Document], queries: list[str]) -> Stopwatch:
    """The whole metric, all query checks included, without the language model."""
    metric = QueryMetric(retriever, _Flat())
    with timed() as watch:
        metric.judge(list(zip(documents, queries, strict=True)))
    return watch


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
