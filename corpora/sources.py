"""Which corpora to read: from what a person writes, such as ``news=data/articles.jsonl:news-article``, to a corpus."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from inpars_plus.corpora.corpus import Corpus, Section
from inpars_plus.corpora.readers.beir import is_beir, read_beir
from inpars_plus.corpora.readers.folder import TEXT_SUFFIXES, read_folder
from inpars_plus.corpora.readers.irdatasets import read_ir_dataset
from inpars_plus.corpora.readers.languages import language_code
from inpars_plus.corpora.readers.python_docs import read_python_docs
from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.corpora.readers.rows import DOCUMENT_FIELDS
from inpars_plus.corpora.readers.tables import read_csv, read_jsonl
from inpars_plus.corpora.readers.text_files import check_encoding
from inpars_plus.foundation.errors import ConfigurationError, CorpusError

__all__ = ["CorpusKind", "CorpusSource", "open_corpus"]

CorpusKind: TypeAlias = Literal["folder", "beir", "jsonl", "csv", "ir_datasets", "python-docs"]

_PYTHON_DOCS = "python-docs"
_IR_DATASETS = "ir_datasets:"
_NAME = re.compile(r"[\w.-]+")
_TYPE = re.compile(r"\w[\w.-]*")
_PATH_READERS: Mapping[CorpusKind, Callable[[Path, ReadingOptions], Iterator[Record]]] = {
    "folder": read_folder,
    "beir": read_beir,
    "jsonl": read_jsonl,
    "csv": read_csv,
}


@dataclasses.dataclass(frozen=True, slots=True)
class CorpusSource:
    """One corpus to read.

    Attributes:
        name: its name: as given, else the name of the file or folder without its ending.
        kind: how it is read.
        location: the path, the dataset's id, or ``python-docs``.
        doc_type: the document type of all its documents; ``None`` when none was given, and then each document's own
            counts, or else the name of the corpus.
    """

    name: str
    kind: CorpusKind
    location: str
    doc_type: str | None = None

    @classmethod
    def parse(cls, spec: str) -> CorpusSource:
        """Read ``[name=]where[:type]``.

        ``where`` is a folder, a directory in BEIR layout, a file (``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv``, each
        also with ``.gz``, or one text file), ``python-docs``, or ``ir_datasets:<id>``. A path that exists is taken as
        it is, colons and equal signs included.

        Raises:
            ConfigurationError: the name or the type holds other than letters, digits, ``.``, ``_`` and ``-``.
            CorpusError: there is no such file or folder, or it is of no known kind.
        """
        name, where = _split_name(spec)
        if where == _PYTHON_DOCS or where.startswith(f"{_PYTHON_DOCS}:"):
            doc_type = where.partition(":")[2] or None
            return cls(name or _PYTHON_DOCS, "python-docs", _PYTHON_DOCS, _checked_type(doc_type, spec))
        if where.startswith(_IR_DATASETS):
            dataset_id, _, typed = where.removeprefix(_IR_DATASETS).partition(":")
            if not dataset_id:
                raise ConfigurationError(
                    "the id of the dataset is missing", place=spec, remedy="Write it as ir_datasets:beir/scifact"
                )
            default = re.sub(r"[^\w.-]+", "-", dataset_id)
            return cls(name or default, "ir_datasets", dataset_id, _checked_type(typed or None, spec))
        path, typed = _split_type(where)
        if path is None:
            raise ConfigurationError(
                "the path of the corpus is missing", place=spec or "corpus", remedy="Write it as name=path:type"
            )
        kind = _kind(path)
        default = path.resolve().name if path.is_dir() else path.name.partition(".")[0]
        # A made-up name only has to be one that ids can begin with; a given name is checked.
        default = re.sub(r"[^\w.-]+", "-", default) or "corpus"
        return cls(name or default, kind, str(path), _checked_type(typed or None, spec))

    @property
    def reference(self) -> dict[str, str | None]:
        """Kind, location and type as JSON; a path is absolute, so that it can be found from elsewhere."""
        on_disk = self.kind in _PATH_READERS
        location = str(Path(self.location).resolve()) if on_disk else self.location
        return {"kind": self.kind, "location": location, "doc_type": self.doc_type}

    def read(self, options: ReadingOptions) -> Iterator[Record]:
        """Start a stream of the documents.

        Args:
            options: defaults and field mapping; the source's own name and type are put in.

        Raises:
            CorpusError: the corpus cannot be read; MissingPartError for ``ir_datasets`` when it is not installed.
        """
        own = dataclasses.replace(options, default_type=self.name, forced_type=self.doc_type)
        if self.kind == "python-docs":
            return read_python_docs(own)
        if self.kind == "ir_datasets":
            return read_ir_dataset(self.location, own)
        return _PATH_READERS[self.kind](Path(self.location), own)


def open_corpus(
    specs: str | Sequence[str],
    *,
    fields: Mapping[str, str] | None = None,
    max_characters: int | None = None,
    language: str = "en",
    encoding: str = "utf-8",
    named: bool = False,
) -> Corpus:
    """Open one or several corpora as one, after reading and checking every document once.

    Args:
        specs: each as for :meth:`CorpusSource.parse`.
        fields: for CSV and JSON Lines: document field (``id``, ``title``, ``text``, ``doc_type``, ``language``) to the
            name of the column that holds it, such as ``{"text": "body"}``.
        max_characters: cut longer documents into chunks of this length.
        language: ISO 639-1 code of documents that do not state theirs.
        encoding: of the text files.
        named: ids are ``name/id`` also where there is one corpus, for what goes beside several.

    Raises:
        ConfigurationError: a setting is wrong, or two corpora have the same name.
        CorpusError: a corpus cannot be read, or is empty; the message names the place and what to do.
        MissingPartError: ``ir_datasets`` is asked for and not installed.
    """
    sources = [CorpusSource.parse(spec) for spec in ([specs] if isinstance(specs, str) else specs)]
    if not sources:
        raise ConfigurationError("no corpus is given", place="corpus", remedy="Name one, such as python-docs")
    names = [source.name for source in sources]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ConfigurationError(
            f"two corpora are called '{repeated}'",
            place="corpus",
            remedy=f"Name them apart, such as {repeated}-2=PATH",
        )
    if language_code(language) is None:
        raise ConfigurationError(
            f"'{language}' is not a language code",
            place="language",
            remedy="Use a two-letter code (ISO 639-1) such as en",
        )
    _check_fields(fields or {}, sources)
    if max_characters is not None and max_characters < 1:
        raise ConfigurationError(
            f"documents cannot be cut to {max_characters} characters", place="max_characters", remedy="Give 2000 or so"
        )
    options = ReadingOptions(
        language=language_code(language) or "en", encoding=check_encoding(encoding), fields=dict(fields or {})
    )
    sections = [
        Section(source.name, functools.partial(source.read, options), source.location, source.reference)
        for source in sources
    ]
    return Corpus(sections, max_characters=max_characters, named=named)


def _split_name(spec: str) -> tuple[str | None, str]:
    name, equals, where = spec.partition("=")
    if not equals or _exists(spec) or "/" in name:
        return None, spec
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"'{name}' cannot be the name of a corpus",
            place=spec,
            remedy="Use letters, digits, '.', '_' and '-'",
        )
    return name, where


def _split_type(where: str) -> tuple[Path | None, str]:
    path, colon, doc_type = where.rpartition(":")
    if not colon or _exists(where):
        path, doc_type = where, ""
    return (Path(path).expanduser() if path else None), doc_type


def _exists(path: str) -> bool:
    return bool(path) and Path(path).expanduser().exists()


def _checked_type(doc_type: str | None, spec: str) -> str | None:
    if doc_type is not None and not _TYPE.fullmatch(doc_type):
        raise ConfigurationError(
            f"'{doc_type}' cannot be a document type", place=spec, remedy="Use letters, digits, '.', '_' and '-'"
        )
    return doc_type


def _kind(path: Path) -> CorpusKind:
    if path.is_dir():
        return "beir" if is_beir(path) else "folder"
    if not path.exists():
        raise CorpusError(
            "there is no such file or folder",
            place=str(path),
            remedy="Check the path, or use python-docs, a corpus that every machine has",
        )
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix in (".csv", ".tsv"):
        return "csv"
    if path.suffix.lower() in TEXT_SUFFIXES:
        return "folder"
    raise CorpusError(
        f"a file that ends in '{suffix}' is of no known kind",
        place=str(path),
        remedy="Give a folder, a BEIR directory, or a .jsonl, .csv, .tsv, .txt, .md or .html file",
    )


def _check_fields(fields: Mapping[str, str], sources: Sequence[CorpusSource]) -> None:
    unknown = sorted(set(fields) - set(DOCUMENT_FIELDS))
    if unknown:
        raise ConfigurationError(
            f"a document has no field '{unknown[0]}'",
            place="fields",
            remedy=f"Map {', '.join(DOCUMENT_FIELDS)}; other columns are kept as metadata under their own names",
        )
    if fields and not any(source.kind in ("csv", "jsonl") for source in sources):
        raise ConfigurationError(
            "fields are mapped, and no corpus is a CSV or JSON Lines file",
            place="fields",
            remedy="Leave the mapping out",
        )
