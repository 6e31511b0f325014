"""Reader of directories in BEIR layout: ``corpus.jsonl`` with rows ``{_id, title, text, metadata}``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.corpora.readers.tables import read_jsonl
from inpars_plus.foundation.errors import CorpusError

__all__ = ["CORPUS_FILES", "beir_corpus_file", "is_beir", "read_beir"]

CORPUS_FILES = ("corpus.jsonl", "corpus.jsonl.gz")
"""The names that the file of documents may have."""


def beir_corpus_file(directory: Path) -> Path | None:
    """The file of documents in a directory in BEIR layout, or ``None`` if it has none."""
    return next((directory / name for name in CORPUS_FILES if (directory / name).is_file()), None)


def is_beir(directory: Path) -> bool:
    """Whether a directory is in BEIR layout, with or without its documents."""
    return (
        beir_corpus_file(directory) is not None
        or (directory / "queries.jsonl").is_file()
        or (directory / "qrels").is_dir()
    )


def read_beir(directory: Path, options: ReadingOptions) -> Iterator[Record]:
    """Stream the documents of a directory in BEIR layout. Field mappings do not apply: the layout is fixed.

    Raises:
        CorpusError: the directory has no ``corpus.jsonl``, or a line of it is wrong.
    """
    path = beir_corpus_file(directory)
    if path is None:
        raise CorpusError(
            "the directory has queries or judgments but no corpus.jsonl",
            place=str(directory),
            remedy="Give the corpus that the queries were written for instead",
        )
    yield from read_jsonl(path, dataclasses.replace(options, fields={}))
