"""An encoder of documents whose vectors are kept in this machine's cache, where the search engines put theirs too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation import default_cache_directory
from inpars_plus.retrieval.embeddings import TextEncoder, embed

__all__ = ["CachedEncoder"]


class CachedEncoder:
    """Takes from the cache what it has; documents that were searched among with the same encoder cost nothing.

    Args:
        encoder: of what the cache has not.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    @property
    def digest(self) -> str:
        """That of the encoder."""
        return self._encoder.digest

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Vectors of length 1, ``[texts, dimensions]``."""
        del short
        return embed(texts, self._encoder, cache_directory=default_cache_directory())
