"""The program that writes queries for a document: asks a language model, checks what comes back, and asks again.

How it asks. A model with a completion prompt writes one query a reply, so it is asked once for each query that is
missing; a chat model is asked for all missing ones at once. Up to ``attempts`` times, so there are at most
``attempts`` × N calls. Every ask for one document differs from the one before, or a model at temperature 0 would give
the same rejected reply again: it gets the next window of the document's key terms, and from the third attempt on, or
once the windows begin anew, it is sampled at temperature 0.7 or the model's own, whichever is higher, under a
``rollout_id`` of its own. A completion model that has written nothing usable by its last attempt, mostly because it
copies the document, is given the program's ``last_opening``, if any (``Query: How``); a tuned generator is given one
of the openings that it was tuned on at every ask, beginning at a place that follows from the document, so that its
queries do not all begin alike. A small model also drifts to other subjects: where a completion model's query names
none of the document's foremost key terms, it is kept in reserve, and another is asked for while attempts are left.
All of this follows from the document and the model's settings alone, so it repeats exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ConfigDict

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, ReplyError
from inpars_plus.foundation.files import digest
from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.metrics.checks import check_query
from inpars_plus.metrics.words import words
from inpars_plus.programs.asking import current_lm, own_errors
from inpars_plus.programs.examples import prompt_inputs, terms_per_ask
from inpars_plus.programs.key_terms import KeyTerms
from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery

__all__ = ["GENERATION_REASONS", "QueryGenerator", "RejectedCandidate"]

GENERATION_REASONS: Mapping[str, str] = {
    "drifted": "the query names none of the document's foremost key terms, and a later one does",
    "empty_document": "the document is empty, so nothing was asked",
    "surplus": "the reply had more queries than asked for",
    "unreadable_reply": "no reply came back that could be read as queries",
}
"""The reasons that come beside those of :data:`inpars_plus.metrics.checks.REASONS`."""

_SAMPLE_FROM_ATTEMPT = 3
_SAMPLING_TEMPERATURE = 0.7
_MAX_WINDOWS = 6
_FOREMOST_TERMS = 6
# Keeps the rollouts of one forward apart from those of the next rollout_id that an optimizer gives the model.
_ROLLOUTS_APART = 1000


class RejectedCandidate(BaseModel):
    """A candidate that was not good enough, or a reply that was none.

    Attributes:
        text: the query; where a reply could not be read, the reply as it came, or why there was none.
        reason: a key of ``metrics.checks.REASONS`` or of :data:`GENERATION_REASONS`.
        attempt: 1 for the first; 0 where nothing was asked.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    reason: str
    attempt: int


@dataclass
class _Outcome:
    """What has come back so far for one document."""

    wanted: int
    queries: list[str] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    rejected: list[RejectedCandidate] = field(default_factory=list)
    # The asks as an optimizer may learn from them: inputs, and the queries that came of them.
    fruitful: list[tuple[dict[str, Any], list[str]]] = field(default_factory=list)
    last_failed: tuple[dict[str, Any], list[str]] | None = None
    reserve: list[tuple[dict[str, Any], str, int]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.wanted - len(self.queries)

    def take(
        self, source: Document, inputs: dict[str, Any], texts: Sequence[str], attempt: int, *, naming: frozenset[str]
    ) -> None:
        """Sort what came back; with ``naming`` not empty, queries with none of these words go into the reserve."""
        before = len(self.queries)
        for text in texts:
            reason = check_query(text, source, others=self.queries) if self.missing else "surplus"
            if reason is None and naming and naming.isdisjoint(_stems(text)):
                self.reserve.append((inputs, text, attempt))
            elif reason is None:
                self.queries.append(text)
                self.attempts.append(attempt)
            else:
                self.rejected.append(RejectedCandidate(text=text, reason=reason, attempt=attempt))
        good = self.queries[before:]
        if good:
            self.fruitful.append(({**inputs, "number_of_queries": len(good)}, good))
        else:
            self.last_failed = (inputs, list(texts))

    def draw_on_reserve(self, source: Document) -> None:
        """Fill what is still missing from the reserve, in order; the rest of it is rejected."""
        for inputs, text, attempt in self.reserve:
            if self.missing:
                self.take(source, inputs, [text], attempt, naming=frozenset())
            else:
                self.rejected.append(RejectedCandidate(text=text, reason="drifted", attempt=attempt))


class QueryGenerator(dspy.Module):
    """Writes distinct, checked queries for a document.

    Safe to call from many threads, to deep-copy and to optimize. The model is the predictor's own (``set_lm``) or that
    of ``dspy.context``.

    What an optimizer sees in the trace of a call is only the asks that gave accepted queries, with only those queries
    as their output: a bootstrapped demonstration is never a failed ask. Where no ask succeeded, the last one stands
    there as it went, for optimizers that learn from failures.

    Args:
        key_terms: document frequencies of the collection; without them, words weigh by their count in the document.
        prompt_form: name of the completion prompt's form (``inpars_plus.lms.forms.PROMPT_FORMS``); ``None`` takes the
            default of the model.
        attempts: how often to ask for what is missing, at least 1.
        last_opening: what a completion model's query begins with in the last attempt; empty for nothing.
    """

    def __init__(
        self,
        *,
        key_terms: KeyTerms | None = None,
        prompt_form: str | None = None,
        attempts: int = 3,
        last_opening: str = "",
    ) -> None:
        super().__init__()
        if attempts < 1:
            raise ConfigurationError(f"attempts is {attempts}, but must be at least 1")
        self.key_terms = KeyTerms.fit([]) if key_terms is None else key_terms
        self.prompt_form = prompt_form
        self.attempts = attempts
        self.last_opening = last_opening
        self.generate = dspy.Predict(GenerateQueries)

    def forward(self, source: Document, number_of_queries: int = 1) -> dspy.Prediction:
        """Generate queries for one document.

        Args:
            source: the document; an empty one is never sent to the model.
            number_of_queries: N, at least 1.

        Returns:
            A prediction with ``queries`` (list of str: at most N, distinct, each past every query check), ``attempts``
            (in which attempt each query came), ``rejected`` (list of :class:`RejectedCandidate`, in order) and
            ``shortfall`` (N less the queries).

        Raises:
            ConfigurationError: if N is below 1 or there is no language model.
            ModelError: if the model is dead or its spending cap is reached. An unreadable reply is not an error.
        """
        if number_of_queries < 1:
            raise ConfigurationError(f"number_of_queries is {number_of_queries}, but must be at least 1")
        outcome = _Outcome(wanted=number_of_queries)
        if source.is_empty:
            outcome.rejected.append(RejectedCandidate(text="", reason="empty_document", attempt=0))
        else:
            self._ask_until_done(source, outcome)
            self._record(outcome)
        return dspy.Prediction(
            queries=outcome.queries, attempts=outcome.attempts, rejected=outcome.rejected, shortfall=outcome.missing
        )

    def _ask_until_done(self, source: Document, outcome: _Outcome) -> None:
        lm = current_lm(self.generate)
        adapter = adapter_for(lm, self.prompt_form)
        per_ask = 1 if isinstance(adapter, CompletionAdapter) else outcome.wanted
        windows = self._windows(source, per_ask)
        foremost = self.key_terms.of(source, _FOREMOST_TERMS) if per_ask == 1 and len(self.key_terms) else []
        naming = _stems(" ".join(foremost))
        openings = _openings_for(source, lm)
        asks = 0
        for attempt in range(1, self.attempts + 1):
            for _ in range(outcome.missing if per_ask == 1 else min(1, outcome.missing)):
                inputs = prompt_inputs(source, min(per_ask, outcome.missing), windows[asks % len(windows)])
                sampled = attempt >= _SAMPLE_FROM_ATTEMPT or asks >= len(windows)
                if openings:
                    adapter = adapter_for(lm, self.prompt_form, opening=openings[asks % len(openings)])
                elif _SAMPLE_FROM_ATTEMPT <= attempt == self.attempts and not outcome.reserve:
                    adapter = adapter_for(lm, self.prompt_form, opening=self.last_opening)
                texts, unreadable = self._ask(adapter, inputs, _sampling(lm, asks) if sampled else {})
                if unreadable is not None:
                    outcome.rejected.append(
                        RejectedCandidate(text=unreadable, reason="unreadable_reply", attempt=attempt)
                    )
                outcome.take(source, inputs, texts, attempt, naming=naming if attempt < self.attempts else frozenset())
                asks += 1
        outcome.draw_on_reserve(source)

    def _windows(self, source: Document, per_ask: int) -> list[list[str]]:
        size = terms_per_ask(per_ask)
        terms = self.key_terms.of(source, size * _MAX_WINDOWS)
        windows = [terms[start : start + size] for start in range(0, len(terms), size)]
        if len(windows) > 1 and len(windows[-1]) < size:
            windows.pop()
        return windows or [[]]

    def _ask(
        self, adapter: dspy.Adapter, inputs: dict[str, Any], config: dict[str, Any]
    ) -> tuple[list[str], str | None]:
        """One call: the candidates, and the reply as it came where it could not be read."""
        try:
            # DSPy would trace every ask; _record writes the ones to learn from.
            with own_errors(), dspy.context(adapter=adapter, trace=None):
                reply = self.generate(**inputs, config=config)
        except AdapterParseError as error:
            return [], str(error.lm_response)
        except (ReplyError, RecursionError) as error:  # a reply nested beyond reading is just as unreadable
            return [], str(error)
        if not isinstance(reply.queries, list) or not reply.queries:
            return [], str(reply.queries)
        return [query.text for query in reply.queries], None

    def _record(self, outcome: _Outcome) -> None:
        steps = outcome.fruitful or ([outcome.last_failed] if outcome.last_failed else [])
        trace, limit = dspy.settings.trace, dspy.settings.max_trace_size
        if trace is None or limit < 1:
            return
        for inputs, texts in steps:
            del trace[: max(0, len(trace) - limit + 1)]
            trace.append(
                (self.generate, inputs, dspy.Prediction(queries=[SyntheticQuery(text=text) for text in texts]))
            )

    def completion_prompt(self, source: Document, lm: dspy.BaseLM) -> str:
        """What a completion model reads when it is first asked about a document, character for character.

        For whoever trains a model to serve this program: sampling, training and serving read the same text. An opening
        that a tuned generator is given stands behind it, after a space.

        Raises:
            ConfigurationError: the model is asked in chat turns, or the document is empty.
        """
        adapter = adapter_for(lm, self.prompt_form)
        if not isinstance(adapter, CompletionAdapter):
            raise ConfigurationError(
                f"the language model '{lm.model}' is asked in chat turns and has no completion prompt",
                remedy="Name a local model: embedded, gguf:PATH or the directory of a tuned generator",
            )
        if source.is_empty:
            raise ConfigurationError("the document is empty, so nothing is asked about it", place=source.id)
        inputs = prompt_inputs(source, 1, self._windows(source, 1)[0])
        return adapter.render(self.generate.signature, self.generate.demos, inputs)

    def dump_settings(self) -> dict[str, Any]:
        """What the program store must know, beside DSPy's state, to build this program again."""
        return {
            "prompt_form": self.prompt_form,
            "attempts": self.attempts,
            "last_opening": self.last_opening,
            "key_terms": self.key_terms.state(),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a program from what :meth:`dump_settings` gave."""
        return cls(
            key_terms=KeyTerms.from_state(settings["key_terms"]),
            prompt_form=settings["prompt_form"],
            attempts=settings["attempts"],
            last_opening=settings.get("last_opening", ""),
        )


def _openings_for(source: Document, lm: dspy.BaseLM) -> tuple[str, ...]:
    """The model's openings, beginning with this document's: over many documents each is first equally often."""
    openings: tuple[str, ...] = getattr(lm.engine, "openings", ())
    if not openings:
        return ()
    first = int(digest(source.id, source.text)[:8], 16) % len(openings)
    return openings[first:] + openings[:first]


def _stems(text: str) -> frozenset[str]:
    # Plurals are all that key terms and queries differ in often enough to matter.
    return frozenset(part.rstrip("s") for word in words(text) for part in (word, *word.split("-")))


def _sampling(lm: dspy.BaseLM, ask: int) -> dict[str, Any]:
    temperature = max(_SAMPLING_TEMPERATURE, lm.kwargs.get("temperature") or 0.0)
    return {"temperature": temperature, "rollout_id": _ROLLOUTS_APART * (lm.kwargs.get("rollout_id") or 0) + ask}
