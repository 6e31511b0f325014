"""Sampling candidates from a compiled program, so that there is something to prefer.

All candidates of a document are continuations of one prompt, the one that the program serves first. Most begin with an
opening that is given to the model (``Query: How``): a small model left alone opens nearly all its queries with the same
words, and what was never sampled can never be preferred. The opening is part of the completion, not of the prompt; the
tuned generator is served with the same openings in turn.

Every sample is a call of the model with a draw of its own, so the store of replies keeps it, and a run that was killed
samples only what is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import dspy

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, ReplyError
from inpars_plus.lms.life import asking_threads
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.optimizers.generators.candidates import Candidate, ScoredCandidate
from inpars_plus.programs.query_generator import QueryGenerator

__all__ = ["OPENINGS", "SamplePlan", "sample_candidates", "worthy_openings"]

OPENINGS = ("How", "What", "Does", "Which", "Why", "Can", "Is", "When", "Effect of", "Role of")
"""Beginnings that are given to the model, in turn over the documents."""

_LEAST_OPENINGS = 4
_TOGETHER = 32


@dataclass(frozen=True)
class SamplePlan:
    """What is sampled for each document.

    Attributes:
        free: continuations of the prompt as it stands.
        opened: openings that each document is sampled with.
        draws: continuations of the prompt and each of these openings.
        temperature: above 0; every draw is then another.
        openings: what :attr:`opened` are taken from.
    """

    free: int = 2
    opened: int = 2
    draws: int = 3
    temperature: float = 0.7
    openings: tuple[str, ...] = OPENINGS

    def __post_init__(self) -> None:
        if min(self.free, self.opened, self.draws) < 0 or self.calls < 2:
            raise ConfigurationError("a preference needs at least 2 samples a document", remedy="Sample more")
        if not 0 < self.temperature <= 2:
            raise ConfigurationError(
                f"the sampling temperature is {self.temperature}, but must lie above 0 and at most at 2"
            )
        if self.opened > len(self.openings):
            raise ConfigurationError(
                f"{self.opened} openings a document are wanted, but there are {len(self.openings)} openings",
                remedy="Ask for fewer, or give more openings",
            )

    @property
    def calls(self) -> int:
        """Calls of the model for a document."""
        return self.free + self.opened * self.draws

    def openings_for(self, number: int) -> list[str]:
        """The openings of the ``number``-th document: they take turns, so that all come equally often."""
        count = len(self.openings)
        return [self.openings[(number * self.opened + at) % count] for at in range(self.opened)]


def sample_candidates(
    program: QueryGenerator,
    documents: Sequence[Document],
    lm: dspy.BaseLM,
    plan: SamplePlan,
    *,
    seed: int = 0,
    threads: int = 16,
    on_done: Callable[[], object] | None = None,
) -> list[list[Candidate]]:
    """Sample candidates for documents.

    Args:
        program: renders the prompts.
        documents: none is empty.
        lm: a completion model; counts, keeps and limits the calls.
        plan: how many, and how.
        seed: another seed gives other draws.
        threads: calls at once.
        on_done: called once a call.

    Returns:
        For each document its distinct candidates, in the order they were asked for; blank replies are left out.

    Raises:
        ConfigurationError: the model has no completion prompt.
        ModelError: the model is dead or its cap is reached; what was sampled is kept by the store of replies.
    """
    prompts = [program.completion_prompt(document, lm) for document in documents]
    given = [[""] * plan.free + plan.openings_for(number) * plan.draws for number in range(len(documents))]
    # The first draw of a document reads it, the later ones find it read: so a document's draws are not asked for at
    # once, and not so far apart that its keys and values have made room for others.
    tasks = [
        (number, given[number][draw], draw)
        for start in range(0, len(documents), _TOGETHER)
        for draw in range(plan.calls)
        for number in range(start, min(start + _TOGETHER, len(documents)))
    ]
    stopped = threading.Event()

    def one(task: tuple[int, str, int]) -> str:
        number, opening, draw = task
        if stopped.is_set():
            return ""
        prompt = prompts[number] + (f" {opening}" if opening else "")
        try:
            (reply,) = lm(prompt, temperature=plan.temperature, rollout_id=_rollout(seed, draw), stop=["\n"])
        except ReplyError:
            return ""
        except BaseException:
            stopped.set()
            raise
        finally:
            if on_done is not None:
                on_done()
        text = reply if isinstance(reply, str) else str(reply["text"])
        # An opening alone is no query of the model's.
        return " ".join(f"{opening} {text}".split()) if text.strip() else ""

    with quiet_logs(), asking_threads(lm, threads) as pool:
        texts = list(pool.map(one, tasks))
    found: list[dict[str, Candidate]] = [{} for _ in documents]
    for (number, opening, _), text in zip(tasks, texts, strict=True):
        if text and text not in found[number]:
            found[number][text] = Candidate(
                document_id=documents[number].id,
                prompt=prompts[number],
                text=text,
                origin=f"{lm.model}, opening '{opening}'" if opening else str(lm.model),
                opening=opening,
            )
    return [list(candidates.values()) for candidates in found]


def worthy_openings(candidates: Iterable[ScoredCandidate], openings: Sequence[str]) -> tuple[str, ...]:
    """The openings that a model goes on from well enough to be served with.

    Args:
        candidates: sampled with openings and scored.
        openings: that were given.

    Returns:
        Those whose mean reward is at least half of the best one's, and never fewer than the best four, in their order.
    """
    rewards: dict[str, list[float]] = {opening: [] for opening in openings}
    for one in candidates:
        if one.opening in rewards:
            rewards[one.opening].append(one.reward)
    means = {opening: sum(each) / len(each) if each else 0.0 for opening, each in rewards.items()}
    ranked = sorted(openings, key=lambda opening: -means[opening])
    best = set(ranked[:_LEAST_OPENINGS])
    return tuple(opening for opening in openings if opening in best or means[opening] >= means[ranked[0]] / 2)


def _rollout(seed: int, draw: int) -> int:
    return seed * 1_000 + draw + 1
