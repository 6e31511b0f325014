"""Candidates: queries that a model wrote for a document, or a person did, as a choice of good and bad."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from inpars_plus.metrics.query_metric import Judged
from inpars_plus.metrics.words import words

__all__ = ["Candidate", "ScoredCandidate", "opening_of", "query_type"]

_ASKING = {"what", "how", "why", "which", "when", "where", "who", "whose"}
_YES_OR_NO = {
    "is", "are", "was", "were", "do", "does", "did", "can", "could", "should", "will", "would", "has", "have", "must",
}  # fmt: skip


class Candidate(BaseModel):
    """A query that may be preferred or not.

    Attributes:
        document_id: of the document that it was written for.
        prompt: what the model read; the same for all candidates of a document.
        text: the query, one line.
        origin: who wrote it: the model's name, with the opening that it was given where it was given one, or
            ``human``.
        opening: the beginning that the model was given; part of the text.
        own: whether the model that is tuned wrote it, and not a teacher, a person or a cheat.
    """

    model_config = ConfigDict(frozen=True)

    document_id: str
    prompt: str
    text: str
    origin: str
    opening: str = ""
    own: bool = True


class ScoredCandidate(Candidate):
    """A candidate with its reward.

    Attributes:
        reward: the compile metric's score of the query, in [0, 1], to six digits.
        accepted: whether it passes every check, retrieval and naturalness included.
        reason: the first check that it fails.
        rank: of its document in the default retriever's ranking; ``None`` beyond the depth.
        copy4: share of its 4-grams that stand verbatim in the document.
    """

    reward: float
    accepted: bool
    reason: str | None = None
    rank: int | None = None
    copy4: float = 0.0

    @classmethod
    def of(cls, candidate: Candidate, judged: Judged, reward: float | None = None) -> ScoredCandidate:
        """A candidate with what the metric says; ``reward`` in place of its score."""
        return cls(
            **candidate.model_dump(include=set(Candidate.model_fields)),
            # As files show scores, and so that rounding in the last digits decides no pair.
            reward=round(judged.score if reward is None else reward, 6),
            accepted=judged.accepted,
            reason=judged.reason,
            rank=judged.rank,
            copy4=round(judged.copy4, 6),
        )


def opening_of(query: str) -> str:
    """Its first word in lower case; empty for a query without words."""
    found = words(query)
    return found[0] if found else ""


def query_type(query: str) -> str:
    """The kind by how it begins: its question word, ``yes-or-no`` for a verb that asks for that, else ``phrase``."""
    opening = opening_of(query)
    if opening in _ASKING:
        return opening
    return "yes-or-no" if opening in _YES_OR_NO else "phrase"
