"""What a compiled program file says about itself: for whom it was made, how, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MetricRecord", "OptimizerRecord", "ProgramCard", "ProgramFileWarning", "Scores"]


class ProgramFileWarning(UserWarning):
    """A compiled program was made under other circumstances than it is used in now."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OptimizerRecord(_Part):
    """Which optimizer made the program, and with what settings (JSON values)."""

    name: str
    settings: Mapping[str, Any] = Field(default_factory=dict)


class Scores(_Part):
    """A mean score in [0, 1] on the same documents before and after compiling; ``None`` where it was not measured."""

    before: float | None = None
    after: float | None = None


class MetricRecord(_Part):
    """The metric that was optimized, and what it gave on validation and on test documents."""

    name: str
    validation: Scores = Scores()
    test: Scores = Scores()


class ProgramCard(_Part):
    """The description of a compiled program.

    Whoever compiles fills in the first part; for a program that nobody compiled, ``document_type`` and ``lm`` will do.
    The second part is filled in by ``save_program`` from the program itself;
    what a caller puts there is replaced.

    Attributes:
        document_type: the type that the program was compiled for.
        lm: name of the model that it was compiled with, its content hash included where it has one.
        optimizer: how it was made.
        seed: of the whole compilation.
        metric: what was optimized, with scores.
        data_hash: digest of what it was compiled on; empty where that was nothing.
        program: name of the program's class in the registry.
        prompt_form: form of the completion prompt, ``None`` for the model's default.
        adapter: the DSPy adapter that renders the prompts with that model.
        packages: versions of the packages that shape its prompts.
        digest: SHA-256 of the file's content.
        path: the file.
    """

    document_type: str
    lm: str
    optimizer: OptimizerRecord = OptimizerRecord(name="none")
    seed: int = 0
    metric: MetricRecord = MetricRecord(name="none")
    data_hash: str = ""
    adapter: str | None = None

    program: str = ""
    prompt_form: str | None = None
    packages: Mapping[str, str] = Field(default_factory=dict)
    digest: str = ""
    path: Path | None = None
