"""Reader of a folder of ``.txt``, ``.md`` and ``.html`` files, with its sub-folders: one document a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.readers.html_text import declared_encoding, html_to_text
from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.corpora.readers.text_files import explained, read_text
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.texts import is_whole

__all__ = ["TEXT_SUFFIXES", "read_folder"]

TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm")
"""Files that are read; others in the folder are left alone."""

_HEADING = re.compile(r"#{1,6}[ \t]+(.+?)[ \t]*#*")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


def read_folder(path: Path, options: ReadingOptions) -> Iterator[Record]:
    """Stream the documents of a folder in the order of their paths, or the one document of a single file.

    The id is the path below the folder. The title is an HTML page's title or a Markdown file's front-matter title or
    first heading. Hidden files and folders are skipped. Links are followed, but no folder is entered twice.

    Raises:
        CorpusError: a folder or file cannot be read, or is not in the encoding.
    """
    if path.is_file():
        yield _record(path, path.name, options)
        return
    for file in _files(path, set()):
        yield _record(file, file.relative_to(path).as_posix(), options)


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    with explained(folder):
        status = folder.stat()
        names = sorted(os.listdir(folder))
    if (status.st_dev, status.st_ino) in seen:  # a link back up, or a second link to the same folder
        return
    seen.add((status.st_dev, status.st_ino))
    for name in names:
        if name.startswith("."):
            continue
        entry = folder / name
        if entry.is_dir():
            yield from _files(entry, seen)
        elif entry.suffix.lower() in TEXT_SUFFIXES and entry.is_file():
            yield entry


def _record(path: Path, identifier: str, options: ReadingOptions) -> Record:
    if not is_whole(identifier):
        raise CorpusError(
            "the name of the file is not UTF-8 text, and documents of a folder are called by it",
            place=os.fsencode(path).decode("utf-8", "backslashreplace"),
            remedy="Rename it",
        )
    suffix = path.suffix.lower()
    title = ""
    if suffix in (".html", ".htm"):
        title, text = html_to_text(read_text(path, _html_encoding(path, options.encoding)))
    else:
        text = read_text(path, options.encoding)
        if suffix != ".txt":
            title, text = _markdown_title(text)
    document = Document(
        id=identifier, title=title, text=text.strip(), doc_type=options.type_of(), language=options.language
    )
    return Record(document, str(path))


def _html_encoding(path: Path, encoding: str) -> str:
    """The encoding of a page: what a person said, or else what the page itself declares."""
    if encoding != "utf-8":
        return encoding
    with explained(path), open(path, "rb") as file:
        return declared_encoding(file.read(2048)) or encoding


def _markdown_title(text: str) -> tuple[str, str]:
    """The title, and the text without the front matter and without the heading when it opens the text."""
    title = ""
    front = _FRONT_MATTER.match(text)
    if front is not None:
        text = text[front.end() :]
        named = _FRONT_TITLE.search(front[1] or "")
        title = named[1].strip("\"'") if named else ""
    fenced = False
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    for number, line in enumerate(lines):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        heading = None if fenced else _HEADING.fullmatch(line.rstrip())
        if heading is not None:
            title = title or heading[1]
            if number == first and heading[1] == title:
                del lines[number]
            break
    return title, "\n".join(lines)
