"""A handful of documents, and an encoder that needs no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.corpora.documents import Document

TEXTS = {
    "cells": "Zinc is essential for normal intestinal cells, and zinc deficiency slows their growth.",
    "bees": "Honey bees dance to tell their sisters where flowers with nectar are.",
    "glass": "Glass is made by melting sand with soda and lime in a furnace.",
    "rivers": "Rivers carry sand and mud from the mountains to the sea.",
    "sleep": "People who sleep less than six hours have slower reactions the next day.",
    "bread": "Bread rises because yeast turns sugar into gas inside the dough.",
    "stars": "Stars shine because hydrogen melts together into helium in their core.",
    "chess": "A chess player looks several moves ahead and rejects most of them at once.",
}


class LetterEncoder:
    """Counts letters: texts of the same letters are near each other. Remembers what it was asked for."""

    def __init__(self, digest: str = "letters") -> None:
        self.digest = digest
        self.encoded: list[str] = []
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        self.encoded.extend(texts)
        self.calls.append(len(texts))
        rows = np.array([[1 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
        # A few bits of the whole text, so that different texts have different vectors.
        noise = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big") / 2**18 for text in texts]
        rows = np.column_stack([rows, noise])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def documents() -> list[Document]:
    return [Document(id=name, text=text) for name, text in TEXTS.items()]


@pytest.fixture
def ids() -> list[str]:
    return list(TEXTS)


@pytest.fixture
def texts() -> list[str]:
    return list(TEXTS.values())


@pytest.fixture
def letters() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def letter_encoder() -> type[LetterEncoder]:
    return LetterEncoder
