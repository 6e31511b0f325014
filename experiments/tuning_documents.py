"""Which program is tuned for, and on which documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.experiments.selection import TypeDocuments, documents_by_type
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import ConfigurationError, say
from inpars_plus.programs import load_program, programs_of

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings

__all__ = ["program_and_documents"]

_LEAST_DOCUMENTS = 8


def program_and_documents(settings: TuneSettings, bench: Workbench, lm: dspy.LM) -> tuple[Any, TypeDocuments]:
    """The compiled program that is tuned for, and the documents of its type.

    Args:
        settings: of the job.
        bench: has the corpus.
        lm: what the program is loaded for.

    Raises:
        ProgramFileError: there is no program at the path, or there are two for one type.
        ConfigurationError: there are several and none was named, or too few documents.
    """
    program = load_program(_program_file(settings), lm=lm)
    doc_type = program.card.document_type
    types = bench.corpus.types()
    if doc_type not in types:
        raise ConfigurationError(
            f"the program was compiled for '{doc_type}', but the corpus has {', '.join(types)}",
            place=str(program.card.path),
            remedy="Name the type of the documents, as in --corpus PATH:TYPE, or another program",
        )
    counts = {
        "train": settings.train_documents * settings.rounds,
        "validation": max(4, settings.validation_documents),
        "test": settings.test_documents,
    }
    found = documents_by_type(bench.corpus, [doc_type], counts=counts, seed=settings.seed, skip_small=False)[doc_type]
    share = len(found.train) // settings.rounds
    if share < min(settings.train_documents, _LEAST_DOCUMENTS):
        raise ConfigurationError(
            f"{len(found.train)} train documents of type '{doc_type}' are too few for {settings.rounds} rounds, each "
            "on other documents",
            place="--rounds",
            remedy="Ask for fewer rounds, or give more documents",
        )
    if share < settings.train_documents:
        say(f"There are {len(found.train):,} train documents, so each round takes {share:,}")
    return program, found


def _program_file(settings: TuneSettings) -> Path:
    path = settings.programs
    if not path.is_dir():
        return path
    cards = programs_of(path)
    if settings.doc_type is None and len(cards) == 1:
        return cast(Path, next(iter(cards.values())).path)
    if settings.doc_type in cards:
        return cast(Path, cards[settings.doc_type].path)
    asked = "no --doc-type was given" if settings.doc_type is None else f"none is for '{settings.doc_type}'"
    raise ConfigurationError(
        f"{asked}, and the directory has programs for: {', '.join(cards)}",
        place=str(path),
        remedy="Name one with --doc-type, or give its file with --programs",
    )
