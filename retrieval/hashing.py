"""An encoder without a model, for tests and examples: words hashed into a few dimensions. No weights, no download."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import ConfigurationError

__all__ = ["HashingEncoder"]

_WORD = re.compile(r"\w+")


class HashingEncoder:
    """Texts with the same words get similar vectors; it knows nothing else of language.

    Each word adds 1 or -1 to one dimension, both by its hash (Weinberger et al., 2009, arXiv:0902.2206).

    Args:
        dimensions: of a vector, at least 1.

    Raises:
        ConfigurationError: fewer.
    """

    def __init__(self, dimensions: int = 64) -> None:
        if dimensions < 1:
            raise ConfigurationError(f"a vector of {dimensions} dimensions holds no word, 1 is the least")
        self.dimensions = dimensions

    @property
    def digest(self) -> str:
        """Names what decides a text's vector."""
        return f"hashing-{self.dimensions}"

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Vectors of length 1, ``[texts, dimensions]``; a text without words has the first unit vector."""
        del short
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
                row[number % self.dimensions] += 1.0 if number >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
