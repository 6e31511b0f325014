"""How well a choice between rankers agrees with people's judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from inpars_plus.corpora import Corpus, Document, parent_id_of
from inpars_plus.experiments.judged import Collection
from inpars_plus.experiments.selection import safe_name
from inpars_plus.foundation import ConfigurationError, default_cache_directory
from inpars_plus.metrics.evaluation import evaluate_systems
from inpars_plus.optimizers.rankers.choosing import Choice
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.rankers import RankerSpec, SharedIndexes
from inpars_plus.retrieval.runs import write_run

__all__ = ["agreement", "judged_names"]

_RUN_DEPTH = 101
"""Of runs for evaluate-runs: one more than it looks at, since the document with the query's own id is no result."""


def judged_names(collection: Collection, corpus: Corpus) -> dict[str, str]:
    """Document id → what judgments call it.

    They name documents as the collection has them, also where the corpus cuts them or is one of several. An id of the
    corpus itself, such as that of a chunk, counts where it is judged.

    Raises:
        ConfigurationError: no relevant document is in the corpus, or a judged id stands for documents of several
            corpora.
    """
    judged = {one.document_id for one in collection.judgments}
    names, places = {}, dict[str, str]()
    for document in corpus.documents():
        parent = parent_id_of(document)
        known = (document.id, parent, corpus.original_id(parent))
        name = names[document.id] = next((one for one in known if one in judged), known[-1])
        if name in judged and places.setdefault(name, parent) != parent:
            raise ConfigurationError(
                f"the judged document '{name}' may be '{places[name]}' or '{parent}'",
                place=f"--judged {collection.name}",
                remedy="Give the corpus that the judgments are of alone, or judgments with ids of the form name/id",
            )
    relevant = {one.document_id for one in collection.judgments if one.grade > 0}
    if relevant and relevant.isdisjoint(names.values()):
        raise ConfigurationError(
            f"none of the {len(relevant):,} documents that people judged relevant is in the corpus",
            place=f"--judged {collection.name}",
            remedy="Give the corpus that the judgments are of",
        )
    return names


def agreement(
    collection: Collection,
    names: Mapping[str, str],
    documents: Sequence[Document],
    specs: Sequence[RankerSpec],
    choice: Choice,
    out: Path,
) -> dict[str, Any]:
    """What rankers have by people's judgments, beside the choice.

    Every ranker's answers are kept as a run file, with the ids that judgments use.

    Args:
        collection: what people judged.
        names: of the documents, see :func:`judged_names`.
        documents: all of them.
        specs: the rankers.
        choice: that was made between them.
        out: directory for the runs.
    """
    indexes = SharedIndexes(documents, cache_directory=default_cache_directory())
    queries, systems = collection.queries, dict[str, dict[str, Ranking]]()
    runs: dict[str, str] = {}
    for spec in specs:
        found = indexes.ranker(spec).search([query.text for query in queries], _RUN_DEPTH)
        systems[spec.name] = {query.id: _renamed(ranking, names) for query, ranking in zip(queries, found, strict=True)}
        runs[spec.name] = f"judged/{safe_name(spec.name)}.trec"
        write_run(out / runs[spec.name], systems[spec.name], name=spec.name)
    evaluation = evaluate_systems(collection.judgments, systems, measures=("nDCG@10",))
    means = {name: evaluation.mean(name, "nDCG@10") for name in systems}
    tau, p = _kendall([means[name] for name in means], [choice.rows[name]["ndcg@10"] for name in means])
    best = max(means, key=lambda name: means[name])
    return {
        "queries": len(evaluation.queries),
        "seen_queries_left_out": collection.counts["seen_queries_left_out"],
        "ndcg@10": means,
        "best": best,
        "behind_best": means[best] - means[choice.name] if choice.name in means else None,
        "kendall_tau": tau,
        "kendall_p": p,
        "runs": runs,
    }


def _renamed(ranking: Ranking, names: Mapping[str, str]) -> Ranking:
    """By the names of documents; of several hits with one name, such as chunks, the first counts."""
    scores: dict[str, float] = {}
    for one, score in zip(ranking.ids, ranking.scores, strict=True):
        scores.setdefault(names[one], score)
    return Ranking(tuple(scores), tuple(scores.values()))


def _kendall(one: Sequence[float], other: Sequence[float]) -> tuple[float | None, float | None]:
    """Kendall's tau-b and its p-value; none where there is no order, of one system or of equal ones."""
    if len(one) < 2:
        return None, None
    found = kendalltau(one, other)
    return (None, None) if isnan(found.statistic) else (float(found.statistic), float(found.pvalue))
