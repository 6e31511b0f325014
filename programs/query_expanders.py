"""The programs that give search more to go by than the query: other words for it, or a passage that could answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.inputs import check_query_text
from inpars_plus.programs.program import Program
from inpars_plus.programs.reranking import Asker
from inpars_plus.programs.texts import fit_text
from inpars_plus.signatures.expand_query import ExpandQuery, WriteHypotheticalPassage

__all__ = ["HypotheticalPassageWriter", "QueryExpander"]

_MAX_QUERY_CHARACTERS = 2_000
_MAX_PASSAGE_CHARACTERS = 2_000
_REPLY_TOKENS = 512


class QueryExpander(Program):
    """Further terms and rephrasings of a query.

    Args:
        max_rephrasings: how many rephrasings are used at most.
    """

    def __init__(self, *, max_rephrasings: int = 3) -> None:
        super().__init__()
        if max_rephrasings < 0:
            raise ConfigurationError(f"max_rephrasings is {max_rephrasings}, but must be at least 0")
        self.max_rephrasings = max_rephrasings
        self.expand = dspy.Predict(ExpandQuery)

    def forward(self, query: str) -> dspy.Prediction:
        """Expand one query.

        Returns:
            A prediction with ``texts`` (list of str, what to search for beside the query: the query with all further
            terms behind it, then the rephrasings; without repeats, and none that is the query itself) and ``reason``
            (``None``, or ``unreadable_reply``, and then there are no texts). A blank query is not asked about, and
            nothing is added to it.

        Raises:
            ConfigurationError: there is no language model, or the query is no text.
            ModelError: the model is dead or its spending cap is reached.
        """
        check_query_text(query)
        asked = fit_text(query, _MAX_QUERY_CHARACTERS)
        if not asked.strip():
            return dspy.Prediction(texts=[], reason=None)
        asker = Asker(self.expand, reply_tokens=_REPLY_TOKENS, threads=1)
        (expansion,) = asker.ask([{"query": asked}])
        if expansion is None:
            return dspy.Prediction(texts=[], reason="unreadable_reply")
        known = query.casefold()
        there = set(known.split())
        terms = [term for term in dict.fromkeys(expansion.terms) if not there.issuperset(term.casefold().split())]
        texts = [f"{query} {' '.join(terms)}"] if terms else []
        texts += expansion.rephrasings[: self.max_rephrasings]
        return dspy.Prediction(texts=_added(query, texts), reason=None)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {"max_rephrasings": self.max_rephrasings}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        return cls(max_rephrasings=settings["max_rephrasings"])


def _added(query: str, texts: Sequence[str]) -> list[str]:
    """Texts without repeats and without the query itself, which is searched for anyway."""
    different = {text.casefold().strip(): text for text in texts}
    different.pop(query.casefold().strip(), None)
    return list(different.values())


class HypotheticalPassageWriter(Program):
    """A passage that could answer a query (HyDE; Gao et al. 2022, "Precise Zero-Shot Dense Retrieval").

    It may be false in what it says: what counts is that it reads like a document with the answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(WriteHypotheticalPassage)

    def forward(self, query: str) -> dspy.Prediction:
        """Write for one query.

        Returns:
            A prediction with ``texts`` (the passage as a list of one, cut to 2,000 characters; empty where it is the
            query itself, or blank, and then not asked about) and ``reason``, as of :class:`QueryExpander`.

        Raises:
            ConfigurationError: there is no language model, or the query is no text.
            ModelError: the model is dead or its spending cap is reached.
        """
        check_query_text(query)
        asked = fit_text(query, _MAX_QUERY_CHARACTERS)
        if not asked.strip():
            return dspy.Prediction(texts=[], reason=None)
        asker = Asker(self.write, reply_tokens=_REPLY_TOKENS, threads=1)
        (passage,) = asker.ask([{"query": asked}])
        if passage is None:
            return dspy.Prediction(texts=[], reason="unreadable_reply")
        text = fit_text(passage.text, _MAX_PASSAGE_CHARACTERS)
        return dspy.Prediction(texts=_added(query, [text]), reason=None)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again: nothing."""
        return {}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        del settings
        return cls()
