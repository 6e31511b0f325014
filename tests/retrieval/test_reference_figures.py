"""nDCG@10 of each retriever on the collections, beside the figures that their README gives."""

from __future__ import annotations

import csv
import json
from collections import defaultdict

import ir_measures
import pytest
from inpars_plus.corpora.documents import Document
from inpars_plus.retrieval import build_retriever
from ir_measures import nDCG

pytestmark = [pytest.mark.collections, pytest.mark.model]

RETRIEVERS = ("bm25", "dense", "rrf", "hybrid:0.5", "hybrid:0.7")

SMALL = {"xquad-r/en": (0.848, 0.829, 0.870, 0.879, 0.871)}
LARGE = {
    "scifact": (0.676, 0.646, 0.712, 0.724, 0.706),
    "cranfield": (0.404, 0.428, 0.467, 0.470, 0.468),
    "cosqa": (0.320, 0.592, 0.476, 0.530, 0.586),
    "stackfaq": (0.704, 0.950, 0.871, 0.902, 0.944),
    "xquad-r/de": (0.759, 0.564, 0.697, 0.754, 0.665),
    "xquad-r/es": (0.804, 0.528, 0.684, 0.766, 0.640),
    "xquad-r/ar": (0.682, 0.075, 0.306, 0.521, 0.142),
}


def measure(directory):
    def rows(name):
        with open(directory / name, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    documents = [Document(id=row["_id"], title=row["title"] or "", text=row["text"]) for row in rows("corpus.jsonl")]
    queries = {row["_id"]: row["text"] for row in rows("queries.jsonl")}
    judgments: dict[str, dict[str, int]] = defaultdict(dict)
    with open(directory / "qrels" / "test.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judgments[row["query-id"]][row["corpus-id"]] = int(row["score"])
    measured = {}
    for name in RETRIEVERS:
        rankings = build_retriever(name, documents).search([queries[query] for query in judgments], 100)
        # The place in the ranking stands for the score, so that ties keep their order.
        run = {
            query: {document: -float(place) for place, document in enumerate(ranking.ids)}
            for query, ranking in zip(judgments, rankings, strict=True)
        }
        measured[name] = ir_measures.calc_aggregate([nDCG @ 10], judgments, run)[nDCG @ 10]
    return measured


@pytest.mark.parametrize("name", SMALL)
def test_a_small_collection_gives_the_reference_figures(collections, name):
    assert measure(collections / name) == pytest.approx(dict(zip(RETRIEVERS, SMALL[name], strict=True)), abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_collection_gives_the_reference_figures(collections, name):
    assert measure(collections / name) == pytest.approx(dict(zip(RETRIEVERS, LARGE[name], strict=True)), abs=0.005)
