"""The torch form of GGUF files, kept between runs: to take a file apart takes many times as long as to read it.

Each is a directory under ``models/`` of the cache directory, as ``save_pretrained`` writes it. One that nothing used
for 30 days is removed, and so is what a killed process left. Trouble with the cache is never in the way of a model: it
is then read from its file, as if nothing was kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpars_plus.foundation.errors import InParsError
from inpars_plus.foundation.files import (
    TEMPORARY_SUFFIX,
    default_cache_directory,
    digest,
    digest_file,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    import torch

__all__ = ["find_kept", "keep", "kept_directory"]

_LAYOUT = 1
_RECORD = "kept.json"
_LARGEST = 2_000_000_000
"""Bytes. A larger model is not kept: to compute with it takes so long that its loading hardly counts."""
_UNUSED_DAYS = 30
_PROBE = "Écrire <|im_start|>def get_user(x): # 100 °C\n中文 🙂"

_log = logging.getLogger("inpars_plus")


def kept_directory(path: Path, dtype: torch.dtype) -> Path | None:
    """Where the torch form of a GGUF file belongs, whether or not it is there; ``None`` where nothing can be kept."""
    try:
        versions = {name: version(name) for name in ("transformers", "gguf")}
        name = digest([digest_file(path), str(dtype), versions, _LAYOUT])[:32]
        return default_cache_directory() / "models" / name
    except (ImportError, OSError, RuntimeError, InParsError):
        return None


def find_kept(directory: Path | None) -> Path | None:
    """The directory, where a whole model is in it; a damaged one is removed with a warning."""
    try:
        if directory is None or not directory.is_dir():
            return None
        if read_json(directory / _RECORD, kind="record of a kept model") == _digests(directory):
            with contextlib.suppress(OSError):  # a cache that others filled may be read-only
                os.utime(directory)
            return directory
    except (OSError, InParsError):
        pass
    _log.warning("the kept model %s is damaged, so it is made again", directory)
    shutil.rmtree(str(directory), ignore_errors=True)
    return None


def keep(directory: Path | None, model: Any, tokenizer: Any) -> str | None:
    """Keep a model in one step, or leave nothing behind.

    Args:
        directory: of :func:`kept_directory`.
        model: of ``transformers``.
        tokenizer: its own.

    Returns:
        Why it is not kept, where something was in the way.
    """
    if directory is None or model.get_memory_footprint() > _LARGEST:
        return None
    temporary = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:12]}{TEMPORARY_SUFFIX}")
    try:
        _prune(directory.parent)
        temporary.mkdir(parents=True)
        model.save_pretrained(temporary, safe_serialization=True)
        tokenizer.save_pretrained(temporary)
        again = type(tokenizer).from_pretrained(temporary, local_files_only=True)
        if _signs(again) != _signs(tokenizer):
            return "its tokenizer would not come back as it is"
        write_json(temporary / _RECORD, _digests(temporary))
        temporary.rename(directory)
    except Exception as problem:  # the model is in memory, whatever keeps it from being kept
        quicker = directory.is_dir()  # another process
        return None if quicker else f"{directory.parent}: {problem}"
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return None


def _digests(directory: Path) -> dict[str, str]:
    return {file.name: digest_file(file) for file in sorted(directory.iterdir()) if file.name != _RECORD}


def _signs(tokenizer: Any) -> list[Any]:
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.chat_template)
    ids = [tokenizer(_PROBE, add_special_tokens=one)["input_ids"] for one in (False, True)]
    return [type(tokenizer).__name__, len(tokenizer), *special, *ids]


def _prune(models: Path) -> None:
    oldest = time.time() - _UNUSED_DAYS * 24 * 3600
    for one in models.iterdir() if models.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may remove it too
            if one.stat().st_mtime < oldest:
                shutil.rmtree(one, ignore_errors=True)
