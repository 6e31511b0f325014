"""A search stack to take home: a ranker, its documents and their indexes in one directory.

::

    <stack>/ranker.json, encoders/      the ranker, see :mod:`inpars_plus.retrieval.rankers`
    <stack>/corpus.jsonl                the documents, in BEIR's layout
    <stack>/stack.json                  how they were read, and which were added later
    <stack>/index/                      vectors by the content of their texts, BM25; built again where missing

Nothing outside the directory is needed but the embedded encoder. Documents can be added without training anything
again: only their own vectors are computed. To search, the directory need not be writable: an index that is missing
there is kept in memory, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inpars_plus.corpora.chunking import parent_id_of
from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.judgments import write_documents
from inpars_plus.corpora.sources import open_corpus
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.files import read_json, write_json
from inpars_plus.foundation.progress import say
from inpars_plus.foundation.runs import Run
from inpars_plus.retrieval.rankers import (
    RANKER_FILE,
    RankerSpec,
    build_ranker,
    load_ranker,
    remove_ranker,
    save_ranker,
)

if TYPE_CHECKING:
    from inpars_plus.retrieval.fusion import FusedRetriever
    from inpars_plus.retrieval.protocol import Ranking

__all__ = ["Reading", "Stack", "build_stack", "load_stack", "remove_stack"]

_DOCUMENTS = "corpus.jsonl"
_RECORD = "stack.json"
_INDEX = "index"


class Reading(BaseModel):
    """How documents are read: the settings of :func:`~inpars_plus.corpora.sources.open_corpus`, which has them all.

    A stack keeps them, so that documents are added as the first ones were read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: Mapping[str, str] = Field(default_factory=dict)
    max_characters: int | None = None
    language: str = "en"
    encoding: str = "utf-8"
    named: bool = False


class _Record(BaseModel):
    """What a stack knows of its documents; ``added`` is ``None`` where nobody wrote down which were added later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    reading: Reading = Reading()
    added: tuple[str, ...] | None = None


class Stack:
    """Documents that can be searched; a :class:`~inpars_plus.retrieval.protocol.Retriever`.

    Attributes:
        reading: how its documents were read, to read others alike.

    Args:
        directory: where it lives.
        spec: its ranker.
        documents: all of them.
    """

    def __init__(self, directory: Path, spec: RankerSpec, documents: Sequence[Document]) -> None:
        self.directory = directory.absolute()  # it is read again when documents are added, wherever the process is then
        self.spec = spec
        self.reading = _record(directory).reading
        self._fill(self._index(documents), documents)

    def __len__(self) -> int:
        return len(self._documents)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def search(self, queries: Sequence[str], k: int = 10) -> list[Ranking]:
        """Search all queries at once; a blank one finds nothing.

        Args:
            queries: query texts.
            k: how many documents at most. A ranker of several retrievers combines the first 100 of each, and finds no
                others.
        """
        return self._ranker.search(queries, k)

    def document(self, document_id: str) -> Document:
        """A document by its id.

        Raises:
            CorpusError: it is not in the stack.
        """
        try:
            return self._documents[document_id]
        except KeyError:
            raise CorpusError("there is no such document", place=f"document '{document_id}'") from None

    def add(self, documents: Iterable[Document]) -> int:
        """Add documents, on disk and here; ids that are there already are refused, and then nothing is added.

        What another process has added since this stack was opened stays, and is found here from now on.

        Returns:
            How many were added.

        Raises:
            ConfigurationError: the stack is gone from the disk.
            CorpusError: an id is there already, or twice, or its document is there cut in another way; or the
                documents on disk cannot be read.
            RunError: another process is adding, the disk is full, or the directory cannot be written.
        """
        fresh = list(documents)
        _check(self.directory)  # before anything is made where a stack once was
        with Run(self.directory):
            there = _documents(self.directory)
            record = _record(self.directory)
            taken, wholes = {document.id for document in there}, {parent_id_of(document) for document in there}
            for document in fresh:
                if document.id in taken or parent_id_of(document) in wholes:
                    raise CorpusError(
                        "a document with this id is in the stack already",
                        place=f"document '{document.id}'",
                        remedy="Give it another id, or build the stack again",
                    )
                taken.add(document.id)
            # Indexed before they are written, because an encoder that is gone must leave the stack as it was.
            ranker = self._index([*there, *fresh])
            # Before the documents: an id that never came is nothing, a document that nobody knows of would be lost.
            if record.added is not None:
                names = (*record.added, *(document.id for document in fresh))
                _write_record(self.directory, record.model_copy(update={"added": names}))
            write_documents(self.directory / _DOCUMENTS, [*there, *fresh])
            self._fill(ranker, [*there, *fresh])
            self._tidy()
        return len(fresh)

    def _index(self, documents: Sequence[Document]) -> FusedRetriever:
        return build_ranker(self.spec, documents, cache_directory=self.directory / _INDEX)

    def _tidy(self) -> None:
        """Remove BM25's files of other texts: there is another one for each time that documents were added."""
        from inpars_plus.retrieval.bm25 import Bm25Retriever

        parts = [one.retriever for one in self._ranker.components]
        used = {part.file for part in parts if isinstance(part, Bm25Retriever)}
        for path in (self.directory / _INDEX / "bm25").glob("*.safetensors"):
            if path not in used:
                path.unlink(missing_ok=True)

    def _fill(self, ranker: FusedRetriever, documents: Sequence[Document]) -> None:
        self._ranker, self._documents = ranker, {document.id: document for document in documents}


def build_stack(
    directory: str | Path, spec: RankerSpec, documents: Iterable[Document], *, reading: Reading | None = None
) -> Stack:
    """Make a stack: copy the ranker, write the documents, index them.

    A directory that holds a stack is built anew. What was added to it stays, behind the documents, but for what is
    among them now; it is said how much. Indexes of texts that stay are kept.

    Args:
        directory: of the stack.
        spec: its ranker.
        documents: all of them.
        reading: how they were read.

    Raises:
        ConfigurationError: a stack that is there is of another version.
        CorpusError: there is no document, or two have the same id; or those of a stack that is there cannot be read.
        RunError: another process uses the directory, the disk is full, or it cannot be written.
    """
    folder = Path(directory).absolute()
    with Run(folder):
        given = list(documents)
        kept = _added(folder, given)
        if kept:
            say(f"{folder}: {len(kept):,} documents that were added to the stack stay in it")
        _write_record(folder, _Record(reading=reading or Reading(), added=tuple(one.id for one in kept)))
        write_documents(folder / _DOCUMENTS, [*given, *kept])
        save_ranker(spec, folder)
        stack = Stack(folder, load_ranker(folder), [*given, *kept])
        stack._tidy()
        return stack


def remove_stack(directory: str | Path, documents: Iterable[Document]) -> None:
    """Take away the stack in a directory, if there is one; files that are not of it stay.

    A stack that others were added to than these documents stays, and that is said.

    Raises:
        ConfigurationError: the stack is of another version.
        CorpusError: its documents cannot be read.
        RunError: another process uses the directory.
    """
    folder = Path(directory)
    if not _is_stack(folder):
        return
    with Run(folder):
        kept = _added(folder, documents)
        if kept:
            say(f"{folder}: the stack of an earlier choice stays, because {len(kept):,} documents were added to it")
            return
        (folder / _DOCUMENTS).unlink()
        (folder / _RECORD).unlink(missing_ok=True)
        rmtree(folder / _INDEX, ignore_errors=True)
    (folder / ".lock").unlink(missing_ok=True)
    remove_ranker(folder)


def load_stack(path: str | Path) -> Stack:
    """Open a stack, ready to search.

    Raises:
        ConfigurationError: there is none.
        CorpusError: its documents cannot be read.
        MissingPartError: an encoder is not on this machine.
    """
    folder = Path(path).absolute()
    documents = _documents(folder)
    return Stack(folder, load_ranker(folder), documents)


def _added(folder: Path, documents: Iterable[Document]) -> list[Document]:
    """What was added to the stack in a directory, if there is one, without what is among some documents.

    Where it is not known what was added, that is all that the documents lack.
    """
    if not _is_stack(folder):
        return []
    added, there = _record(folder).added, {parent_id_of(document) for document in documents}
    others = [one for one in _documents(folder) if parent_id_of(one) not in there]
    return others if added is None else [one for one in others if one.id in set(added)]


def _record(folder: Path) -> _Record:
    path = folder / _RECORD
    if not path.is_file():
        return _Record()
    try:
        return _Record.model_validate(read_json(path, kind="record of a stack"))
    except ValidationError as problem:
        raise ConfigurationError(
            "the record of the stack is not of this version",
            place=str(path),
            remedy="Delete that file, or build the stack again in another directory",
        ) from problem


def _write_record(folder: Path, record: _Record) -> None:
    write_json(folder / _RECORD, record.model_dump(mode="json"))


def _is_stack(folder: Path) -> bool:
    return (folder / RANKER_FILE).is_file() and (folder / _DOCUMENTS).is_file()


def _check(folder: Path) -> None:
    if not _is_stack(folder):
        raise ConfigurationError(
            "there is no search stack here",
            place=str(folder),
            remedy="Make one with inpars-plus adapt, or inpars-plus choose-ranker",
        )


def _documents(folder: Path) -> list[Document]:
    """Read the documents of a stack; its path is absolute, because ``python-docs`` alone would be another corpus."""
    _check(folder)
    return list(open_corpus(str(folder)).documents())
