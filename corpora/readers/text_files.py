"""Opening text files, plain or gzipped, so that what is wrong with one is said with its place."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from inpars_plus.foundation.errors import ConfigurationError, CorpusError

__all__ = ["check_encoding", "explained", "open_text", "read_text"]

_BLOCK = 1 << 20


def check_encoding(encoding: str) -> str:
    """The name of a text encoding, as Python spells it.

    Raises:
        ConfigurationError: Python knows no text encoding of that name.
    """
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=name).close()  # refuses codecs that are not of text
    except LookupError:
        raise ConfigurationError(
            f"there is no text encoding called '{encoding}'",
            place="encoding",
            remedy='Give one that Python knows, such as "utf-8", "latin-1" or "cp1252"',
        ) from None
    return name


@contextlib.contextmanager
def open_text(path: Path, encoding: str = "utf-8", *, newline: str | None = "\n") -> Iterator[IO[str]]:
    r"""Open a text file, or a gzipped one whose name ends in ``.gz``; a byte order mark is taken off.

    Args:
        path: the file.
        encoding: of its text.
        newline: as in :func:`open`; by default lines end only at ``\n``.

    Yields:
        The open file. What goes wrong while the block reads it is explained too, see :func:`explained`.

    Raises:
        CorpusError: the file is missing, unreadable, a damaged gzip file, or not in that encoding.
    """
    with explained(path, encoding), contextlib.ExitStack() as stack:
        raw = stack.enter_context(_open_bytes(path))
        yield stack.enter_context(io.TextIOWrapper(raw, encoding=_with_mark(encoding), newline=newline))


def read_text(path: Path, encoding: str = "utf-8") -> str:
    r"""The whole text of one file, with ends of lines as ``\n``.

    Raises:
        CorpusError: as for :func:`open_text`.
    """
    with open_text(path, encoding, newline=None) as file:
        return file.read()


@contextlib.contextmanager
def explained(path: Path, encoding: str = "utf-8") -> Iterator[None]:
    """Turn what can go wrong while a file is read into a CorpusError that names the file and what to do."""
    try:
        yield
    except UnicodeDecodeError as problem:
        raise _wrong_encoding(path, encoding) from problem
    except UnicodeError as problem:  # of the file as a whole, such as UTF-16 without a byte order mark
        raise CorpusError(
            f"the file is not {encoding.upper()} text ({problem})",
            place=os.fspath(path),
            remedy='Save it as UTF-8, or name its encoding, such as encoding="utf-16-le" where no mark says which',
        ) from problem
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise CorpusError(
            f"the gzip file is damaged ({problem})", place=str(path), remedy="Download or compress it again"
        ) from problem
    except FileNotFoundError as problem:
        raise CorpusError("there is no such file", place=str(path), remedy="Check the path") from problem
    except OSError as problem:
        raise CorpusError(
            f"the file cannot be read ({problem.strerror or problem})",
            place=str(path),
            remedy="Check that it is a file and that you may read it",
        ) from problem


def _open_bytes(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def _with_mark(encoding: str) -> str:
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _wrong_encoding(path: Path, encoding: str) -> CorpusError:
    """Read the file once more to count the bytes before the bad one: a decoder only knows its own block."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before = 0
    start = b""
    position = 0
    with _open_bytes(path) as file:
        while True:
            block = file.read(_BLOCK)
            start = start or block[:2]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as problem:
                # The decoder may have kept the first bytes of a character from the block before.
                position = before + len(block) - len(problem.object) + problem.start
                break
            if not block:
                break
            before += len(block)
    likely = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
    return CorpusError(
        f"the file is not {encoding.upper()} text (byte {position:,} does not fit)",
        place=os.fspath(path),
        remedy=f'Save it as UTF-8, or name its encoding, such as encoding="{likely}"',
    )
