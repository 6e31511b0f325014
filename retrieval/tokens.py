"""How BM25 cuts texts into terms: lower case, words of two letters or more, no English stop words, Snowball stems."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from inpars_plus.foundation.forks import in_each_fork

__all__ = ["TOKENS", "Tokenizer", "with_parts"]

TOKENS = {"stopwords": "english", "stemmer": "snowball-english", "pattern": r"(?u)\b\w\w+\b"}
"""The settings, for the names of cached indexes. The reference figures use them for every language."""


_WORD = re.compile(r"\w+")
_MOST_PARTS = 8
_BORDER = re.compile(r"_+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


def with_parts(text: str) -> str:
    """The text with the parts of compound words behind them, so that either finds it.

    ``get_user_name`` gets ``get``, ``user`` and ``name``; ``parseHTTPReply`` gets ``parse``, ``HTTP`` and ``Reply``;
    ``IL10`` gets ``IL`` and ``10``. Case counts for ASCII letters alone. A word of more than eight parts, such as an
    encoded key, stays as it is.
    """

    def whole_and_parts(found: re.Match[str]) -> str:
        word = found[0]
        parts = [part for part in _BORDER.split(word) if part]
        return " ".join([word, *parts]) if 2 <= len(parts) <= _MOST_PARTS else word

    return _WORD.sub(whole_and_parts, text)


class Tokenizer:
    """Cuts texts into terms, the same way for documents and queries. Threads may share one."""

    def __init__(self) -> None:
        import Stemmer

        self._stemmer = Stemmer.Stemmer("english")
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # a Snowball stemmer keeps state while it works

    @staticmethod
    def versions() -> dict[str, str]:
        """Versions of the packages that decide what the terms are."""
        return {package: version(package) for package in ("bm25s", "PyStemmer")}

    def terms(self, texts: Sequence[str]) -> list[list[str]]:
        """The terms of each text, in order, with repeats."""
        return self._tokenize(texts, return_ids=False) if texts else []

    def indexed_terms(self, texts: Sequence[str]) -> Any:
        """The same as ids with their vocabulary: the form that ``bm25s`` indexes fastest."""
        return self._tokenize(texts, return_ids=True)

    def _tokenize(self, texts: Sequence[str], *, return_ids: bool) -> Any:
        import bm25s

        with self._lock:
            return bm25s.tokenize(
                list(texts),
                lower=True,
                token_pattern=TOKENS["pattern"],
                stopwords="english",
                stemmer=self._stemmer,
                return_ids=return_ids,
                show_progress=False,
            )
