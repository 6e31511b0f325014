"""Show the compiled programs in a directory: ``inpars-plus list-programs runs/quickstart/compile/compiled``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inpars_plus.experiments.settings import Parser
from inpars_plus.experiments.tables import number, text_table
from inpars_plus.programs import list_programs

__all__ = ["main", "run"]


def run(arguments: Sequence[str]) -> None:
    """Print a table of the programs.

    Raises:
        InParsError: there is no such directory.
    """
    parser = Parser(
        prog="inpars-plus list-programs",
        description="Show the compiled programs in a directory, with their scores on test documents.",
        epilog="example:\n  inpars-plus list-programs runs/quickstart/compile/compiled",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="where compile-programs wrote: its folder compiled")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    directory: Path = parser.parse_args(list(arguments)).directory
    cards = list_programs(directory)
    if not cards:
        print(f"There are no compiled programs in {directory}")
        return
    rows = [
        [
            card.document_type,
            card.program,
            card.lm,
            card.optimizer.name,
            number(card.metric.test.before),
            number(card.metric.test.after),
            str(card.path),
        ]
        for card in cards
    ]
    head = ["document type", "program", "language model", "optimizer", "before", "after", "file"]
    print(text_table(head, rows, numbers={4, 5}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job("list-programs", arguments)


if __name__ == "__main__":
    sys.exit(main())
