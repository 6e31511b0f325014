"""Vectors of texts, kept on disk by the content of each text, so that no text is encoded twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.files import default_cache_directory, digest
from inpars_plus.foundation.progress import bar
from inpars_plus.retrieval.cache import keep_arrays, load_array, load_arrays

__all__ = ["SHARD_SIZE", "TextEncoder", "embed"]

SHARD_SIZE = 512
"""Texts a file: what is lost at most when a process is killed while it encodes."""


class TextEncoder(Protocol):
    """What turns texts into vectors; :class:`~inpars_plus.retrieval.encoders.Encoder` is the one in use."""

    @property
    def digest(self) -> str:
        """Names all that decides a text's vector: encoders with one digest share a cache."""
        ...

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Vectors of length 1, ``[texts, dimensions]``; ``short`` texts are queries."""
        ...


def embed(
    texts: Sequence[str], encoder: TextEncoder, *, cache_directory: Path | None = None
) -> npt.NDArray[np.float32]:
    """Encode texts, taking from the cache what it has and adding what it has not.

    The cache is one folder an encoder (as its digest tells it) of files with up to ``SHARD_SIZE``
    vectors, each under the SHA-256 of its text. So a corpus that grew has only its new documents encoded, and corpora
    that hold the same text share its vector and nothing else. A damaged file is encoded again, with a warning. What a
    cache has not is copied from ``$INPARS_PLUS_CACHE``, if that has it.

    Args:
        texts: any texts, repeats allowed; at least one.
        encoder: what encodes them.
        cache_directory: where the vectors are kept; ``None`` keeps them in memory only.

    Returns:
        ``[texts, dimensions]``, rows of length 1.
    """
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    missing = dict(zip(keys, texts, strict=True))
    known: dict[bytes, npt.NDArray[np.float32]] = {}
    folder = None if cache_directory is None else cache_directory / "embeddings" / encoder.digest[:32]
    if folder is not None:
        for path in sorted(folder.glob("*.safetensors")):
            _take(path, missing, known)
        _borrow(folder, default_cache_directory() / "embeddings" / folder.name, missing, known)
    # Shards of like length leave the encoder fewer groups; the longest first, so that the estimate of the time left is
    # never too short.
    waiting = sorted(missing, key=lambda key: (-len(missing[key]), key))
    if waiting:
        with bar("Encoding documents", len(waiting)) as progress:
            for start in range(0, len(waiting), SHARD_SIZE):
                shard = waiting[start : start + SHARD_SIZE]
                vectors = encoder.encode([missing[key] for key in shard])
                if folder is not None:
                    _keep(folder, shard, vectors)
                known.update(zip(shard, vectors, strict=True))
                progress.update(len(shard))
    return np.stack([known[key] for key in keys])


def _borrow(folder: Path, other: Path, missing: dict[bytes, str], known: dict[bytes, npt.NDArray[np.float32]]) -> None:
    """Copy what the cache of this machine has, where a cache of its own, such as a search stack's, has it not."""
    if not missing or folder == other:
        return
    before = set(known)
    for path in sorted(other.glob("*.safetensors")):
        _take(path, missing, known)
    borrowed = [key for key in known if key not in before]
    for start in range(0, len(borrowed), SHARD_SIZE):
        shard = borrowed[start : start + SHARD_SIZE]
        _keep(folder, shard, np.stack([known[key] for key in shard]))


def _take(path: Path, missing: dict[bytes, str], known: dict[bytes, npt.NDArray[np.float32]]) -> None:
    """Move what a file has from ``missing`` to ``known``; of other corpora's files only the keys are read."""
    stored = load_array(path, "keys")
    if stored is None or not any(row.tobytes() in missing for row in stored):
        return
    arrays = load_arrays(path)
    if arrays is None:
        return
    for row, vector in zip(arrays["keys"], arrays["vectors"], strict=True):
        key = row.tobytes()
        if missing.pop(key, None) is not None:
            known[key] = vector


def _keep(folder: Path, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
    stacked = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -1)
    keep_arrays(folder / f"{digest(stacked.tobytes())[:32]}.safetensors", {"keys": stacked, "vectors": vectors})
