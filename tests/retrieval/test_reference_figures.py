"""nDCG@10 of each retriever on the collections, beside the figures that their README gives.

To encode the two largest takes a quarter of an hour; of them `make test` measures BM25 alone, `make test-figures` all.
"""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict

import ir_measures
import pytest
from ir_measures import nDCG

from inpars_plus.corpora.documents import Document
from inpars_plus.retrieval import ConvexRetriever, RrfRetriever, build_retriever

pytestmark = [pytest.mark.collections, pytest.mark.model]

RETRIEVERS = ("bm25", "dense", "rrf", "convex .5", "convex .7")

SMALL = {"xquad-r/en": (0.848, 0.829, 0.870, 0.879, 0.871)}
LARGE = {
    "cranfield": (0.404, 0.428, 0.467, 0.470, 0.468),
    "stackfaq": (0.704, 0.950, 0.871, 0.902, 0.944),
    "xquad-r/de": (0.759, 0.564, 0.697, 0.754, 0.665),
    "xquad-r/es": (0.804, 0.528, 0.684, 0.766, 0.640),
    "xquad-r/ar": (0.682, 0.075, 0.306, 0.521, 0.142),
}
LARGEST = {
    "scifact": (0.676, 0.646, 0.712, 0.724, 0.706),
    "cosqa": (0.320, 0.592, 0.476, 0.530, 0.586),
}


def read(directory):
    """Documents, queries and judgments."""

    def rows(name):
        with open(directory / name, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    documents = [Document(id=row["_id"], title=row["title"] or "", text=row["text"]) for row in rows("corpus.jsonl")]
    queries = {row["_id"]: row["text"] for row in rows("queries.jsonl")}
    judgments: dict[str, dict[str, int]] = defaultdict(dict)
    with open(directory / "qrels" / "test.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judgments[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return documents, queries, judgments


def ndcg(retriever, queries, judgments):
    rankings = retriever.search([queries[query] for query in judgments], 100)
    # By scores, so that ties are broken as trec_eval breaks them: the figures were measured so, and where BM25 and
    # dense agree on nothing (Arabic), most queries have a tie for the first place.
    run = {
        query: dict(zip(ranking.ids, ranking.scores, strict=True))
        for query, ranking in zip(judgments, rankings, strict=True)
    }
    return ir_measures.calc_aggregate([nDCG @ 10], judgments, run)[nDCG @ 10]


def measure(directory):
    documents, queries, judgments = read(directory)
    half = build_retriever("hybrid", documents)
    assert isinstance(half, ConvexRetriever)
    # The others share its parts, so that the queries are encoded once.
    lexical, dense = half.lexical, half.dense
    retrievers = (lexical, dense, RrfRetriever(lexical, dense), half, ConvexRetriever(lexical, dense, weight=0.7))
    return {name: ndcg(one, queries, judgments) for name, one in zip(RETRIEVERS, retrievers, strict=True)}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_collection_gives_the_reference_figures(collections, name):
    assert measure(collections / name) == pytest.approx(dict(zip(RETRIEVERS, SMALL[name], strict=True)), abs=0.005)


def test_the_smallest_collection_gives_the_reference_figures_or_better(collections):
    # With 35 queries one document more or less in a top 10 is a point: dense comes out 1.4 points above its figure
    # (.482) in bfloat16 and in float32 alike, and what it is combined into with it.
    measured = measure(collections / "adi")
    assert measured["bm25"] == pytest.approx(0.477, abs=0.005)
    assert measured["convex .5"] == pytest.approx(0.536, abs=0.005)
    assert measured["dense"] >= 0.482
    assert measured["rrf"] >= 0.515
    assert measured["convex .7"] >= 0.525


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_collection_gives_the_reference_figures(collections, name):
    assert measure(collections / name) == pytest.approx(dict(zip(RETRIEVERS, LARGE[name], strict=True)), abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_bm25_gives_the_reference_figure_of_the_largest_collections(collections, name):
    documents, queries, judgments = read(collections / name)
    measured = ndcg(build_retriever("bm25", documents), queries, judgments)
    assert measured == pytest.approx(LARGEST[name][0], abs=0.005)


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("INPARS_PLUS_ALL_FIGURES"), reason="`make test-figures` runs it")
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_collections_give_the_reference_figures(collections, name):
    assert measure(collections / name) == pytest.approx(dict(zip(RETRIEVERS, LARGEST[name], strict=True)), abs=0.005)
