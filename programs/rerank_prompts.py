"""The prompts of a re-ranking before any of them is paid for: what it will cost in tokens, by the model's own counter.

The calls have formulas (:mod:`inpars_plus.programs.rerank_reports`); their tokens depend on what the passages say and
on the demonstrations, so they are the sum over the prompts themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.programs.inputs import check_passages, check_query_text
from inpars_plus.programs.lenient_json import LenientJsonAdapter
from inpars_plus.programs.rerank_reports import depth_within
from inpars_plus.programs.reranking import Asker, Reranker
from inpars_plus.programs.texts import fit_text
from inpars_plus.signatures.compare_passages import PassagePreference
from inpars_plus.signatures.judge_relevance import RelevanceGrade
from inpars_plus.signatures.rank_passages import PassageOrder, numbered

__all__ = ["PlannedAsk", "planned_asks"]


@dataclass(frozen=True)
class PlannedAsk:
    """One call of the language model.

    Attributes:
        positions: of the passages that it shows, in the order shown.
        turns: each with its ``role`` and ``content``, before any chat template of the model.
    """

    positions: tuple[int, ...]
    turns: tuple[dict[str, str], ...]

    @property
    def prompt(self) -> str:
        """All turns, one below the other."""
        return "\n".join(turn["content"] for turn in self.turns)


def planned_asks(
    program: Reranker,
    query: str,
    passages: Sequence[str],
    *,
    worths: Sequence[float] | None = None,
    calls: int | None = None,
) -> list[PlannedAsk]:
    """What a program asks about a query, in its order, without asking.

    Pointwise grades, comparisons of all pairs and the first window do not depend on replies. Which passages the other
    windows show does: they are those of a judge that is always right by ``worths``.

    Args:
        program: one of the three forms, with its demonstrations.
        query: as for the program; nothing is asked about a blank one.
        passages: as for the program.
        worths: how well each passage answers; by default all alike, so that none moves.
        calls: as for the program.

    Raises:
        ConfigurationError: there is not one worth a passage, the query is no text, or the passages are no list of
            texts.
    """
    check_query_text(query)
    check_passages(passages)
    if worths is None:
        worths = [0.0] * len(passages)
    if len(worths) != len(passages):
        raise ConfigurationError(f"{len(passages)} passages need as many worths, not {len(worths)}")
    asked = fit_text(query, program.max_characters)
    if not asked.strip():
        return []
    depth = depth_within(program.calls_for, len(passages), calls)
    rehearsal = _Rehearsal(worths)
    if program.calls_for(depth):
        # The passages stand in by their positions, so that equal texts are told apart.
        program._rank(rehearsal, "", [str(position) for position in range(depth)])
    (predictor,) = program.predictors()
    texts = [fit_text(passage, program.max_characters) for passage in passages[:depth]]
    found = []
    for signature, positions in rehearsal.asked:
        used = signature or predictor.signature
        turns = LenientJsonAdapter().format(
            used, predictor.demos, {"query": asked, **_fields(used, [texts[position] for position in positions])}
        )
        found.append(PlannedAsk(positions, tuple(turns)))
    return found


def _fields(signature: type[dspy.Signature], passages: Sequence[str]) -> dict[str, str]:
    """The passages as the fields of a signature, in which they are all that is asked about beside the query."""
    names = [name for name in signature.input_fields if name != "query"]
    if names == ["numbered_passages"]:
        return {"numbered_passages": numbered(passages)}
    return dict(zip(names, passages, strict=True))


class _Rehearsal(Asker):
    """Notes what is asked, and replies as a judge that is always right; the passages are their positions."""

    def __init__(self, worths: Sequence[float]) -> None:
        self.counts = Counter()
        self.asked: list[tuple[type[dspy.Signature] | None, tuple[int, ...]]] = []
        self._worths = worths

    def ask(
        self, asks: Sequence[Mapping[str, Any]], *, signature: type[dspy.Signature] | None = None
    ) -> list[Any | None]:
        return [self._reply(inputs, signature) for inputs in asks]

    def _reply(self, inputs: Mapping[str, Any], signature: type[dspy.Signature] | None) -> Any:
        given = inputs.get("numbered_passages")
        said = [value for name, value in inputs.items() if name != "query"]
        shown = [int(line.split()[1]) for line in given.splitlines()] if given else [int(value) for value in said]
        self.asked.append((signature, tuple(shown)))
        worths = [self._worths[position] for position in shown]
        if given:
            return PassageOrder(order=[at + 1 for at in sorted(range(len(shown)), key=lambda at: -worths[at])])
        if len(shown) == 2:
            first, second = worths
            return PassagePreference(better="first" if first > second else "second" if second > first else "tie")
        return RelevanceGrade(grade=0)  # no ask depends on it
