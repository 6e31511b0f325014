"""The key terms of a document: the words that set it apart from the others of its collection.

A term weighs ``(1 + ln tf) · ln(N / df)``: tf its count in the document, df the number of documents that have it, N
the number of documents (Salton and Buckley, 1988, doi:10.1016/0306-4573(88)90021-0, with the logarithm of tf).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Self

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ProgramFileError
from inpars_plus.metrics.words import FUNCTION_WORDS

__all__ = ["MAX_VOCABULARY", "KeyTerms"]

MAX_VOCABULARY = 20_000
# While fitting, rare terms are forgotten whenever this many different ones are held: memory stays bounded on a corpus
# of any size, and what is forgotten counts as unseen, which is nearly what it was.
_MAX_HELD = 2_000_000
_ENCODING = "zlib+base64 of JSON {df: terms joined by blanks}"

_MAX_UNPACKED = 64_000_000

# A word begins with a letter and goes on with letters and digits; "_" ends it, so snake_case falls apart by itself.
_WORD = re.compile(r"[^\W\d_][^\W_]*")
# camelCase falls apart as well. Words that begin with a capital stay whole (DataFrame, PubMed: people type them as one
# word), and so do those with fewer than two small letters in front (mRNA, iPhone).
_CAMEL_CASE = re.compile(r"^[a-z]{2,}(?:[A-Z]+[a-z0-9]*)+$")
_CAMEL_PART = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z0-9]+")
_MIN_LENGTH = 3


@lru_cache(maxsize=1 << 17)
def _parts(word: str) -> tuple[tuple[str, str], ...]:
    """The (term, surface form) pairs of a word: several of camelCase, none of a function word or a short one."""
    surfaces = _CAMEL_PART.findall(word) if _CAMEL_CASE.match(word) else [word]
    return tuple(
        (_term(surface), surface)
        for surface in surfaces
        if len(surface) >= _MIN_LENGTH and surface.lower() not in FUNCTION_WORDS
    )


def _term(word: str) -> str:
    """The form under which a word is counted: lower case, a plural s taken off ("genes" and "gene" are one term)."""
    word = word.lower()
    if len(word) > _MIN_LENGTH and word.endswith("s") and word[-2] not in "sui":
        return word[:-1]
    return word


def _terms(document: Document) -> set[str]:
    return {term for word in set(_WORD.findall(document.full_text)) for term, _ in _parts(word)}


def _occurrences(document: Document) -> dict[str, Counter[str]]:
    """Term → its surface forms with their counts, terms in order of first occurrence."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for word in _WORD.findall(document.full_text):
        for term, surface in _parts(word):
            forms[term][surface] += 1
    return forms


class KeyTerms:
    """Document frequencies of a collection, and the key terms of a document by them.

    Immutable, so threads and DSPy's many deep copies share one object.

    Only the ``MAX_VOCABULARY`` terms of highest df are kept. Every other term, one that the collection never had
    included, falls back to ``unseen_frequency``: the mean df of the terms left out, at least 1 (exactly 1 where only
    terms of a single document were left out). Fitted on nothing, all terms weigh alike but for their tf.

    Args:
        documents: number of documents counted.
        frequencies: term → number of documents that have it.
        unseen_frequency: the df of every other term.
    """

    def __init__(self, documents: int, frequencies: Mapping[str, int], unseen_frequency: float = 1.0) -> None:
        self._documents = documents
        self._frequencies = dict(frequencies)
        self._unseen_frequency = max(1.0, unseen_frequency)

    @classmethod
    def fit(cls, documents: Iterable[Document], *, max_vocabulary: int = MAX_VOCABULARY) -> Self:
        """Count document frequencies in one pass over the documents, in bounded memory."""
        count, frequencies = 0, Counter[str]()
        for document in documents:
            count += 1
            frequencies.update(_terms(document))
            if len(frequencies) > _MAX_HELD:
                frequencies = Counter({term: df for term, df in frequencies.items() if df > 1})
        # A term of one document need not be kept while the fallback says the same; ties by name, for repeatability.
        ranked = sorted((item for item in frequencies.items() if item[1] > 1), key=lambda item: (-item[1], item[0]))
        kept = dict(ranked[:max_vocabulary])
        left_out = [df for term, df in frequencies.items() if term not in kept]
        return cls(count, kept, sum(left_out) / len(left_out) if left_out else 1.0)

    def of(self, document: Document, k: int = 3, *, skip: int = 0) -> list[str]:
        """The top ``k`` terms of a document after the first ``skip``, best first.

        Args:
            document: any document, of the collection or not.
            k: how many.
            skip: how many of the best to pass over, so that another attempt can look from another side.

        Returns:
            At most ``k`` words of at least three characters, in the form in which the document has them most often;
            fewer or none where it has no more. Equal weights stand in order of first occurrence.
        """
        forms = _occurrences(document)
        weights = {term: self._weight(term, counts.total()) for term, counts in forms.items()}
        ranked = sorted(weights, key=lambda term: -weights[term])  # stable: ties keep the order of the text
        return [forms[term].most_common(1)[0][0] for term in ranked[skip : skip + k]]

    def _weight(self, term: str, count: int) -> float:
        # A term cannot be in more documents than there are; the 1 keeps tf in play where nothing was fitted.
        df = self._frequencies.get(term, self._unseen_frequency)
        rarity = math.log(self._documents / df) if self._documents > df else (0.0 if self._documents else 1.0)
        return (1.0 + math.log(count)) * rarity

    def state(self) -> dict[str, Any]:
        """The frequencies as a small JSON object, for :meth:`from_state`."""
        by_frequency: dict[str, list[str]] = defaultdict(list)
        for term, df in self._frequencies.items():
            by_frequency[str(df)].append(term)
        table = {
            df: " ".join(sorted(terms)) for df, terms in sorted(by_frequency.items(), key=lambda item: int(item[0]))
        }
        packed = zlib.compress(json.dumps(table, ensure_ascii=False).encode(), level=9)
        return {
            "documents": self._documents,
            "unseen_frequency": self._unseen_frequency,
            "encoding": _ENCODING,
            "frequencies": base64.b64encode(packed).decode("ascii"),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read what :meth:`state` wrote.

        Raises:
            ProgramFileError: if it is anything else.
        """
        try:
            if state["encoding"] != _ENCODING:
                raise ValueError(f"encoding {state['encoding']!r}")
            packed = base64.b64decode(state["frequencies"], validate=True)
            # A bound, because a small hostile file can unpack to more than the memory.
            table = json.loads(zlib.decompressobj().decompress(packed, _MAX_UNPACKED))
            frequencies = {term: int(df) for df, terms in table.items() for term in terms.split()}
            return cls(int(state["documents"]), frequencies, float(state["unseen_frequency"]))
        except (KeyError, TypeError, AttributeError, ValueError, binascii.Error, zlib.error) as error:
            raise ProgramFileError(
                f"the document frequencies of the key terms cannot be read ({error})",
                remedy="Compile the program again.",
            ) from error

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyTerms):
            return NotImplemented
        return (self._documents, self._frequencies, self._unseen_frequency) == (
            other._documents,
            other._frequencies,
            other._unseen_frequency,
        )

    def __hash__(self) -> int:
        return hash((self._documents, len(self._frequencies), self._unseen_frequency))

    def __len__(self) -> int:
        return len(self._frequencies)

    def __repr__(self) -> str:
        return f"KeyTerms({len(self)} terms of {self._documents} documents)"
