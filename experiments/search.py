"""Search a stack from the terminal: ``inpars-plus search``; and add documents to it."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from inpars_plus.corpora import open_corpus, read_queries
from inpars_plus.foundation import ConfigurationError
from inpars_plus.retrieval.runs import write_run
from inpars_plus.retrieval.stack import Stack, load_stack

__all__ = ["main", "run", "shown"]

_HELP = "See inpars-plus search --help"
_WIDTH = 100
_LINES = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message, remedy=_HELP)


def run(arguments: Sequence[str]) -> None:
    """Search, or add documents.

    Raises:
        InParsError: there is no such stack, or what is given is wrong.
    """
    given = _parser().parse_intermixed_args(list(arguments))
    if (given.queries is None) != (given.run is None):
        raise ConfigurationError("--queries and --run go together", place="--queries", remedy=_HELP)
    stack = load_stack(given.stack)
    if given.add is not None:
        added = stack.add(open_corpus(given.add).documents())
        print(f"{added:,} documents added; the stack has {len(stack):,}")
    if given.queries is not None:
        queries = read_queries(given.queries)
        rankings = stack.search([query.text for query in queries], given.k)
        write_run(given.run, dict(zip([query.id for query in queries], rankings, strict=True)), name=stack.spec.name)
        print(f"{len(queries):,} queries answered: {given.run}")
    if given.query:
        print(shown(stack, " ".join(given.query), given.k))
    elif given.add is None and given.queries is None:
        _ask(stack, given.k)


def _parser() -> _Parser:
    parser = _Parser(
        prog="inpars-plus search",
        description="Search a stack that choose-ranker or adapt made. Without a query, queries are read line by line.",
        epilog=(
            "examples:\n  inpars-plus search runs/notes-choice/stack why does the pump leak\n"
            "  inpars-plus search runs/notes-choice/stack --queries queries.jsonl --run answers.trec -k 100\n"
            "  inpars-plus search runs/notes-choice/stack --add more-notes/"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("stack", metavar="STACK", type=Path, help="directory of the stack")
    parser.add_argument("query", metavar="WORD", nargs="*", help="what to look for")
    parser.add_argument(
        "-k",
        type=_positive,
        default=5,
        metavar="N",
        help="documents at most (default %(default)s); a hybrid combines the first 100 of each of its retrievers",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="queries.jsonl to answer, into --run")
    parser.add_argument("--run", type=Path, metavar="FILE", help="run file in TREC's form")
    parser.add_argument("--add", metavar="CORPUS", help="documents to add first: folder, table, BEIR directory")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of documents: give 1 or more")
    return number


def _ask(stack: Stack, k: int) -> None:
    if sys.stdin.isatty():
        print(f"{len(stack):,} documents. A query a line; an empty line ends.")
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
