"""How published recipes make training queries for rankers: their prompts, filters, negatives and losses.

They stand beside this project's own way in ``experiments/compare_recipes.py``. The prompts have the published forms;
the examples in them are our own, because those of the papers are other people's data. A prompt is plain text that a
completion model goes on from, up to the end of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["EXAMPLES", "RECIPES", "PromptExample", "Recipe", "usable_query"]

_WORDS = 160
"""Of a document in a prompt; InPars cuts to 256 tokens."""
_FEWEST_WORDS = 3
_CHARACTERS = range(10, 201)


@dataclass(frozen=True)
class PromptExample:
    """A document with what people ask of it.

    Attributes:
        document: text.
        query: as one types it into a search box.
        question: a fuller one, that needs no context; empty where there is none.
    """

    document: str
    query: str
    question: str = ""


EXAMPLES = (
    PromptExample(
        "A bicycle chain grows longer as its pins and rollers wear. Once it is three quarters of a percent longer than "
        "a new one, it no longer fits the teeth of the sprockets and grinds them down. A gauge shows the wear in a "
        "second, and a new chain costs much less than new sprockets.",
        "when to replace a bike chain",
        "How far may a bicycle chain wear before it damages the sprockets?",
    ),
    PromptExample(
        "Sourdough rises slowly in a cold kitchen, because the yeasts and bacteria of the starter do best at about "
        "26 degrees Celsius. Below 20 degrees the first rise takes up to twice as long. Some bakers put the bowl into "
        "the oven with nothing but its lamp switched on.",
        "sourdough not rising in cold kitchen",
        "Why does sourdough take longer to rise in a cold kitchen, and what helps?",
    ),
    PromptExample(
        "Before there were electric telegraphs, France sent messages along chains of towers whose wooden arms were set "
        "to agreed positions and read by telescope. In clear weather a message from Lille was in Paris within the "
        "hour; fog and darkness stopped the service.",
        "how fast was the optical telegraph",
        "How long did a message take from Lille to Paris over the towers with movable arms?",
    ),
)
"""For recipes that show examples, where nobody gave any."""


@dataclass(frozen=True)
class Recipe:
    """A way to make training data.

    Attributes:
        name: in tables.
        prompt: of a document's text and examples; ``None`` where no language model is asked.
        examples: how many examples it shows at most.
        needs_gold: whether examples must be real ones of the collection; without them, none is shown.
        two_questions: whether an example needs a fuller question beside the query; a judged query has none, so
            :data:`EXAMPLES` are shown even where there are judged ones.
        temperature: of the model; 0 is greedy.
        top_k: draws are among so many tokens; ``None`` for all.
        top_p: and among the fewest that come to this probability together.
        kept: share of the queries that the model finds likeliest (InPars v1), 1 for all.
        round_trip: only queries stay whose document a ranker that was trained on all of them finds first.
        negatives: of ``bm25``, of the ``hybrid`` with the weight that was chosen without labels, or ``random``.
        loss: as for :func:`~inpars_plus.optimizers.rankers.fine_tuning.tune_bi_encoder`; that hybrid is the teacher.
        source: paper.
    """

    name: str
    prompt: Callable[[str, Sequence[PromptExample]], str] | None
    source: str
    examples: int = 3
    needs_gold: bool = False
    two_questions: bool = False
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    kept: float = 1.0
    round_trip: bool = False
    negatives: Literal["bm25", "hybrid", "random"] = "bm25"
    loss: Literal["ranking", "margin-mse"] = "ranking"

    @property
    def sampling(self) -> dict[str, int | float]:
        """What the model is called with beside the prompt; nothing where it is greedy."""
        if not self.temperature:
            return {}
        given = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
        return {name: value for name, value in given.items() if value is not None}

    def shown(self, gold: Sequence[PromptExample]) -> list[PromptExample]:
        """The examples of its prompt.

        Args:
            gold: judged queries with a document of theirs; may be none.
        """
        if gold and not self.two_questions:
            return list(gold[: self.examples])
        return [] if self.needs_gold else list(EXAMPLES[: self.examples])


def usable_query(text: str) -> str | None:
    """The query in a reply, or ``None`` where there is none: fewer than 3 words, or not of 10 to 200 characters."""
    query = " ".join(text.split())
    good = len(query.split()) >= _FEWEST_WORDS and len(query) in _CHARACTERS
    return query if good else None


def _relevant_query(text: str, examples: Sequence[PromptExample]) -> str:
    """InPars (Bonifacio et al. 2022), figure 2, "vanilla"."""
    shown = [f"Document: {_cut(one.document)}\nRelevant Query: {one.query}" for one in examples]
    return _numbered([*shown, f"Document: {_cut(text)}\nRelevant Query:"])


def _good_question(text: str, examples: Sequence[PromptExample]) -> str:
    """InPars (Bonifacio et al. 2022), figure 2, "guided by bad questions": the typed query is the bad one."""
    shown = [
        f"Document: {_cut(one.document)}\nGood Question: {one.question}\nBad Question: {one.query}" for one in examples
    ]
    return _numbered([*shown, f"Document: {_cut(text)}\nGood Question:"])


def _query_of_task(text: str, examples: Sequence[PromptExample]) -> str:
    """Promptagator (Dai et al. 2022), section 3.1; without examples an instruction stands in their place."""
    shown = [f"Document: {_cut(one.document)}\nQuery: {one.query}" for one in examples]
    first = [] if shown else ["Read the document, and write a search query that it answers."]
    return "\n\n".join([*first, *shown, f"Document: {_cut(text)}\nQuery:"])


def _numbered(blocks: Sequence[str]) -> str:
    return "\n\n".join(f"Example {number}:\n{block}" for number, block in enumerate(blocks, 1))


def _cut(text: str) -> str:
    return " ".join(text.split()[:_WORDS])


_RECIPES = (
    Recipe("templates", None, "none: key terms in fixed questions, the cheat of the quality tables"),
    Recipe("InPars", _relevant_query, "Bonifacio et al. 2022", kept=0.5),
    Recipe("InPars, bad questions", _good_question, "Bonifacio et al. 2022", two_questions=True, kept=0.5),
    Recipe(
        "Promptagator",
        _query_of_task,
        "Dai et al. 2022",
        examples=8,
        needs_gold=True,
        temperature=0.7,
        round_trip=True,
        negatives="random",
    ),
    Recipe(
        "GPL",
        _relevant_query,
        "Wang et al. 2022",
        temperature=1.0,
        top_k=25,
        top_p=0.95,
        negatives="hybrid",
        loss="margin-mse",
    ),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _RECIPES})
"""Recipes of others, by name."""
