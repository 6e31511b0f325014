"""The program that writes queries for a document: asks a language model, checks what comes back, and asks again.

How it asks. A model with a completion prompt writes one query a reply, so it is asked once for each query that is
missing; a chat model is asked for all missing ones at once. Up to ``attempts`` times, so there are at most ``attempts``
× N calls. Every ask for one document differs from the one before, or a model at temperature 0 would give the same
rejected reply again: it gets the next window of the document's key terms, and from the third attempt on, or once the
windows begin anew, it is sampled at temperature 0.7 or the model's own, whichever is higher, under a ``rollout_id`` of
its own; a model that refuses the temperature is asked once more at its own. A completion model that has written nothing
usable by its last attempt, mostly because it copies the document, is given the program's ``last_opening``, if any
(``Query: How``); a tuned generator is given one of the openings that it was tuned on at every ask, beginning at a place
that follows from the document, so that its queries do not all begin alike. A small model also drifts to other subjects:
where a completion model's query names none of the document's foremost key terms, it is kept in reserve, and another is
asked for while attempts are left. All of this follows from the document and the model's settings alone, so it repeats
exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import dspy
from dspy.utils.exceptions import AdapterParseError

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, NoReplyError, ReplyError
from inpars_plus.foundation.files import digest
from inpars_plus.foundation.kinds import kind_of
from inpars_plus.lms.completion_adapter import CompletionAdapter, adapter_for
from inpars_plus.lms.traits import trait_of
from inpars_plus.metrics.checks import check_query
from inpars_plus.programs.asking import current_lm, own_errors
from inpars_plus.programs.examples import prompt_inputs, terms_per_ask
from inpars_plus.programs.foreign_models import refuses_temperature
from inpars_plus.programs.inputs import check_document, check_number_of_queries
from inpars_plus.programs.key_terms import KeyTerms
from inpars_plus.programs.lenient_chat import LenientChatAdapter
from inpars_plus.programs.outcomes import Outcome, Turn, stems_of
from inpars_plus.programs.program import Program
from inpars_plus.signatures.generate_queries import GenerateQueries, SyntheticQuery

__all__ = ["QueryGenerator", "check_generator"]

_SAMPLE_FROM_ATTEMPT = 3
_SAMPLING_TEMPERATURE = 0.7
_MAX_WINDOWS = 6
_FOREMOST_TERMS = 6
# Keeps the rollouts of one forward apart from those of the next rollout_id that an optimizer gives the model.
_ROLLOUTS_APART = 1000


class QueryGenerator(Program):
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

    Attributes:
        signature: what the model is asked.
        one_query_a_turn: whether a chat model, too, is asked for one query at a time.
        nothing_to_ask: the reason where a document gives nothing to ask about.
    """

    signature: ClassVar[type[dspy.Signature]] = GenerateQueries
    one_query_a_turn: ClassVar[bool] = False
    nothing_to_ask: ClassVar[str] = "empty_document"

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
        self.generate = dspy.Predict(self.signature)

    def forward(self, source: Document, number_of_queries: int = 1) -> dspy.Prediction:
        """Generate queries for one document.

        Args:
            source: the document; an empty one is never sent to the model.
            number_of_queries: N, at least 1.

        Returns:
            A prediction with ``queries`` (list of str: at most N, distinct, each past every query check), ``attempts``
            (in which attempt each query came), ``shown`` (what the model read of the document when it wrote each),
            ``rejected`` (list of :class:`RejectedCandidate`, in order) and ``shortfall`` (N less the queries).

        Raises:
            ConfigurationError: if N is below 1, there is no language model, or the source is no document.
            ModelError: if the model is dead or its spending cap is reached. A reply that is unreadable or does not
                come is no error; after one that did not come (``no_reply``) the document is asked about no more.
        """
        check_number_of_queries(number_of_queries)
        check_document(source)
        outcome = Outcome(int(number_of_queries), lambda query, others: check_query(query, source, others=others))
        if source.is_empty:
            outcome.reject("", "empty_document", 0)
        else:
            self._ask_until_done(source, outcome)
            outcome.draw_on_reserve()
            self._record(outcome)
        return dspy.Prediction(
            queries=outcome.queries,
            attempts=outcome.attempts,
            shown=outcome.shown,
            rejected=outcome.rejected,
            shortfall=outcome.missing,
        )

    def _ask_until_done(self, source: Document, outcome: Outcome) -> None:
        lm = current_lm(self.generate)
        completes = isinstance(self._adapter(lm), CompletionAdapter)
        per_ask = 1 if completes or self.one_query_a_turn else outcome.wanted
        turns = self._turns(source, per_ask)
        if not turns:
            outcome.reject("", self.nothing_to_ask, 0)
            return
        openings = _openings_for(source, lm)
        asks = 0
        for attempt in range(1, self.attempts + 1):
            for _ in range(outcome.missing if per_ask == 1 else min(1, outcome.missing)):
                turn = turns[asks % len(turns)]
                opening = turn.opening
                if not opening and openings:
                    opening = openings[asks % len(openings)]
                elif not opening and _SAMPLE_FROM_ATTEMPT <= attempt == self.attempts and not outcome.reserve:
                    opening = self.last_opening
                sampled = attempt >= _SAMPLE_FROM_ATTEMPT or asks >= len(turns)
                inputs = {**prompt_inputs(turn.shown, min(per_ask, outcome.missing), turn.key_terms), **turn.extra}
                adapter, config = self._adapter(lm, opening=opening), _sampling(lm, asks) if sampled else {}
                texts, none = self._ask(lm, adapter, inputs, config)
                if none is not None:
                    outcome.reject(*none, attempt)
                naming = turn.foremost if attempt < self.attempts else frozenset()
                outcome.take(inputs, texts, attempt, naming=naming, check=turn.check)
                if none is not None and none[1] == "no_reply":
                    return  # the attempts of the call are used up: more for this document would be a dead server's
                asks += 1

    def _adapter(self, lm: dspy.BaseLM, *, opening: str = "") -> dspy.Adapter:
        adapter = adapter_for(lm, self.prompt_form, opening=opening)
        return adapter if isinstance(adapter, CompletionAdapter) else LenientChatAdapter()

    def _turns(self, source: Document, per_ask: int) -> list[Turn]:
        """What to ask about a document, in order; kinds of generators differ in this."""
        foremost = self._foremost(source) if per_ask == 1 else frozenset()
        return [Turn(source, window, foremost) for window in self._windows(source, per_ask)]

    def _foremost(self, source: Document) -> frozenset[str]:
        return stems_of(" ".join(self.key_terms.of(source, _FOREMOST_TERMS))) if len(self.key_terms) else frozenset()

    def _windows(self, source: Document, per_ask: int) -> list[list[str]]:
        size = terms_per_ask(per_ask)
        terms = self.key_terms.of(source, size * _MAX_WINDOWS)
        windows = [terms[start : start + size] for start in range(0, len(terms), size)]
        if len(windows) > 1 and len(windows[-1]) < size:
            windows.pop()
        return windows or [[]]

    def _ask(
        self, lm: dspy.BaseLM, adapter: dspy.Adapter, inputs: dict[str, Any], config: dict[str, Any]
    ) -> tuple[list[str], tuple[str, str] | None]:
        """One ask: the candidates; or the reply as it came, or why none came, and the reason for having none."""
        try:
            # DSPy would trace every ask; _record writes the ones to learn from.
            with own_errors(lm), dspy.context(adapter=adapter, trace=None):
                reply = self.generate(**inputs, config=config)
        except AdapterParseError as error:
            return [], (str(error.lm_response), "unreadable_reply")
        except NoReplyError as error:
            return [], (str(error), "no_reply")
        except (ReplyError, RecursionError) as error:  # a reply nested beyond reading is just as unreadable
            if "temperature" in config and refuses_temperature(error):
                config = {name: value for name, value in config.items() if name != "temperature"}
                return self._ask(lm, adapter, inputs, config)
            return [], (str(error), "unreadable_reply")
        if not isinstance(reply.queries, list) or not reply.queries:
            return [], (str(reply.queries), "unreadable_reply")
        return [query.text for query in reply.queries], None

    def _record(self, outcome: Outcome) -> None:
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
        that a tuned generator is given, or that a constraint brings, stands behind it, after a space.

        Raises:
            ConfigurationError: the model is asked in chat turns, the document is empty, or it gives nothing to ask.
        """
        check_document(source)
        adapter = self._adapter(lm)
        if not isinstance(adapter, CompletionAdapter):
            raise ConfigurationError(
                f"the language model '{lm.model}' is asked in chat turns and has no completion prompt",
                remedy="Name a local model: embedded, gguf:PATH or the directory of a tuned generator",
            )
        if source.is_empty:
            raise ConfigurationError("the document is empty, so nothing is asked about it", place=source.id)
        turns = self._turns(source, 1)
        if not turns:
            raise ConfigurationError(f"nothing is asked about the document ({self.nothing_to_ask})", place=source.id)
        turn = turns[0]
        inputs = {**prompt_inputs(turn.shown, 1, turn.key_terms), **turn.extra}
        return adapter.render(self.generate.signature, self.generate.demos, inputs)

    @classmethod
    def from_program(cls, program: QueryGenerator) -> Self:
        """A generator of this kind with what one of another kind has learnt: prompt, demonstrations, key terms, model.

        An instruction that was never compiled gives way to this kind's own. One that is of this kind is given back.

        Raises:
            ConfigurationError: the program writes no queries.
        """
        check_generator(program)
        if type(program) is cls:
            return program
        made = cls(
            key_terms=program.key_terms,
            prompt_form=program.prompt_form,
            attempts=program.attempts,
            last_opening=program.last_opening,
        )
        learnt = program.generate
        if learnt.signature.instructions != program.signature.instructions:
            made.generate.signature = made.generate.signature.with_instructions(learnt.signature.instructions)
        fields = made.generate.signature.fields
        made.generate.demos = [
            dspy.Example(**{name: demo[name] for name in fields if name in demo}) for demo in learnt.demos
        ]
        made.generate.lm = learnt.lm
        if hasattr(program, "card"):
            made.card = program.card
        return made

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


def check_generator(program: Any, *, place: str = "program") -> None:
    """Refuse what writes no queries.

    Raises:
        ConfigurationError: it is no :class:`QueryGenerator`.
    """
    if not isinstance(program, QueryGenerator):
        raise ConfigurationError(
            f"{kind_of(program)} writes no queries", place=place, remedy="Pass a QueryGenerator, or one of its kinds"
        )


def _openings_for(source: Document, lm: dspy.BaseLM) -> tuple[str, ...]:
    """The model's openings, beginning with this document's: over many documents each is first equally often."""
    openings: tuple[str, ...] = trait_of(lm, "openings")
    if not openings:
        return ()
    first = int(digest(source.id, source.text)[:8], 16) % len(openings)
    return openings[first:] + openings[:first]


def _sampling(lm: dspy.BaseLM, ask: int) -> dict[str, Any]:
    temperature = max(_SAMPLING_TEMPERATURE, lm.kwargs.get("temperature") or 0.0)
    return {"temperature": temperature, "rollout_id": _ROLLOUTS_APART * (lm.kwargs.get("rollout_id") or 0) + ask}
