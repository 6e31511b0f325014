"""Settings of a job: typed, with defaults in a TOML file, overridden by a person's TOML file, overridden by flags.

The defaults live in ``experiments/configs/<job>.toml`` and nowhere else; a setting that may be absent is ``None``. An
unknown key is refused, because a misspelt setting that is passed over costs a whole run.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.resources
import os
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from inpars_plus.foundation import ConfigurationError

__all__ = [
    "CorpusSettings",
    "JobSettings",
    "JobText",
    "ModelSettings",
    "Parser",
    "RetrieverSettings",
    "default_settings",
    "make_settings",
    "option",
    "parse_settings",
]

_WIDTH = 118
_FLAGS_WIDTH = 42


def option(description: str, *, metavar: str | None = None, default: Any = ..., **constraints: Any) -> Any:
    """A setting: what it is in one line, and how its value is named in ``--help``.

    Args:
        description: one line, without a full stop.
        metavar: stands for the value.
        default: only ``None`` or an empty tuple, for a setting that may be absent; values are in the TOML file.
        constraints: pydantic's, such as ``ge=1``.
    """
    extra: Any = {"metavar": metavar} if metavar else None
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        return (value,) if typing.get_origin(annotation) is tuple and isinstance(value, str | Path) else value

    @field_validator("*")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        # A shell does so before a flag is read, and nobody does for a file of settings.
        if isinstance(value, tuple):
            return tuple(cls._at_home(one) for one in value)
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


class JobSettings(_Settings):
    """What every job has."""

    out: Path = option("directory that everything is written to; give it again to go on", metavar="DIR")
    # NumPy takes no others.
    seed: int = option("of everything random", metavar="N", ge=0, lt=2**32)


class CorpusSettings(_Settings):
    """Which documents, and how they are read."""

    corpus: tuple[str, ...] = option(
        "documents: a folder, table, BEIR directory, python-docs, ir_datasets:ID; repeatable",
        metavar="[NAME=]PATH[:TYPE]",
    )
    language: str = option("language of documents that do not state theirs (ISO 639-1)", metavar="CODE")
    encoding: str = option("of text files and tables", metavar="NAME")
    field_map: Mapping[str, str] = option(
        "for tables: which column is a field, such as text=body; repeatable", metavar="FIELD=COLUMN"
    )
    max_characters: int | None = option(
        "cut longer documents into chunks, on sentence ends", metavar="N", default=None, gt=0
    )

    @field_validator("field_map", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        pairs = [str(pair).partition("=") for pair in value]
        if not all(name and middle and column for name, middle, column in pairs):
            raise ValueError("write it as FIELD=COLUMN, such as text=body")
        return {name: column for name, _, column in pairs}


class RetrieverSettings(CorpusSettings):
    """Which documents, and how they are searched."""

    retriever: str = option(
        "hybrid, hybrid:0.7 (dense weight), bm25, dense, rrf, or your own as package.module:factory", metavar="NAME"
    )


class ModelSettings(_Settings):
    """Which language model writes, and what it may spend."""

    lm: str = option("embedded, gguf:PATH, or any LiteLLM id, such as openai/gpt-4o-mini", metavar="NAME")
    api_base: str | None = option("address of the model's server, such as a local one", metavar="URL", default=None)
    max_reply_tokens: int | None = option(
        "most tokens of a reply, thinking included (default: 48 for local models, 16000 for OpenAI's reasoning models, "
        "1024 for others); the model of --prompt-lm never has less than its default",
        metavar="N",
        default=None,
        gt=0,
    )
    max_tokens_spent: int | None = option(
        "stop before what a model was sent and sent back for --out, restarts included, passes so many tokens",
        metavar="N",
        default=None,
        gt=0,
    )
    max_cost: float | None = option(
        "stop before a model's cost for --out, earlier runs included, passes this", metavar="USD", default=None, gt=0
    )
    requests_per_minute: int | None = option("ask no faster than this", metavar="N", default=None, gt=0)
    threads: int = option("calls at once", metavar="N", ge=1, le=256)
    single_stream: bool = option(
        "local models take one request at a time, and queries are judged so: slow, and repeats exactly"
    )


Settings = TypeVar("Settings", bound=JobSettings)


@dataclass(frozen=True)
class JobText:
    """What ``--help`` says around the flags.

    Attributes:
        name: of the job.
        about: what it does, in a few lines.
        examples: (what it does, command) pairs.
    """

    name: str
    about: str
    examples: tuple[tuple[str, str], ...]


class Parser(argparse.ArgumentParser):
    """Reads flags; what is wrong with them is a ConfigurationError, as everything else that people get wrong."""

    def error(self, message: str) -> NoReturn:
        """Refuse what was given.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(message, remedy=f"See {self.prog} --help")


def default_settings(name: str) -> dict[str, Any]:
    """The content of the TOML file that is shipped for a job."""
    return tomllib.loads(_shipped(name).read_text(encoding="utf-8"))


def make_settings(settings: type[Settings], name: str, **values: Any) -> Settings:
    """Settings from the shipped defaults and some values, without flags.

    Raises:
        ConfigurationError: a value is wrong or has an unknown name.
    """
    return _validated(settings, name, [(f"configs/{name}.toml", default_settings(name)), ("settings", values)])


def parse_settings(settings: type[Settings], text: JobText, arguments: Sequence[str]) -> Settings:
    """Settings from defaults, a configuration file and flags, the later ones first.

    Raises:
        ConfigurationError: a flag or a key is unknown or wrong; it names the flag, or the file and the key.
        SystemExit: after ``--help``.
    """
    defaults = default_settings(text.name)
    given = vars(_parser(settings, text, defaults).parse_args(list(arguments)))
    given.pop("debug", None)
    layers = [(f"configs/{text.name}.toml", defaults)]
    path = given.pop("config", None)
    if path is not None:
        layers.append((path, _read(Path(path))))
    layers.append(("", given))
    return _validated(settings, text.name, layers)


def _shipped(name: str) -> Any:
    return importlib.resources.files("inpars_plus.experiments") / "configs" / f"{name}.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise ConfigurationError(
            f"the configuration cannot be read ({problem.strerror})", place=str(path), remedy="Check the path"
        ) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(
            f"the configuration is not valid TOML ({problem})",
            place=str(path),
            remedy="Write keys as in the shipped experiments/configs",
        ) from problem


def _validated(settings: type[Settings], name: str, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Settings:
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in layers:
        for key, value in values.items():
            if key not in settings.model_fields:
                near = difflib.get_close_matches(key, settings.model_fields, n=1)
                raise ConfigurationError(
                    f"there is no setting '{key}'",
                    place=f"{source}, key '{key}'",
                    remedy=f"Did you mean '{near[0]}'?" if near else f"See inpars-plus {name} --help",
                )
            merged[key] = value
            origin[key] = source
    try:
        return settings(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        flag = f"--{key.replace('_', '-')}"
        if first["type"] == "missing":
            raise ConfigurationError(
                f"{flag} is missing", remedy=f"See inpars-plus {name} --help for examples"
            ) from error
        message = str(first["msg"]).removeprefix("Value error, ")
        if not key:  # several settings that do not go together; the message names them
            raise ConfigurationError(message) from error
        source = origin.get(key, "")
        raise ConfigurationError(
            f"{merged.get(key)!r} will not do: {message[:1].lower()}{message[1:]}",
            place=f"{source}, key '{key}'" if source else flag,
        ) from error


def _parser(settings: type[JobSettings], text: JobText, defaults: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"inpars-plus {text.name}",
        description=text.about,
        epilog="examples:\n" + "\n".join(f"  {what}:\n    {command}" for what, command in text.examples),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=_FLAGS_WIDTH, width=_WIDTH
        ),
        allow_abbrev=False,
        usage=f"inpars-plus {text.name} [flags]",
        argument_default=argparse.SUPPRESS,
    )
    for name, field in _in_order(settings):
        _add_flag(parser, name, field, defaults.get(name))
    parser.add_argument("--config", metavar="FILE", help="settings from a TOML file; flags override them")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _in_order(settings: type[JobSettings]) -> list[tuple[str, FieldInfo]]:
    """What is given most often first: the corpus, what the job itself has, then the rest."""
    own = [name for name in settings.model_fields if name in settings.__annotations__]
    shared = [name for name in settings.model_fields if name not in own]
    first = [name for name in ("corpus", "programs", "out") if name in settings.model_fields]
    names = dict.fromkeys([*first, *own, *shared])
    return [(name, settings.model_fields[name]) for name in names]


def _add_flag(parser: argparse.ArgumentParser, name: str, field: FieldInfo, default: Any) -> None:
    flag = f"--{name.replace('_', '-')}"
    shown = _shown(default)
    text = (field.description or "") + (f" (default: {shown})" if shown else "")
    text = text.replace("%", "%%")
    kind = _kind(field.annotation)
    if kind is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        return
    extra = field.json_schema_extra
    metavar = str(extra["metavar"]) if isinstance(extra, dict) and "metavar" in extra else None
    if typing.get_origin(kind) is typing.Literal:
        choices = [str(choice) for choice in typing.get_args(kind)]
        parser.add_argument(flag, choices=choices, metavar=metavar or "NAME", help=f"{text}: {', '.join(choices)}")
    elif typing.get_origin(kind) in (tuple, Mapping):
        parser.add_argument(flag, action="append", metavar=metavar, help=text)
    else:
        parser.add_argument(flag, metavar=metavar, help=text)


def _kind(annotation: Any) -> Any:
    """The type of a value that is there."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return next(inner for inner in typing.get_args(annotation) if inner is not type(None))
    origin = typing.get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Mapping[str, str]
    return annotation


def _shown(default: Any) -> str:
    if default is None or default in ([], {}) or isinstance(default, bool):
        return "" if not isinstance(default, bool) else ("yes" if default else "no")
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default)
