"""Judged collections on disk: the queries that count, and what is odd about them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inpars_plus.corpora import Judgment, Query, read_judgments, read_queries
from inpars_plus.corpora.readers.tables import json_objects
from inpars_plus.corpora.splits import half_of
from inpars_plus.experiments.leaks import leaked, refuse_leaks
from inpars_plus.foundation import ConfigurationError, digest_file, say

__all__ = ["Collection", "read_collection"]


@dataclass(frozen=True)
class Collection:
    """Judged queries.

    Attributes:
        name: of the collection.
        queries: all that are evaluated.
        judgments: of these.
        counts: what was left out or is worth knowing, by name.
        digest: of the files.
    """

    name: str
    queries: tuple[Query, ...]
    judgments: tuple[Judgment, ...]
    counts: Mapping[str, int]
    digest: str


def read_collection(
    given: str,
    *,
    half: str = "all",
    seen: Mapping[str, str] | None = None,
    drop_seen: bool = False,
    may_be_empty: bool = False,
) -> Collection:
    """Read judged queries.

    Args:
        given: ``[NAME=]DIR[:SPLIT]``, a directory in BEIR's layout; the split is ``test`` if none is named.
            The name is the directory's if none is given.
        half: ``all``, or one of :data:`inpars_plus.corpora.splits.HALVES`.
        seen: queries that something was trained on, as :func:`~inpars_plus.experiments.leaks.seen_queries` has them.
        drop_seen: leave these out, instead of refusing them.
        may_be_empty: whether all may be left out.

    Raises:
        ConfigurationError: no query is left, because none is judged, in the half, or unseen; or some were seen; or no
            file could have the collection's name.
        CorpusError: a file is missing or malformed.
    """
    name, equals, rest = given.partition("=")
    # A path that exists is taken as it is, equal signs included.
    if not equals or any(Path(one).expanduser().is_dir() for one in (given, given.rpartition(":")[0]) if one):
        equals, rest = "", given
    directory, split = Path(rest).expanduser(), "test"
    if not directory.is_dir() and ":" in rest:
        head, _, split = rest.rpartition(":")
        directory = Path(head).expanduser()
    if not (directory / "queries.jsonl").is_file():
        raise ConfigurationError(
            "there is no queries.jsonl here", place=str(directory), remedy="Name a directory in BEIR's layout"
        )
    # Not resolved through links: people name a collection by linking to it.
    name = name if equals else Path(os.path.abspath(directory)).name
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ConfigurationError(
            f"'{name}' cannot be the name of a collection, because no file could be called by it",
            place=str(directory),
            remedy="Name it otherwise, as in NAME=DIR",
        )
    judged_file = directory / "qrels" / f"{split}.tsv"
    judgments = read_judgments(judged_file)
    known = {query.id: query for query in read_queries(directory / "queries.jsonl")}
    judged = {one.query_id for one in judgments}
    unknown = sorted(judged - known.keys())
    if unknown:
        first = f"such as '{unknown[0]}'"
        say(f"{judged_file}: {len(unknown):,} judged queries are not in queries.jsonl, {first}; they are left out")
    there = [query for one, query in known.items() if one in judged]
    if not there:
        raise ConfigurationError(
            f"none of the {len(judged):,} judged queries is in queries.jsonl" if judged else "no query is judged here",
            place=str(judged_file),
            remedy="Give the queries and the judgments of one collection",
        )
    kept = [query for query in there if half in ("all", half_of(query.id))]
    if not kept:
        raise ConfigurationError(
            f"none of the {len(there):,} judged queries is in the half for {half}",
            place=str(judged_file),
            remedy="Take all judged queries, or the other half",
        )
    counts = {"judged_queries_without_text": len(unknown), **_unknown_documents(directory, judgments)}
    seen = seen or {}
    if drop_seen:
        dropped = leaked(kept, seen)
        if len(dropped) == len(kept) and not may_be_empty:
            raise ConfigurationError(
                f"all {len(kept):,} judged queries were trained on or shown in a prompt, so none would be left",
                place=str(judged_file),
                remedy="Evaluate on others",
            )
        kept = [query for query in kept if query.id not in dropped]
        counts["seen_queries_left_out"] = len(dropped)
    else:
        refuse_leaks(kept, seen, place=str(directory))
    repeats = len(kept) - len({" ".join(query.text.lower().split()) for query in kept})
    counts["repeated_queries"] = repeats
    if repeats:
        say(f"{directory}: {repeats:,} queries have the text of another one; all of them count")
    ids = {query.id for query in kept}
    return Collection(
        name=name,
        queries=tuple(kept),
        judgments=tuple(one for one in judgments if one.query_id in ids),
        counts=counts,
        digest=digest_file(judged_file),
    )


def _unknown_documents(directory: Path, judgments: Sequence[Judgment]) -> dict[str, int]:
    """How many relevant documents the corpus has not, if it is there; they count as relevant and never found."""
    if not (directory / "corpus.jsonl").is_file():
        return {}
    there = {str(row.get("_id")) for _, row in json_objects(directory / "corpus.jsonl")}
    missing = sorted({one.document_id for one in judgments if one.grade > 0} - there)
    if missing:
        say(
            f"{directory}: {len(missing):,} relevant documents are not in the corpus, such as '{missing[0]}'; "
            "they count as relevant and not found"
        )
    return {"relevant_documents_unknown": len(missing)}
