"""Writing a model's directory in one step for its readers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.folders import replacing_folder
from inpars_plus.foundation.parts import require
from inpars_plus.lms.torch_models import silent

__all__ = ["save_model"]

_METADATA = re.compile(r"---\n.*?\n---\n", re.DOTALL)


def save_model(model: Any, out: Path, *, note: str | None = None) -> None:
    """Write a sentence-transformers model as safetensors, with its card; a directory that is there is replaced.

    Args:
        model: a ``SentenceTransformer`` or ``CrossEncoder``.
        out: directory.
        note: Markdown that stands first in the card, before the library's own or that of the model it was made from.

    Raises:
        RunError: the disk is full, or the directory cannot be written; what was there is then as it was.
    """
    with replacing_folder(out) as half:
        try:
            with silent(require("transformers", install="pip install transformers", purpose="Saving a model")):
                model.save_pretrained(str(half), safe_serialization=True)
            if note is not None:
                _put_first(note, half / "README.md")
        except (OSError, SafetensorError) as problem:
            raise RunError(
                f"the model cannot be written ({getattr(problem, 'strerror', None) or problem})",
                place=str(out),
                remedy="Make room on the disk and run the same command again",
            ) from problem


def _put_first(note: str, card: Path) -> None:
    """Put a note behind the metadata that a card may begin with."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    found = _METADATA.match(text)
    end = found.end() if found else 0
    card.write_text(f"{text[:end]}\n{note}\n\n{text[end:].lstrip()}", encoding="utf-8")
