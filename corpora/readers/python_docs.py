"""The default corpus: the public docstrings of the standard library of the Python that runs this.

Every machine has it, and it is real documentation. The files are parsed, never imported.
"""

from __future__ import annotations

import ast
import functools
import logging
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.foundation.errors import CorpusError

__all__ = ["MINIMUM_CHARACTERS", "PYTHON_DOCS_TYPE", "read_python_docs"]

PYTHON_DOCS_TYPE = "api-reference"
"""The document type of this corpus."""

MINIMUM_CHARACTERS = 200
"""Shorter docstrings are left out: they seldom hold an answer that a query could be about."""

_SKIPPED = {
    "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests", "turtledemo", "__pycache__"
}  # fmt: skip
# These hold the Python twin of a public module that is written in C, or its body, under a private name.
_PUBLIC_NAMES = {
    "_collections_abc": "collections.abc",
    "_pydatetime": "datetime",
    "_pydecimal": "decimal",
    "_pyio": "io",
}
_Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

_log = logging.getLogger("inpars_plus")


def read_python_docs(options: ReadingOptions, *, library: Path | None = None) -> Iterator[Record]:
    """Stream the docstrings as documents in the order of their dotted names, which are the ids and the titles.

    Modules, classes, functions and methods are read; names that begin with an underscore, tests and bundled programs
    are not.

    Args:
        options: a forced document type replaces ``api-reference``.
        library: the folder of the standard library; that of the running Python by default.

    Raises:
        CorpusError: this Python comes without the source of its standard library.
    """
    folder = library or Path(sysconfig.get_path("stdlib"))
    for name, text, path, line in _docstrings(folder):
        document = Document(
            id=name, title=name, text=text, doc_type=options.forced_type or PYTHON_DOCS_TYPE, language="en"
        )
        yield Record(document, path, line)


@functools.lru_cache(maxsize=2)
def _docstrings(folder: Path) -> tuple[tuple[str, str, str, int], ...]:
    """Dotted name, docstring, file and line of each. Kept: parsing takes seconds, and the result is about 1 MB."""
    found: dict[str, tuple[str, str, str, int]] = {}
    for path in _modules(folder):
        module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        tree = _parse(path)
        if tree is None:
            continue
        for name, node in _public_scopes(tree, _PUBLIC_NAMES.get(module, module)):
            text = ast.get_docstring(node)
            if text is not None and len(text) >= MINIMUM_CHARACTERS:
                line = 1 if isinstance(node, ast.Module) else node.lineno
                # A name may be defined twice, once for each platform or version; the first one stands.
                found.setdefault(name, (name, text, str(path), line))
    if not found:
        raise CorpusError(
            "there are no docstrings: this Python comes without the source of its standard library",
            place=str(folder),
            remedy="Use a Python from python.org or your distribution's full package, or give a corpus of your own",
        )
    return tuple(found[name] for name in sorted(found))


def _modules(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if entry.name not in _SKIPPED and entry.name.isidentifier() and not entry.name.startswith("_"):
                yield from _modules(entry)
        elif entry.suffix == ".py" and (
            not entry.name.startswith("_") or entry.stem == "__init__" or entry.stem in _PUBLIC_NAMES
        ):
            yield entry


def _parse(path: Path) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in strings
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as problem:
        _log.debug("%s is left out: %s", path, problem)
        return None


def _public_scopes(scope: _Scope, name: str) -> Iterator[tuple[str, _Scope]]:
    yield name, scope
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        return  # what is defined inside a function is nobody's interface
    for node in _definitions(scope.body):
        if not node.name.startswith("_"):
            yield from _public_scopes(node, f"{name}.{node.name}")


def _definitions(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The definitions of a body, those under ``if`` and ``try`` too."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If):
            yield from _definitions([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handled = [inner for handler in node.handlers for inner in handler.body]
            yield from _definitions([*node.body, *handled, *node.orelse, *node.finalbody])
