r"""Do queries with a constraint on metadata state what is so, and does a filter on it help to find their documents?

    inpars-plus generate-queries --corpus news/ --programs runs/news --granularity constraint --out runs/constraints
    python -m inpars_plus.experiments.measure_constraints --corpus news/ --queries runs/constraints

Each query is read again as a search page would read it, with the names of the whole corpus, and its document's metadata
are looked up; that is the reader by which queries were accepted, so ``--sample`` prints some of them for a person to
read. Then all of them are searched for by the default retriever, as it is and behind the filter. Among accepted queries
the search without a filter has found nearly all documents already, because those that it does not find are not
accepted. What a filter is worth shows among all that passed the other checks, which are taken from the ledger.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document, open_corpus
from inpars_plus.corpora.constraints import ConstraintReader, meets
from inpars_plus.experiments.candidates import candidate_queries
from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.foundation import InputError, Summary, default_cache_directory, write_summary
from inpars_plus.foundation.summaries import measured
from inpars_plus.metrics.evaluation import compare_values
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest, read_training_queries
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.filtered import MetadataFilter
from inpars_plus.retrieval.protocol import Retriever
from inpars_plus.retrieval.rankers import SharedIndexes, hybrid_spec

__all__ = ["main", "measure_constraints"]

_DEPTH = 10
_LINE = 200
_ALL = "accepted or not retrieved"
_HOW_TO_READ = (
    "Accepted queries find their documents without a filter by definition; compare the searches by the second table.\n"
    "What a query states, and whether it is met, is told by the reader that the queries were accepted by: read some\n"
    "yourself with --sample."
)


def measure_constraints(
    documents: Sequence[Document], queries: Sequence[TrainingQuery], retriever: Retriever, *, seed: int = 0
) -> dict[str, Any]:
    """Check the constraints of queries, and search for them with and without a filter.

    Args:
        documents: the whole corpus.
        queries: generated ones, each for one document.
        retriever: searches the corpus.
        seed: of the tests.

    Returns:
        ``queries``; ``stated``, those that state a constraint; ``met``, those whose document meets all that they
        state, by the reader that generated queries are checked by; ``fields``, what is constrained; for ``plain`` and
        ``filtered`` ``RR@10`` and ``hit@10``; and ``difference`` and ``p`` of the reciprocal rank.

    Raises:
        InputError: there are no queries.
    """
    if not queries:
        raise InputError("there are no queries to measure", remedy="Generate some with --granularity constraint")
    by_id = {document.id: document for document in documents}
    reader = ConstraintReader.fit(documents)
    stated = [reader.stated_in(query.text) for query in queries]
    met = [
        bool(found) and all(any(meets(by_id[query.document_ids[0]], one) for one in either) for either in found)
        for query, found in zip(queries, stated, strict=True)
    ]
    texts = [query.text for query in queries]
    found: dict[str, Any] = {
        "queries": len(queries),
        "stated": sum(map(bool, stated)),
        "met": sum(met),
        "fields": dict(Counter(either[0].field for one in stated for either in one).most_common()),
    }
    ranks = {}
    for name, one in (("plain", retriever), ("filtered", MetadataFilter(retriever, documents))):
        rankings = one.search(texts, _DEPTH)
        places = [ranking.rank(query.document_ids[0]) for query, ranking in zip(queries, rankings, strict=True)]
        ranks[name] = [1 / place if place else 0.0 for place in places]
        found[name] = {"RR@10": _mean(ranks[name]), "hit@10": _mean([float(place is not None) for place in places])}
    compared = compare_values(ranks, "plain", seed=seed)["filtered"]
    found["difference"] = compared.difference.as_dict()
    found["p"] = compared.p
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _measured(corpus: str, directory: Path, out: Path, seed: int, sample: int) -> tuple[Summary, str]:
    started = time.monotonic()
    opened = open_corpus(corpus)
    documents, spec = list(opened.documents()), hybrid_spec(0.5)
    accepted = read_training_queries(directory, documents)
    dropped = candidate_queries(directory, documents, lambda one: one.reason == "not_retrieved")
    queries = [*accepted, *dropped]
    retriever = SharedIndexes(documents, cache_directory=default_cache_directory()).ranker(spec)
    results = {
        "accepted": measure_constraints(documents, accepted, retriever, seed=seed),
        _ALL: measure_constraints(documents, queries, retriever, seed=seed),
    }
    summary = measured(
        started,
        settings={"corpus": corpus, "queries": str(directory), "retriever": spec.name, "depth": _DEPTH},
        seed=seed,
        hashes={
            "corpus": opened.digest(),
            "encoder": load_encoder().digest,
            "queries": queries_digest(queries),
        },
        results=results,
    )
    write_summary(out, summary)
    return summary, _sampled(documents, accepted, sample, seed)


def _sampled(documents: Sequence[Document], queries: Sequence[TrainingQuery], count: int, seed: int) -> str:
    """Some queries, each above title and metadata of its document."""
    by_id = {document.id: document for document in documents}
    parts = []
    for query in random.Random(seed).sample(list(queries), min(count, len(queries))):
        document = by_id[query.document_ids[0]]
        lines = [f"title: {document.title}", *(f"{name}: {value}" for name, value in document.metadata.items())]
        parts.append("\n".join([query.text, *(f"    {line[:_LINE]}" for line in lines)]))
    return "\n\n".join(parts)


def _table(results: Mapping[str, Mapping[str, Any]]) -> str:
    told = []
    for label, one in results.items():
        rows = [[name, number(one[name]["RR@10"]), number(one[name]["hit@10"])] for name in ("plain", "filtered")]
        fields = ", ".join(f"{field} {count:,}" for field, count in one["fields"].items())
        told.append(
            f"{label}: {one['queries']:,} queries, {one['stated']:,} state a constraint, {one['met']:,} one that their "
            f"document meets\n{fields}\n\n{text_table(['search', 'RR@10', 'hit@10'], rows, numbers={1, 2})}\n\n"
            f"RR@10, filtered less plain: {interval(one['difference'])}, p = {one['p']:.4f}"
        )
    return "\n\n".join([*told, _HOW_TO_READ])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, metavar="PATH", help="documents with metadata")
    parser.add_argument("--queries", type=Path, required=True, metavar="DIR", help="of generate-queries")
    parser.add_argument("--seed", type=int, default=0, help="of the tests (default %(default)s)")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="print so many accepted queries with their metadata"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/constraint-figures"), help="(default %(default)s)")
    given = parser.parse_args(arguments)
    summary, sampled = _measured(given.corpus, given.queries, given.out, given.seed, max(0, given.sample))
    print(_table(summary.results))
    if sampled:
        print(f"\n{sampled}\n")
    print(f"All figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
