"""A training set on disk, in the forms that other tools read.

::

    <directory>/queries.jsonl, qrels/train.tsv      BEIR's layout
    <directory>/triplets.jsonl                      {"anchor", "positive", "negative"}: sentence-transformers' columns
    <directory>/negatives/<retriever>.trec          the negatives of each retriever, as a run file
    <directory>/filters.json                        what was filtered out, step by step
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import InputError
from inpars_plus.foundation.files import JSON, write_json, write_lines
from inpars_plus.optimizers.rankers.negatives import Negatives
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, write_training_queries
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import write_run

__all__ = ["triplets", "with_margins", "write_training_set"]


def triplets(
    queries: Sequence[TrainingQuery], negatives: Sequence[Negatives], documents: Mapping[str, Document]
) -> list[dict[str, str]]:
    """One row for each query, answer and negative, paired by ids.

    Args:
        queries: with their answers.
        negatives: of some of these queries, in any order.
        documents: id → document, of every answer and negative.

    Returns:
        Rows with the columns ``anchor``, ``positive`` and ``negative``: the texts.

    Raises:
        InputError: negatives are of a query that is not there, or one of them answers its query.
    """
    by_id = {query.id: query for query in queries}
    rows = []
    for found in negatives:
        query = by_id.get(found.query_id)
        if query is None:
            raise InputError("there are negatives of a query that is not there", place=f"query '{found.query_id}'")
        answered = set(query.document_ids) & set(found.document_ids)
        if answered:
            raise InputError(
                f"the document '{min(answered)}' answers the query and is one of its negatives",
                place=f"query '{query.id}'",
            )
        rows += [
            {"anchor": query.text, "positive": documents[answer].full_text, "negative": documents[other].full_text}
            for answer in query.document_ids
            for other in found.document_ids
        ]
    return rows


def with_margins(
    rows: Sequence[Mapping[str, Any]], score: Callable[[Sequence[tuple[str, str]]], Sequence[float]]
) -> list[dict[str, Any]]:
    """Triplets with a teacher's margins, for MarginMSE (GPL; Wang et al. 2022).

    Args:
        rows: as :func:`triplets` makes them.
        score: of (query, text) pairs, such as a cross-encoder's logits; more is better. Each pair is asked for once.

    Returns:
        The rows with the column ``label``: the score of the positive less that of the negative.
    """
    pairs = list(dict.fromkeys((row["anchor"], row[one]) for row in rows for one in ("positive", "negative")))
    scores = dict(zip(pairs, score(pairs), strict=True))
    return [
        {**row, "label": scores[row["anchor"], row["positive"]] - scores[row["anchor"], row["negative"]]}
        for row in rows
    ]


def write_training_set(
    directory: Path,
    queries: Sequence[TrainingQuery],
    negatives: Sequence[Negatives],
    documents: Mapping[str, Document],
    *,
    filters: Sequence[Mapping[str, JSON]] = (),
    corpus_reference: Mapping[str, JSON] | None = None,
) -> int:
    """Write a training set.

    Args:
        directory: made when missing; its files are replaced.
        queries: with their answers.
        negatives: see :func:`triplets`.
        documents: id → document.
        filters: records of the filters that the queries went through.
        corpus_reference: which corpus they belong to.

    Returns:
        How many triplets were written.

    Raises:
        InputError: as for :func:`triplets`.
        RunError: the disk is full, or the directory cannot be written.
    """
    rows = triplets(queries, negatives, documents)
    write_training_queries(directory, queries, corpus_reference=corpus_reference)
    write_lines(directory / "triplets.jsonl", rows)
    folder = directory / "negatives"
    folder.mkdir(exist_ok=True)
    for stale in folder.glob("*.trec"):
        stale.unlink()
    for name in sorted({origin for found in negatives for origin in found.origins}):
        run = {found.query_id: _of(found, name) for found in negatives if name in found.origins}
        write_run(folder / f"{name}.trec", run, name=name)
    write_json(directory / "filters.json", list(filters))
    return len(rows)


def _of(found: Negatives, origin: str) -> Ranking:
    pairs = [
        (document, score)
        for document, score, one in zip(found.document_ids, found.scores, found.origins, strict=True)
        if one == origin
    ]
    pairs.sort(key=lambda pair: -pair[1])
    return Ranking(tuple(document for document, _ in pairs), tuple(score for _, score in pairs))
