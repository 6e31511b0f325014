"""Run files in TREC's form: which documents a system found for each query, with scores.

::

    query-id Q0 document-id rank score name
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from inpars_plus.corpora.readers.text_files import open_text
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.files import replacing
from inpars_plus.retrieval.protocol import Ranking

__all__ = ["read_run", "write_run"]

_COLUMNS = 6
_FORM = "Write lines as: query-id Q0 document-id rank score name"


def read_run(path: str | Path) -> dict[str, Ranking]:
    """Read a run (also ``.gz``).

    Documents are ranked by score; equal scores keep the order of the file, whose ranks are not read. Columns are
    separated by tabs, if a line has five of them, else by white space.

    Args:
        path: of the file.

    Returns:
        Query id → ranking, in the order of the file.

    Raises:
        CorpusError: the file is missing or holds no result, a line has not six columns, a score is no finite number,
            or a query has a document twice.
    """
    file = Path(path)
    if not file.is_file():
        raise CorpusError("there is no such run file", place=str(file), remedy="Check the path")
    found: dict[str, dict[str, float]] = {}
    for number, (query, document, score) in _lines(file):
        scores = found.setdefault(query, {})
        if document in scores:
            raise CorpusError(
                f"the query '{query}' has the document '{document}' twice",
                place=f"{file}, line {number}",
                remedy="Keep one of the two lines",
            )
        scores[document] = score
    if not found:
        raise CorpusError(
            "the run holds no result",
            place=str(file),
            remedy="A run has lines: query-id Q0 document-id rank score name",
        )
    return {query: _ranked(scores) for query, scores in found.items()}


def write_run(path: str | Path, rankings: Mapping[str, Ranking], *, name: str) -> None:
    """Write a run in one step, columns separated by tabs, since ids may hold spaces.

    Args:
        path: of the file.
        rankings: query id → ranking.
        name: of the system.

    Raises:
        CorpusError: an id holds a tab or a line break.
        RunError: the disk is full, or the path cannot be written.
    """
    with replacing(Path(path)) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        for query, ranking in rankings.items():
            for rank, (document, score) in enumerate(zip(ranking.ids, ranking.scores, strict=True), start=1):
                cells = [query, "Q0", document, str(rank), f"{score:.9g}", "_".join(name.split()) or "run"]
                if any(mark in cell for cell in cells for mark in "\t\n\r"):
                    raise CorpusError(
                        f"an id of query {query!r} holds a tab or a line break and cannot be written to a run",
                        remedy="Use another id",
                    )
                file.write("\t".join(cells) + "\n")


def _lines(file: Path) -> Iterator[tuple[int, tuple[str, str, float]]]:
    with open_text(file, newline=None) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{file}, line {number}"
            cells = line.rstrip("\n").split("\t")
            cells = cells if len(cells) == _COLUMNS else line.split()
            if len(cells) != _COLUMNS:
                raise CorpusError(
                    f"the line has {len(cells)} columns instead of 6",
                    place=place,
                    remedy=_FORM,
                )
            try:
                score = float(cells[4])
            except ValueError:
                score = math.nan
            if not math.isfinite(score):
                raise CorpusError(
                    f"the score is no finite number: '{cells[4]:.20}'", place=place, remedy="Write such as 12.5"
                )
            yield number, (cells[0], cells[2], score)


def _ranked(scores: Mapping[str, float]) -> Ranking:
    best = sorted(scores.items(), key=lambda pair: -pair[1])  # stable: equal scores stay as they came
    return Ranking(tuple(document for document, _ in best), tuple(score for _, score in best))
