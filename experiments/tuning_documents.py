"""Which program is tuned for, and on which documents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.corpora import Document
from inpars_plus.experiments.selection import TypeDocuments, documents_by_type
from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import ConfigurationError, say
from inpars_plus.programs import load_program, programs_of
from inpars_plus.programs.granularities import granularity_of

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings
    from inpars_plus.lms.pipeline import Pipeline
    from inpars_plus.lms.torch_pipeline import TorchPipeline

__all__ = ["fitting_documents", "long_documents", "program_and_documents"]

_LEAST_DOCUMENTS = 8
_QUERY_TOKENS = 64
"""Room that a prompt leaves for what is written behind it; a local model writes 48 tokens behind an opening."""


def program_and_documents(settings: TuneSettings, bench: Workbench, lm: dspy.LM) -> tuple[Any, TypeDocuments]:
    """The compiled program that is tuned for, and the documents of its type.

    Args:
        settings: of the job.
        bench: has the corpus.
        lm: what the program is loaded for.

    Raises:
        ProgramFileError: there is no program at the path, or there are two for one type.
        ConfigurationError: there are several and none was named, or too few documents, or it states constraints.
    """
    program = load_program(_program_file(settings), lm=lm)
    if granularity_of(program) == "constraint":
        # Samples begin with openings where serving gives a constraint, and no reward asks whether it was stated.
        raise ConfigurationError(
            "the program writes queries that state a constraint, and a generator is not tuned for these",
            place=str(program.card.path),
            remedy="Tune for one that was compiled for documents, and let the tuned generator write for both",
        )
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
    _check_rounds(found, settings, f"train documents of type '{doc_type}'")
    return program, found


def long_documents(
    program: Any, documents: Sequence[Document], lm: dspy.LM, pipeline: Pipeline | TorchPipeline
) -> list[str]:
    """The ids of documents whose prompts are too long to be trained on, or for the model to read.

    Args:
        program: renders the prompts.
        documents: none is empty.
        lm: what the prompts are for.
        pipeline: of the model, or of one with its tokens.
    """
    from inpars_plus.optimizers.generators.trainer import TrainSettings

    most = min(TrainSettings().max_tokens, pipeline.context_tokens) - _QUERY_TOKENS
    return [one.id for one in documents if len(pipeline.encode(program.completion_prompt(one, lm))) > most]


def fitting_documents(documents: TypeDocuments, long: Collection[str], settings: TuneSettings) -> TypeDocuments:
    """The documents without those of :func:`long_documents`, whose number is told; test documents stay.

    Raises:
        ConfigurationError: too few are left.
    """
    if not long:
        return documents
    train, validation = (
        [one for one in kept if one.id not in long] for kept in (documents.train, documents.validation)
    )
    left_out = len(documents.train) - len(train), len(documents.validation) - len(validation)
    say(f"{left_out[0]:,} train and {left_out[1]:,} validation documents have prompts too long to train on: left out")
    fitting = replace(documents, train=train, validation=validation)
    _check_rounds(fitting, settings, "train documents with prompts short enough to train on")
    if settings.validation_documents and not validation:
        raise ConfigurationError(
            "no validation document has a prompt short enough to train on",
            place="--corpus",
            remedy="Cut long documents with --max-characters, or keep the last weights with --validation-documents 0",
        )
    return fitting


def _check_rounds(found: TypeDocuments, settings: TuneSettings, what: str) -> None:
    share = len(found.train) // settings.rounds
    if share < min(settings.train_documents, _LEAST_DOCUMENTS):
        raise ConfigurationError(
            f"{len(found.train)} {what} are too few for {settings.rounds} rounds, each on other documents",
            place="--rounds",
            remedy="Ask for fewer rounds, or give more documents; --max-characters cuts long ones",
        )
    if share < settings.train_documents:
        say(f"There are {len(found.train):,} {what}, so each round takes {share:,}")


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
