"""Rows of a quality table as steps of a run: what a program writes, and what works without a language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document
from inpars_plus.experiments.workbench import Steps, Workbench, judged_row
from inpars_plus.foundation import JSON, read_lines, write_lines
from inpars_plus.metrics.cheats import CHEATS, cheat_queries
from inpars_plus.metrics.query_metric import Judged, summarize
from inpars_plus.programs import KeyTerms

__all__ = ["judged_lines", "score_cheats", "score_row"]


def score_row(
    steps: Steps,
    name: str,
    inputs: Mapping[str, JSON],
    file: str,
    judge: Callable[[], Sequence[Judged]],
    documents: Sequence[Document],
    *,
    typed: bool = False,
) -> dict[str, Any]:
    """Write and judge the queries of a row; the step is done once.

    Args:
        steps: of the run.
        name: of the step.
        inputs: of the step.
        file: the queries go there, one a line, relative to the run's directory.
        judge: writes and judges them.
        documents: of each query, in order.
        typed: each line says the type of its document too.

    Returns:
        The row of the table.
    """

    def work() -> dict[str, Any]:
        judged = judge()
        lines = [judged_row(document, one) for document, one in zip(documents, judged, strict=True)]
        if typed:
            lines = [{**line, "doc_type": one.doc_type} for line, one in zip(lines, documents, strict=True)]
        write_lines(steps.directory / file, lines)
        return summarize(judged)

    result: dict[str, Any] = steps.do(name, inputs, work, files=[file])
    return result


def judged_lines(path: Path) -> list[dict[str, Any]]:
    """The judged queries of a row, in order."""
    return [line for _, line in read_lines(path)]


def score_cheats(
    steps: Steps,
    name: str,
    inputs: Mapping[str, JSON],
    bench: Workbench,
    documents: Sequence[Document],
    key_terms: Callable[[], KeyTerms],
    lent: Sequence[str | None],
) -> dict[str, Any]:
    """Judge each cheat on the same documents; the step is done once.

    Args:
        steps: of the run.
        name: of the step.
        inputs: of the step.
        bench: for its metric.
        documents: of the table.
        key_terms: of the corpus; not asked for where the step is done.
        lent: a query of each document, which is lent to another one.

    Returns:
        Cheat → its row of the table.
    """

    def work() -> dict[str, Any]:
        known = key_terms()
        terms = [known.of(document) for document in documents]
        rows = {}
        for cheat in CHEATS:
            queries = cheat_queries(cheat, documents, terms, lent)
            # Each by itself: in one call, a cheat would be a duplicate of an earlier one for the same document.
            rows[cheat] = summarize(bench.metric.judge(list(zip(documents, queries, strict=True))))
        return rows

    result: dict[str, Any] = steps.do(name, inputs, work)
    return result
