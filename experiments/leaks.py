"""The leak guard: queries that something was trained on, or that stand in its prompts, prove nothing about it."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from inpars_plus.corpora import read_queries
from inpars_plus.foundation import ConfigurationError, InputError, ProgramFileError, read_json, write_json
from inpars_plus.programs import ProgramCard, ProgramFileWarning, list_programs
from inpars_plus.retrieval.rankers import RANKER_FILE, load_ranker

__all__ = ["as_seen", "leaked", "refuse_leaks", "seen_queries", "trained_on", "write_trained_on"]

_SHOWN = 3
_TRAINED_ON = "trained-on.json"
"""Beside a fine-tuned model: the queries that it was tuned on, which its weights do not tell."""

_WORD = re.compile(r"[^\s+#]+(?:[+#]{2,}|[+#](?!\S))?")
"""With what tells C, C# and C++ apart; a lone sign between words parts them, as in a+b."""
_APOSTROPHES = frozenset("'’‘‛`ʼ")
_TAKEN_APART = str.maketrans({"´": "'", "™": " ", "℠": " "})
"""What NFKC makes a blank and an accent of, or letters that look like the end of the word."""


class _Asked(Protocol):
    """A query of any kind."""

    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...


def seen_queries(paths: Iterable[Path]) -> dict[str, str]:
    """The queries that were trained on or shown, in a form that does not depend on how they are written.

    Args:
        paths: each a BEIR directory or a ``queries.jsonl``, a ranker, a search stack, a model that
            ``build-training-set`` fine-tuned, a compiled program, or a directory of programs.

    Returns:
        Normalised text → the file that it comes from.

    Raises:
        ConfigurationError: a path is none of these, or a ranker does not say what it was trained on.
        InputError: a file cannot be read as what it is, such as one program of a directory: what it shows is not
            known.
    """
    return {_normal(text): place for path in paths for text, place in _texts(path)}


def as_seen(texts: Iterable[str], place: str) -> dict[str, str]:
    """These texts of queries in the form of :func:`seen_queries`."""
    return {_normal(text): place for text in texts}


def write_trained_on(directory: Path, queries: Iterable[str]) -> None:
    """Write beside a fine-tuned model which queries it was tuned on.

    Raises:
        RunError: the disk is full, or the directory cannot be written.
    """
    write_json(directory / _TRAINED_ON, {"queries": sorted(set(queries))})


def trained_on(directory: Path) -> list[str]:
    """The queries that the model in a directory was tuned on; none where it does not say so.

    Raises:
        InputError: the record cannot be read.
    """
    path = directory / _TRAINED_ON
    if not path.is_file():
        return []
    record = read_json(path, kind="record of what a model was tuned on")
    queries = record.get("queries") if isinstance(record, dict) else None
    if not isinstance(queries, list):
        raise InputError("the file does not list queries", place=str(path), remedy="Fine-tune the model again")
    return [str(text) for text in queries]


def leaked(queries: Sequence[_Asked], seen: Mapping[str, str]) -> dict[str, str]:
    """Query id → where the query was seen."""
    return {query.id: seen[_normal(query.text)] for query in queries if _normal(query.text) in seen}


def refuse_leaks(queries: Sequence[_Asked], seen: Mapping[str, str], *, place: str) -> None:
    """Refuse to evaluate on queries that were seen.

    Raises:
        ConfigurationError: there are such queries; it names the first.
    """
    found = leaked(queries, seen)
    if found:
        texts = {query.id: query.text for query in queries}
        shown = "; ".join(f"'{texts[one]}' is in {found[one]}" for one in list(found)[:_SHOWN])
        raise ConfigurationError(
            f"{len(found):,} of {len(queries):,} queries were trained on or shown in a prompt: {shown}",
            place=place,
            remedy="Evaluate on others, or leave these out with --drop-seen",
        )


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        if (path / "queries.jsonl").is_file():
            yield from _texts(path / "queries.jsonl")
            return
        if (path / RANKER_FILE).is_file():
            yield from ((text, str(path)) for text in _learned(path))
            return
        if (path / _TRAINED_ON).is_file():
            yield from ((text, str(path)) for text in trained_on(path))
            return
        cards = _programs(path)
        if cards:
            for card in cards:
                yield from _texts(Path(str(card.path)))
            return
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from ((query.text, str(path)) for query in read_queries(path))
        return
    elif path.suffix == ".json" and path.is_file():
        yield from ((text, str(path)) for text in _demonstrated(path))
        return
    raise ConfigurationError(
        "here are neither queries nor compiled programs nor a ranker",
        place=str(path),
        remedy="Name a BEIR directory, a queries.jsonl, or what compile-programs or train-ranker wrote",
    )


def _programs(directory: Path) -> list[ProgramCard]:
    """The programs of a directory; one that others leave out with a warning is an error for a guard."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProgramFileWarning)
        try:
            return list_programs(directory)
        except ProgramFileWarning as left_out:
            if isinstance(left_out.__context__, ProgramFileError):  # why it is left out
                raise left_out.__context__ from None
            raise


def _learned(path: Path) -> list[str]:
    """The queries that a ranker was trained on; none for one that was not."""
    spec = load_ranker(path)
    queries = spec.how.get("queries")
    if spec.trained and not isinstance(queries, list):
        raise ConfigurationError(
            "the ranker does not say which queries it was trained on",
            place=str(path),
            remedy="Train it again: finished steps of the same settings are taken over",
        )
    return [str(text) for text in queries or []]


def _demonstrated(path: Path) -> Iterator[str]:
    """The queries in the demonstrations of a compiled program."""
    envelope = read_json(path, kind="compiled program")
    try:
        for state in envelope["state"].values():
            for demonstration in state["demos"]:
                # Generators show queries that they wrote, re-rankers and expanders the query that they were asked.
                own = [demonstration["query"]] if "query" in demonstration else []
                queries: Any = [*demonstration.get("queries", []), *own]
                yield from (query["text"] if isinstance(query, dict) else str(query) for query in queries)
    except (AttributeError, KeyError, TypeError) as problem:
        raise ProgramFileError("the file is no compiled program", place=str(path)) from problem


def _normal(text: str) -> str:
    """One text for all ways to write a query: without case, apostrophes, punctuation, and forms of letters.

    It is nowhere kept: files hold queries as they were asked, and whoever reads them makes this form anew.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_TAKEN_APART)).casefold()
    folded = unicodedata.normalize("NFKC", folded)  # casefold may part a letter from its accent
    # Of a query of signs alone no word is left; it is no other than itself.
    return " ".join(_WORD.findall("".join(map(_kept, folded)))) or " ".join(folded.split())


@lru_cache(maxsize=1 << 16)
def _kept(sign: str) -> str:
    kind = unicodedata.category(sign)
    # Soft hyphens, joiners and the like are not seen.
    if sign in _APOSTROPHES or kind == "Cf" or "VARIATION SELECTOR" in unicodedata.name(sign, ""):
        return ""
    # Marks are vowels in some scripts: another one makes another word.
    return sign if kind[0] in "LMN" or sign in "+#" else " "
