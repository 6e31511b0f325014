"""A search stack to take home: a ranker, its documents and their indexes in one directory.

::

    <stack>/ranker.json, encoders/      the ranker, see :mod:`inpars_plus.retrieval.rankers`
    <stack>/corpus.jsonl                the documents, in BEIR's layout
    <stack>/index/                      vectors by the content of their texts, BM25; built again where missing

Nothing outside the directory is needed but the embedded encoder. Documents can be added without training anything
again: only their own vectors are computed. To search, the directory need not be writable: an index that is missing
there is kept in memory, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.judgments import write_documents
from inpars_plus.corpora.sources import open_corpus
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.runs import Run
from inpars_plus.retrieval.rankers import RANKER_FILE, RankerSpec, build_ranker, load_ranker, save_ranker

if TYPE_CHECKING:
    from inpars_plus.retrieval.protocol import Ranking, Retriever

__all__ = ["Stack", "build_stack", "load_stack"]

_DOCUMENTS = "corpus.jsonl"
_INDEX = "index"


class Stack:
    """Documents that can be searched; a :class:`~inpars_plus.retrieval.protocol.Retriever`.

    Args:
        directory: where it lives.
        spec: its ranker.
        documents: all of them.
    """

    def __init__(self, directory: Path, spec: RankerSpec, documents: Sequence[Document]) -> None:
        self.directory = directory.absolute()  # it is read again when documents are added, wherever the process is then
        self.spec = spec
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
            CorpusError: an id is there already, or twice; or the documents on disk cannot be read.
            RunError: another process is adding, the disk is full, or the directory cannot be written.
        """
        fresh = list(documents)
        _check(self.directory)  # before anything is made where a stack once was
        with Run(self.directory):
            there = _documents(self.directory)
            taken = {document.id for document in there}
            for document in fresh:
                if document.id in taken:
                    raise CorpusError(
                        "a document with this id is in the stack already",
                        place=f"document '{document.id}'",
                        remedy="Give it another id, or build the stack again",
                    )
                taken.add(document.id)
            # Indexed before they are written, because an encoder that is gone must leave the stack as it was.
            ranker = self._index([*there, *fresh])
            write_documents(self.directory / _DOCUMENTS, [*there, *fresh])
            self._fill(ranker, [*there, *fresh])
        return len(fresh)

    def _index(self, documents: Sequence[Document]) -> Retriever:
        return build_ranker(self.spec, documents, cache_directory=self.directory / _INDEX)

    def _fill(self, ranker: Retriever, documents: Sequence[Document]) -> None:
        self._ranker, self._documents = ranker, {document.id: document for document in documents}


def build_stack(directory: str | Path, spec: RankerSpec, documents: Iterable[Document]) -> Stack:
    """Make a stack: copy the ranker, write the documents, index them.

    A directory that holds a stack is built anew; indexes of texts that stay are kept.

    Raises:
        CorpusError: there is no document, or two have the same id.
        RunError: another process uses the directory, the disk is full, or it cannot be written.
    """
    folder = Path(directory).absolute()
    with Run(folder):
        kept = list(documents)
        write_documents(folder / _DOCUMENTS, kept)
        save_ranker(spec, folder)
        return Stack(folder, load_ranker(folder), kept)


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


def _check(folder: Path) -> None:
    if not (folder / RANKER_FILE).is_file() or not (folder / _DOCUMENTS).is_file():
        raise ConfigurationError(
            "there is no search stack here",
            place=str(folder),
            remedy="Make one with inpars-plus adapt, or inpars-plus choose-ranker",
        )


def _documents(folder: Path) -> list[Document]:
    """Read the documents of a stack; its path is absolute, because ``python-docs`` alone would be another corpus."""
    _check(folder)
    return list(open_corpus(str(folder)).documents())
