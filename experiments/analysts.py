"""The offline analyst of a run: fitted beside the compiled programs, and used by whoever generates with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy

from inpars_plus.corpora import Document
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.vectors import CachedEncoder
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import JSON, ConfigurationError, say
from inpars_plus.optimizers.routing import KEPT, fit_type_router
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    Scores,
    TypeRouter,
    load_program,
    save_program,
)
from inpars_plus.programs.form import FORM_FEATURES
from inpars_plus.retrieval.embeddings import TextEncoder
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["ANALYST", "METHOD", "fit_analyst", "how_fitted", "load_adaptive"]

ANALYST = "compiled/_analyst.json"
"""Its file in a run; no type's program has a name that begins so."""

METHOD = 2
"""How analysts are fitted; finished steps of another number are not taken for this one's."""


def how_fitted(encoder: TextEncoder) -> dict[str, JSON]:
    """What decides an analyst beside documents and seed, for the inputs of a step that fits one."""
    return {"encoder": encoder.digest, "form": list(FORM_FEATURES), "kept": KEPT, "method": METHOD}


def fit_analyst(documents: Sequence[Document], *, steps: Steps, seed: int) -> dict[str, Any]:
    """Fit an analyst as a step of a run, or find that it was done.

    Args:
        documents: of two types or more, with their types; those that programs were compiled on, never test documents.
        steps: of the run; the analyst goes to :data:`ANALYST`.
        seed: of the fitting.

    Returns:
        How many documents of each type it was fitted on, and the shares that were given their type (``right``) and no
        type (``unknown``) by weights that had not seen them.
    """
    encoder = CachedEncoder(load_encoder())

    def work() -> dict[str, Any]:
        fitted = fit_type_router(documents, encoder, seed=seed)
        card = ProgramCard(
            document_type="any",
            lm="none",
            optimizer=OptimizerRecord(name="logistic-regression", settings={"kept": KEPT}),
            seed=seed,
            metric=MetricRecord(name="routing", validation=Scores(after=fitted.right)),
            data_hash=documents_digest(documents),
        )
        save_program(fitted.router, steps.directory / ANALYST, card)
        return {"documents": fitted.documents, "right": fitted.right, "unknown": fitted.unknown}

    inputs: dict[str, JSON] = {"documents": documents_digest(documents), "seed": seed, **how_fitted(encoder)}
    result: dict[str, Any] = steps.do("fit analyst", inputs, work, files=[ANALYST])
    say(f"The analyst gives {result['right']:.1%} of documents that it was not fitted on their own type")
    return result


def load_adaptive(path: Path, lm: dspy.LM) -> AdaptiveQueryGenerator:
    """The adaptive program of a directory of compiled programs, or of its one file.

    Its analyst takes vectors from this machine's cache.

    Args:
        path: of the directory or the file.
        lm: writes queries.

    Raises:
        ConfigurationError: the file holds a program of another kind.
        ProgramFileError: as for ``AdaptiveQueryGenerator.from_directory``.
    """
    if path.is_dir():
        program: Any = AdaptiveQueryGenerator.from_directory(path, lm=lm)
    else:
        program = load_program(path, lm=lm)
    if not isinstance(program, AdaptiveQueryGenerator):
        raise ConfigurationError(
            "one program is nothing to choose from",
            place=str(path),
            remedy="Give a directory of several programs, or leave --adaptive out",
        )
    if isinstance(program.analyst, TypeRouter):
        program.analyst.use_encoder(CachedEncoder(load_encoder()))
    return program
