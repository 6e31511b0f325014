"""Search a stack from the terminal: ``inpars-plus search``; and add documents to it."""

from __future__ import annotations

import argparse
import io
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Corpus, CorpusSource, open_corpus, read_queries
from inpars_plus.experiments.settings import Parser
from inpars_plus.foundation import ConfigurationError
from inpars_plus.foundation.texts import made_whole
from inpars_plus.retrieval.runs import write_run
from inpars_plus.retrieval.stack import Stack, load_stack

__all__ = ["main", "run", "shown"]

_HELP = "See inpars-plus search --help"
_READING = ("field_map", "max_characters", "encoding", "language")
_SHOWN = 5
_RUN_DEPTH = 100
"""Of a run whose depth is not given: as deep as the deepest measure that ``evaluate-runs`` shows."""
_WIDTH = 100
_LINES = 2


def run(arguments: Sequence[str]) -> None:
    """Search, or add documents.

    Raises:
        InParsError: there is no such stack, or what is given is wrong.
    """
    given = _parser().parse_intermixed_args(list(arguments))
    if (given.queries is None) != (given.run is None):
        raise ConfigurationError("--queries and --run go together", place="--queries", remedy=_HELP)
    flags = {name: value for name in _READING if (value := getattr(given, name)) is not None}
    if flags and given.add is None:
        name = f"--{next(iter(flags)).replace('_', '-')}"
        raise ConfigurationError(f"{name} says how documents are read that are added", place=name, remedy=_HELP)
    stack = load_stack(given.stack)
    if given.add is not None:
        added = stack.add(_opened(given.add, stack, flags).documents())
        print(f"{added:,} documents added; the stack has {len(stack):,}")
    if given.queries is not None:
        queries = read_queries(given.queries)
        rankings = stack.search([query.text for query in queries], given.k or _RUN_DEPTH)
        write_run(given.run, dict(zip([query.id for query in queries], rankings, strict=True)), name=stack.spec.name)
        print(f"{len(queries):,} queries answered: {given.run}")
    if given.query:
        print(shown(stack, made_whole(" ".join(given.query)), given.k or _SHOWN))
    elif given.add is None and given.queries is None:
        _ask(stack, given.k or _SHOWN)


def _opened(spec: str, stack: Stack, flags: Mapping[str, Any]) -> Corpus:
    """The documents to add, read as those of the stack were, but for what flags say."""
    fields = dict(flags.get("field_map", ()))
    if CorpusSource.parse(spec).kind in ("csv", "jsonl"):
        fields = {**stack.reading.fields, **fields}
    given = {name: value for name, value in flags.items() if name != "field_map"}
    return open_corpus(spec, **{**stack.reading.model_dump(), **given, "fields": fields})


def _parser() -> Parser:
    parser = Parser(
        prog="inpars-plus search",
        description="Search a stack that choose-ranker or adapt made. Without a query, queries are read line by line.",
        epilog=(
            "examples:\n  inpars-plus search runs/notes-choice/stack why does the pump leak\n"
            "  inpars-plus search runs/notes-choice/stack --queries queries.jsonl --run answers.trec\n"
            "  inpars-plus search runs/notes-choice/stack --add more-notes/\n\n"
            "What is added is read as the stack's documents were; these flags say otherwise: --field-map,\n"
            "--max-characters, --encoding, --language. In a stack of several corpora, its ids begin with its name."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("stack", metavar="STACK", type=Path, help="directory of the stack")
    parser.add_argument("query", metavar="WORD", nargs="*", help="what to look for")
    parser.add_argument(
        "-k",
        type=_positive,
        metavar="N",
        help=f"documents at most (default {_SHOWN}, into --run {_RUN_DEPTH}); "
        "a hybrid combines the first 100 of each of its retrievers",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="queries.jsonl to answer, into --run")
    parser.add_argument("--run", type=Path, metavar="FILE", help="run file in TREC's form")
    parser.add_argument(
        "--add", metavar="[NAME=]PATH", help="documents to add first: folder, table, BEIR directory; see below"
    )
    parser.add_argument(
        "--field-map",
        action="append",
        type=_pair,
        metavar="FIELD=COLUMN",
        help="of a table to add: which column is a field, such as text=body; repeatable",
    )
    parser.add_argument("--max-characters", type=_positive, metavar="N", help="cut longer documents to add")
    parser.add_argument("--encoding", metavar="NAME", help="of files to add")
    parser.add_argument("--language", metavar="CODE", help="of documents to add that do not state theirs")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return number


def _pair(text: str) -> tuple[str, str]:
    name, _, column = text.partition("=")
    if not name or not column:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form FIELD=COLUMN, such as text=body")
    return name, column


def _ask(stack: Stack, k: int) -> None:
    if sys.stdin.isatty():
        print(f"{len(stack):,} documents. A query a line; an empty line ends.")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # one line in another encoding should not end the others
    for line in sys.stdin:
        if not line.strip():
            return
        print(shown(stack, line.strip(), k), flush=True)


def shown(stack: Stack, query: str, k: int) -> str:
    """The documents that a query finds, for people: rank, id, title, and how the text begins."""
    (ranking,) = stack.search([query], k)
    if not len(ranking):
        return f"nothing found for: {query}"
    parts = []
    for rank, (name, score) in enumerate(zip(ranking.ids, ranking.scores, strict=True), start=1):
        document = stack.document(name)
        text = " ".join(document.text.split())
        cut = textwrap.shorten(text, _WIDTH * _LINES, placeholder=" …")
        head = f"{rank:>2}. {document.title or name}  ({f'{name}, ' if document.title else ''}{score:.3f})"
        parts.append("\n".join([head, *textwrap.wrap(cut, _WIDTH, initial_indent="    ", subsequent_indent="    ")]))
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job("search", arguments)


if __name__ == "__main__":
    sys.exit(main())
