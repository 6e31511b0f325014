"""Compiled programs on disk: one JSON file each, that holds no code, no language model and no secret.

The file is an envelope around DSPy's state. DSPy itself would load a state into a program of another signature without
a word; the envelope says what the file is, for which program and signature, and how it came about::

    format, format_version, digest                      what the file is, and that it is whole
    program, settings, prompt_form, key_terms           how to build the program again
    signature                                           names and types of all fields of all predictors
    document_type, lm, adapter, optimizer, seed, metric, data_hash, packages     how it came about
    state                                               predictor -> instructions and demonstrations

The digest is over everything else. It shows damage and careless edits, not forgery: whoever can write the file can
write a digest. Therefore nothing in a file is executed, imported by name or taken as an address to connect to.
"""

from __future__ import annotations

import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from inpars_plus.foundation.errors import ConfigurationError, InParsError, ProgramFileError
from inpars_plus.foundation.files import digest, read_json, write_json
from inpars_plus.foundation.secrets import redact
from inpars_plus.programs.cards import ProgramCard, ProgramFileWarning
from inpars_plus.programs.registry import name_of, program_class

if TYPE_CHECKING:
    import os

    import dspy

__all__ = ["FORMAT_VERSION", "list_programs", "load_program", "save_program"]

FORMAT_VERSION = 1
_FORMAT = "inpars-plus compiled program"
_PACKAGES = ("inpars-plus", "dspy", "pydantic")
_COMPILE_AGAIN = "Compile the program again"
_FROM_THE_ENVELOPE = {"digest", "path"}


def save_program(program: dspy.Module, path: str | os.PathLike[str], card: ProgramCard) -> ProgramCard:
    """Write a program to a file, atomically.

    Not written are language models, secrets, and what demonstrations carry beside the fields of the signature.

    Args:
        program: of a class in :data:`~inpars_plus.programs.registry.REGISTRY`; it is not changed.
        path: the file; missing folders are made.
        card: what is known about the compilation, such as ``compiled.card()`` of a program that ``compile_program``
            compiled.

    Returns:
        The card with everything filled in.

    Raises:
        ConfigurationError: if the program is of an unknown class, or the card is none.
        RunError: if the file cannot be written.
    """
    from inpars_plus.programs.fingerprints import fingerprint, predictors_of
    from inpars_plus.programs.states import predictor_state

    name = name_of(program)
    if not isinstance(card, ProgramCard):
        raise ConfigurationError(
            f"the card is of the type {type(card).__name__}, not a ProgramCard",
            place=f"program '{name}'",
            remedy="Take card() of what compile_program gave, or fill in a ProgramCard of inpars_plus.programs",
        )
    settings = program.dump_settings()
    card = card.model_copy(
        update={
            "program": name,
            "prompt_form": settings.pop("prompt_form", None),
            "packages": _installed_packages(),
        }
    )
    envelope = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        **card.model_dump(mode="json", exclude=_FROM_THE_ENVELOPE),
        "settings": settings,
        "signature": fingerprint(program),
        "state": {name: predictor_state(predictor) for name, predictor in predictors_of(program).items()},
        "key_terms": settings.pop("key_terms", None),
    }
    envelope = redact(envelope)
    envelope["digest"] = digest(envelope)
    write_json(path, envelope)
    return _card(envelope, Path(path))


def load_program(path: str | os.PathLike[str], *, lm: dspy.BaseLM | str | None = None) -> dspy.Module:
    """Read a compiled program, ready to be called.

    Args:
        path: a file that :func:`save_program` wrote.
        lm: the language model to run it with, or its name (see ``inpars_plus.lms.load_lm``). Without one, the program
            takes the model of ``dspy.context`` at each call.

    Returns:
        The program. Its attribute ``card`` is the file's :class:`~inpars_plus.programs.cards.ProgramCard`.

    Raises:
        ProgramFileError: if the file is missing, foreign, damaged, changed, of a newer format, or made for another
            program or signature; it says what differs.

    Warns:
        ProgramFileWarning: if the program was compiled with another model or with other versions of packages.
    """
    from inpars_plus.programs.fingerprints import differences, fingerprint, predictors_of
    from inpars_plus.programs.states import load_predictor_state

    path = Path(path)
    envelope = _read(path)
    card = _card(envelope, path)
    try:
        settings = {**envelope["settings"], "prompt_form": card.prompt_form, "key_terms": envelope["key_terms"]}
        program = program_class(card.program).from_settings(settings)
        told = differences(envelope["signature"], fingerprint(program))
        if told:
            raise ProgramFileError(
                f"the program was compiled for another signature: {'; '.join(told)}",
                remedy=f"{_COMPILE_AGAIN}, or use the version of inpars-plus that wrote it",
            )
        for name, predictor in predictors_of(program).items():
            load_predictor_state(predictor, envelope["state"][name])
    except InParsError as error:
        raise ProgramFileError(error.message, place=str(path), remedy=error.remedy or _COMPILE_AGAIN) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ProgramFileError(
            f"the file lacks something, or holds it in another form than expected ({problem})",
            place=str(path),
            remedy=_COMPILE_AGAIN,
        ) from error
    _warn_of_other_packages(card)
    program.card = card
    if lm is not None and predictors_of(program):  # some ask no model
        _give_lm(program, lm, card)
    return program


def list_programs(directory: str | os.PathLike[str]) -> list[ProgramCard]:
    """The cards of all compiled programs in a directory, by file name; sub-directories are not searched.

    Other JSON files are passed over. A damaged, changed or newer program file is left out with a warning.

    Args:
        directory: of compiled programs, or a run directory, which is what people remember; its programs are one folder
            down, in ``compiled``.

    Raises:
        ProgramFileError: if there is no such directory.

    Warns:
        ProgramFileWarning: for each program file that is left out.
    """
    inner = Path(directory) / "compiled"
    directory = inner if inner.is_dir() else Path(directory)
    if not directory.is_dir():
        if directory.is_file():
            raise ProgramFileError(
                "this is a file, not a directory of compiled programs",
                place=str(directory),
                remedy="Name the directory that it lies in",
            )
        raise ProgramFileError(
            "there is no directory of compiled programs here", place=str(directory), remedy="Check the path"
        )
    cards = []
    for path in sorted(directory.glob("*.json")):
        try:
            if path.is_file() and _is_program(read_json(path, kind="compiled program", error=ProgramFileError)):
                cards.append(_card(_read(path), path))
        except ProgramFileError as error:
            warnings.warn(f"left out: {error}", ProgramFileWarning, stacklevel=2)
    return cards


def _is_program(value: Any) -> bool:
    return isinstance(value, dict) and value.get("format") == _FORMAT


def _read(path: Path) -> dict[str, Any]:
    """An envelope that is ours, of a format that we know, and whole."""
    if path.is_dir():
        raise ProgramFileError(
            "this is a directory, not the file of a compiled program", place=str(path), remedy="Name a file in it"
        )
    try:
        envelope: dict[str, Any] = read_json(path, kind="compiled program", error=ProgramFileError)
    except ProgramFileError as error:
        remedy = error.remedy or "Name a file that save_program wrote, or compile the program again"
        raise ProgramFileError(error.message, place=error.place, remedy=remedy) from error
    if not _is_program(envelope):
        raise ProgramFileError(
            "this JSON file is not a compiled program of inpars-plus",
            place=str(path),
            remedy="Name a file that save_program wrote; a bare DSPy state does not say what it is for",
        )
    version = envelope.get("format_version")
    if type(version) is not int or version < 1:
        raise ProgramFileError(
            f"format_version is {version!r}, not a number from 1", place=str(path), remedy=_COMPILE_AGAIN
        )
    if version > FORMAT_VERSION:
        raise ProgramFileError(
            f"the file has format version {version}, but this version of inpars-plus reads up to {FORMAT_VERSION}",
            place=str(path),
            remedy="Upgrade inpars-plus, or compile the program again",
        )
    actual = digest({key: value for key, value in envelope.items() if key != "digest"})
    if envelope.get("digest") != actual:
        raise ProgramFileError(
            f"the file was changed after it was written: its digest is {str(envelope.get('digest'))[:12]}, "
            f"its content gives {actual[:12]}",
            place=str(path),
            remedy="Restore the original file, or compile the program again",
        )
    return envelope


def _card(envelope: dict[str, Any], path: Path) -> ProgramCard:
    names = ProgramCard.model_fields.keys() - {"path"}
    try:
        return ProgramCard.model_validate({name: envelope[name] for name in names if name in envelope} | {"path": path})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProgramFileError(
            f"the description of the program is wrong at {place!r}: {first['msg']}",
            place=str(path),
            remedy=_COMPILE_AGAIN,
        ) from error


def _give_lm(program: dspy.Module, lm: dspy.BaseLM | str, card: ProgramCard) -> None:
    from inpars_plus.lms.traits import trait_of

    if isinstance(lm, str):
        from inpars_plus.lms.names import load_lm

        lm = load_lm(lm)
    if lm.model != card.lm and trait_of(lm, "tuned_for") != card.digest:
        warnings.warn(
            f"{card.path}: the program was compiled with {card.lm} and now runs with {lm.model}; "
            "its scores do not hold for that model",
            ProgramFileWarning,
            stacklevel=3,
        )
    program.set_lm(lm)


def _installed_packages() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from the source tree
            versions[name] = "not installed"
    return versions


def _warn_of_other_packages(card: ProgramCard) -> None:
    installed = _installed_packages()
    other = [
        f"{name} {version} (now {installed[name]})"
        for name, version in card.packages.items()
        if name in installed and installed[name] != version
    ]
    if other:
        warnings.warn(
            f"{card.path}: the program was compiled with {', '.join(other)}; its prompts may read differently now",
            ProgramFileWarning,
            stacklevel=3,
        )
