"""Vectors of queries, encoded once for all retrievers that share an encoder."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.retrieval.embeddings import TextEncoder

__all__ = ["QueryVectors", "query_vectors"]

_REMEMBERED_QUERIES = 20_000


class QueryVectors:
    """Encodes queries, and remembers the vectors of the last 20,000.

    Args:
        encoder: of queries.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        # The registry below lives as long as the encoder; a strong reference would keep both for ever.
        self._encoder = weakref.ref(encoder)
        self._remembered: OrderedDict[str, npt.NDArray[np.float32]] = OrderedDict()
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def of(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of queries, ``[queries, dimensions]``; threads wait for one another."""
        encoder = self._encoder()
        assert encoder is not None, "its retrievers hold it"
        with self._lock:
            remembered = self._remembered
            vectors = {query: remembered[query] for query in queries if query in remembered}
            fresh = [query for query in dict.fromkeys(queries) if query not in vectors]
            if fresh:
                vectors.update(zip(fresh, encoder.encode(fresh, short=True), strict=True))
            for query, vector in vectors.items():
                remembered[query] = vector
                remembered.move_to_end(query)
            while len(remembered) > _REMEMBERED_QUERIES:
                remembered.popitem(last=False)
        return np.stack([vectors[query] for query in queries])


_known: weakref.WeakKeyDictionary[TextEncoder, QueryVectors] = weakref.WeakKeyDictionary()
_known_lock = threading.Lock()


def _renew_lock() -> None:
    global _known_lock
    _known_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may have held it


def query_vectors(encoder: TextEncoder) -> QueryVectors:
    """The vectors of queries of an encoder; the same for whoever asks with the same one."""
    with _known_lock:
        found = _known.get(encoder)
        if found is None:
            found = _known[encoder] = QueryVectors(encoder)
        return found
