"""Whether a query is in another language than its document asks for."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any

from inpars_plus.corpora.documents import Document
from inpars_plus.metrics.words import FUNCTION_WORDS, words

__all__ = ["is_other_language"]

_SURE = 0.5
_KNOWN_SHARE = 0.5
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may have held it


def is_other_language(query: str, document: Document) -> bool:
    """Whether a query is surely in another language than ``document.language``.

    Language identification errs on short technical queries ("python lambda filter" looks Romanian to it), so it is
    believed only where at most half of the query's words are English function words or words of the document, and
    only when it is more sure than not.
    """
    tokens = words(query)
    if not tokens:
        return False
    known = _vocabulary(document.full_text)
    english = document.language == "en"
    share = sum(token in known or (english and token in FUNCTION_WORDS) for token in tokens) / len(tokens)
    if share > _KNOWN_SHARE:
        return False
    language, probability = _identify(query)
    return language != document.language and probability >= _SURE


@lru_cache(maxsize=4096)
def _vocabulary(text: str) -> frozenset[str]:
    return frozenset(words(text))


@lru_cache(maxsize=16384)
def _identify(text: str) -> tuple[str, float]:
    with _lock:  # the identifier keeps scratch state
        language, probability = _identifier().classify(text)
    return str(language), float(probability)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
