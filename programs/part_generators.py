"""Generators that ask about a part of a document at a time: a passage of it, or a sentence.

A query about the whole tends to repeat what the title and the first sentence say. People also search for single
statements deep in a text. Each part is asked about once before any is asked about twice; parts with more of the
document's key terms come first, because "Methods are described below." answers nobody's question. What comes back is
checked against the whole document: what is copied from elsewhere in it is copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import dspy

from inpars_plus.corpora.chunking import chunk_document
from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.sentences import sentences_of
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.metrics.words import content_words
from inpars_plus.programs.examples import terms_per_ask
from inpars_plus.programs.outcomes import Turn
from inpars_plus.programs.query_generator import QueryGenerator
from inpars_plus.signatures.generate_passage_queries import GeneratePassageQueries
from inpars_plus.signatures.generate_sentence_queries import GenerateSentenceQueries

__all__ = ["PassageQueryGenerator", "SentenceQueryGenerator"]

_LEADING_TERMS = 24
_SHORTEST_PART = 4


class _PartQueryGenerator(QueryGenerator):
    """What generators that ask about parts have in common; kinds differ in the parts and in the signature.

    Called as :class:`~inpars_plus.programs.query_generator.QueryGenerator` is, with the same prediction.
    """

    one_query_a_turn: ClassVar[bool] = True

    def parts(self, source: Document) -> list[Document]:
        """The parts to ask about, in the order of the document, each with its title."""
        raise NotImplementedError  # each kind has its own

    def _turns(self, source: Document, per_ask: int) -> list[Turn]:
        """A turn a part, those with more of the document's key terms first."""
        weights = {term.lower(): 1 / place for place, term in enumerate(self.key_terms.of(source, _LEADING_TERMS), 1)}
        parts = [part for part in self.parts(source) if len(content_words(part.text)) >= _SHORTEST_PART]
        ranked = sorted(parts or [source], key=lambda part: -_weight(part, weights))
        turns = []
        for part in ranked:
            bare = part.model_copy(update={"title": ""}) if part.text else part
            terms = self.key_terms.of(bare, terms_per_ask(per_ask))
            turns.append(Turn(part, terms, self._foremost(bare)))
        return turns


class PassageQueryGenerator(_PartQueryGenerator):
    """Writes queries for passages of a document.

    Args:
        max_characters: the length of a passage; passages end where sentences end.
        settings: as of :class:`~inpars_plus.programs.query_generator.QueryGenerator`.
    """

    signature: ClassVar[type[dspy.Signature]] = GeneratePassageQueries

    def __init__(self, *, max_characters: int = 600, **settings: Any) -> None:
        super().__init__(**settings)
        if max_characters < 1:
            raise ConfigurationError(f"max_characters is {max_characters}, but must be at least 1")
        self.max_characters = max_characters

    def parts(self, source: Document) -> list[Document]:
        """The parts to ask about, in the order of the document, each with its title."""
        return chunk_document(source, self.max_characters)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {**super().dump_settings(), "max_characters": self.max_characters}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        program = super().from_settings(settings)
        program.max_characters = settings["max_characters"]
        return program


class SentenceQueryGenerator(_PartQueryGenerator):
    """Writes queries for single sentences of a document.

    Args:
        settings: as of :class:`~inpars_plus.programs.query_generator.QueryGenerator`.
    """

    signature: ClassVar[type[dspy.Signature]] = GenerateSentenceQueries

    def parts(self, source: Document) -> list[Document]:
        """The parts to ask about, in the order of the document, each with its title."""
        return [source.model_copy(update={"text": sentence}) for sentence in sentences_of(source.text)]


def _weight(part: Document, weights: Mapping[str, float]) -> float:
    found: Sequence[str] = content_words(part.text)
    return sum(weights.get(word, 0.0) for word in set(found))
