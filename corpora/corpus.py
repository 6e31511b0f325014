"""A corpus on disk: checked once, then streamed as often as needed, never held in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from inpars_plus.corpora.chunking import chunk_document, parent_id_of
from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.readers.records import Record
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.files import JSON
from inpars_plus.foundation.progress import track

__all__ = ["Corpus", "Section"]

_REPEATS_LOOKED_UP = 1000
_BREAKING = re.compile(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """One of the corpora that are read together.

    Attributes:
        name: its name; the prefix of its ids when there are several.
        read: starts a new stream of its documents.
        place: where it is, for messages.
        reference: what to give to read it again.
    """

    name: str
    read: Callable[[], Iterator[Record]]
    place: str
    reference: Mapping[str, JSON] = dataclasses.field(default_factory=dict)


class Corpus:
    """Documents of one or several sections, streamed from where they are.

    Making one reads everything once: every document is checked before anything is spent on the first. That takes 8
    bytes of memory a document, for the hashes of the ids. Ids of several sections are ``name/id``.

    Args:
        sections: what to read, in this order.
        max_characters: cut longer documents into chunks of this length, see
            :func:`~inpars_plus.corpora.chunking.chunk_document`.
        named: ids are ``name/id`` also of one section, for what goes beside several.

    Raises:
        CorpusError: a document cannot be read, an id is there twice or cannot be written to a file of judgments, or a
            section has no documents.
    """

    def __init__(self, sections: Sequence[Section], *, max_characters: int | None = None, named: bool = False) -> None:
        self._sections = tuple(sections)
        self._max_characters = max_characters
        self._named = named or len(sections) > 1
        self._prefixes = {section.name: f"{section.name}/" if self._named else "" for section in sections}
        self._types: Counter[str] = Counter()
        self._digest = hashlib.sha256()
        self._check()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sections, in order."""
        return tuple(section.name for section in self._sections)

    def documents(self) -> Iterator[Document]:
        """Stream the documents from disk, in the same order each time.

        Raises:
            CorpusError: the files were changed since the corpus was opened.
        """
        number = 0
        for record in self._records():
            number += 1
            yield record.document
        if number != len(self):
            raise CorpusError(
                f"the corpus changed while it was used: it had {len(self):,} documents and now has {number:,}",
                place=", ".join(section.place for section in self._sections),
                remedy="Run again when nothing writes to it any more",
            )

    def __iter__(self) -> Iterator[Document]:
        return self.documents()

    def __len__(self) -> int:
        """How many documents there are; chunks count one each."""
        return self._types.total()

    def digest(self) -> str:
        """The SHA-256 of all documents with all their fields, in order: the content, not the files."""
        return self._digest.hexdigest()

    def types(self) -> Mapping[str, int]:
        """How many documents there are of each document type, most frequent first."""
        return MappingProxyType(dict(sorted(self._types.items(), key=lambda item: (-item[1], item[0]))))

    def original_id(self, document_id: str) -> str:
        """The id that a document has in its own section, whatever else is read together with it.

        Raises:
            CorpusError: the id begins with the name of none of the sections.
        """
        if not self._named:
            return document_id
        name, _, original = document_id.partition("/")
        if name not in self._prefixes or not original:
            raise CorpusError(
                f"the document '{document_id}' is of none of the corpora {', '.join(self.names)}",
                remedy="Use ids of the form name/id",
            )
        return original

    def reference(self) -> dict[str, JSON]:
        """What this corpus is, as JSON, to be written beside queries that were generated from it."""
        return {
            "corpora": [{"name": section.name, **section.reference} for section in self._sections],
            "max_characters": self._max_characters,
            "documents": len(self),
            "digest": self.digest(),
        }

    def _records(self) -> Iterator[Record]:
        for section in self._sections:
            prefix = self._prefixes[section.name]
            for record in section.read():
                document = _prefixed(record.document, prefix) if prefix else record.document
                if self._max_characters is None:
                    yield record._replace(document=document)
                    continue
                for chunk in chunk_document(document, self._max_characters):
                    yield record._replace(document=chunk)

    def _check(self) -> None:
        hashes = array("Q")
        prefixes_seen: Counter[str] = Counter()
        for record in track(self._records(), "Reading the corpus"):
            document = record.document
            _check_id(document.id, record.place)
            try:
                self._digest.update(_canonical(document))
            except UnicodeEncodeError:
                raise CorpusError(
                    f"the document '{document.id}' holds half of a character (a lone surrogate such as \\ud83d)",
                    place=record.place,
                    remedy="Replace it; it is most often an emoji that was cut in two",
                ) from None
            self._types[document.doc_type] += 1
            hashes.append(_hash(document.id))
            if len(self._sections) > 1:
                prefixes_seen[document.id.partition("/")[0]] += 1
        self._check_sections(prefixes_seen)
        self._check_repeats(hashes)

    def _check_sections(self, counts: Mapping[str, int]) -> None:
        for section in self._sections:
            if len(self) == 0 or (len(self._sections) > 1 and not counts.get(section.name)):
                raise CorpusError(
                    "the corpus is empty",
                    place=section.place,
                    remedy="Check the path: a folder should hold .txt, .md or .html files; name a table by its path",
                )

    def _check_repeats(self, hashes: array[int]) -> None:
        """Find ids that are there twice: first by their hashes, then by themselves, with both places."""
        import numpy as np

        ordered = np.sort(np.frombuffer(hashes, dtype=np.uint64))
        repeated = {int(value) for value in ordered[1:][ordered[1:] == ordered[:-1]][:_REPEATS_LOOKED_UP]}
        if not repeated:
            return
        places: dict[str, str] = {}
        for record in self._records():
            identifier = record.document.id
            if _hash(identifier) not in repeated:
                continue
            if identifier in places:
                raise CorpusError(
                    f"the id '{identifier}' is already used at {places[identifier]}",
                    place=record.place,
                    remedy="Give every document an id of its own, or map the id to another field",
                )
            places[identifier] = record.place


def _prefixed(document: Document, prefix: str) -> Document:
    update: dict[str, object] = {"id": prefix + document.id}
    parent = parent_id_of(document)
    if parent != document.id:
        update["metadata"] = {**document.metadata, "parent_id": prefix + parent}
    return document.model_copy(update=update)


def _check_id(identifier: str, place: str) -> None:
    if _BREAKING.search(identifier):
        raise CorpusError(
            f"the id {identifier!r} holds a tab or a line break",
            place=place,
            remedy="Replace it, because ids are written to files with tabs between them",
        )


def _canonical(document: Document) -> bytes:
    fields = [
        document.id, document.title, document.text, document.doc_type, document.language, document.metadata
    ]  # fmt: skip
    return (json.dumps(fields, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _hash(identifier: str) -> int:
    return int.from_bytes(hashlib.blake2b(identifier.encode("utf-8", "replace"), digest_size=8).digest(), "little")
