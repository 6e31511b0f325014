"""Cutting long documents into chunks that end where sentences end."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from semantic_text_splitter import TextSplitter

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["chunk_document", "parent_id_of"]

# The splitter's time grows with the square of the longest run without a boundary, so it never sees more than this
# many chunks at once: two megabytes without a space then take a fraction of a second instead of minutes.
_CHUNKS_AT_ONCE = 16


def chunk_document(document: Document, max_characters: int) -> list[Document]:
    """Cut a document into chunks, each as long as allowed, at paragraph and sentence ends (Unicode's rules, UAX 29).

    A sentence that is longer than a chunk is cut between words, a word that is longer between characters.

    Args:
        document: what to cut.
        max_characters: the length of a chunk's text at most, white space at its ends not counted; the title, which
            every chunk carries, comes on top.

    Returns:
        The document itself when it is short enough, else chunks with the ids ``<id>#1``, ``<id>#2``, ..., and in
        their metadata ``parent_id`` (of the whole document, also when a chunk is cut again) and ``chunk``, the number.
        Their texts together are the text, but for white space between them.

    Raises:
        ConfigurationError: ``max_characters`` is not positive.
    """
    if max_characters < 1:
        raise ConfigurationError(
            f"a chunk needs room for at least one character, not {max_characters}",
            place="max_characters",
            remedy="Give a length such as 2000",
        )
    if len(document.text) <= max_characters:
        return [document]
    texts = [stripped for piece in _pieces(document.text, max_characters) if (stripped := piece.strip())]
    if len(texts) <= 1:  # long only by its white space; kept as it is, an empty document too
        return [document]
    parent = parent_id_of(document)
    return [
        document.model_copy(
            update={
                "id": f"{document.id}#{number}",
                "text": text,
                "metadata": {**document.metadata, "parent_id": parent, "chunk": number},
            }
        )
        for number, text in enumerate(texts, start=1)
    ]


def parent_id_of(document: Document) -> str:
    """The id of the document that a chunk was cut from; its own id for a whole document.

    A chunk has all three marks of :func:`chunk_document`. A ``parent_id`` alone is something else: comments have one.
    """
    parent, chunk = document.metadata.get("parent_id"), document.metadata.get("chunk")
    cut = isinstance(parent, str) and isinstance(chunk, int) and document.id.startswith(f"{parent}#")
    return str(parent) if cut else document.id


def _pieces(text: str, max_characters: int) -> Iterator[str]:
    """The text in pieces that give it back when joined."""
    splitter = _splitter(max_characters)
    window = max_characters * _CHUNKS_AT_ONCE
    start = 0
    while start < len(text):
        pieces = splitter.chunks(text[start : start + window])
        if start + window < len(text):
            pieces.pop()  # the window, not the text, ended it: it is cut again with what follows
        for piece in pieces:
            start += len(piece)
            yield piece


@functools.lru_cache(maxsize=8)
def _splitter(max_characters: int) -> TextSplitter:
    return TextSplitter(max_characters, trim=False)
