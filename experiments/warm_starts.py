"""The compiled programs that a warm start may begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inpars_plus.foundation import ConfigurationError
from inpars_plus.programs import list_programs, load_program
from inpars_plus.programs.registry import is_query_generator

__all__ = ["warm_programs"]


def warm_programs(paths: Sequence[Path], *, what: str = "a warm start") -> list[Any]:
    """Load programs from files and directories.

    Args:
        paths: files of compiled programs, directories of them, or run directories of ``compile-programs``. Of a
            directory only the programs that write queries are taken.
        what: needs them, for messages.

    Returns:
        The programs, each once, by path in the order given.

    Raises:
        ConfigurationError: a file holds another kind of program, or a directory none that writes queries.
        ProgramFileError: a file is missing, damaged, or for another signature.
    """
    found: dict[str, Any] = {}
    for path in paths:
        for program in _programs(path, what):
            found.setdefault(program.card.digest, program)
    return list(found.values())


def _programs(path: Path, what: str) -> list[Any]:
    if not path.is_dir():
        program = load_program(path)
        if not is_query_generator(program.card.program):
            raise ConfigurationError(
                f"{what} needs a program that writes queries for one type, and this is a {program.card.program}",
                place=str(path),
                remedy="Name a file that compile-programs wrote into its folder compiled",
            )
        return [program]
    cards = [card for card in list_programs(path) if is_query_generator(card.program)]
    if not cards:
        raise ConfigurationError(
            "there are no programs that write queries here",
            place=str(path),
            remedy="Make some with inpars-plus compile-programs",
        )
    return [load_program(card.path) for card in cards if card.path is not None]
