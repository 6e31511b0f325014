"""What jobs work with: corpus, language models, search engine and metric, each made when it is first needed.

A job that finds all its steps done makes none of them, so running a finished command again takes seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import dspy

from inpars_plus.corpora import Corpus, Document, open_corpus
from inpars_plus.experiments.settings import CorpusSettings, JobSettings, ModelSettings, RetrieverSettings
from inpars_plus.foundation import JSON, LmUsage, Run, Summary, peak_memory_mb, redact, register_address
from inpars_plus.lms import EngineLM, ReplyStore, SpendingLimits, is_local, load_lm, load_scorer
from inpars_plus.lms.hosted import server_address
from inpars_plus.lms.scoring import Scorer
from inpars_plus.metrics.query_metric import Judged, QueryMetric
from inpars_plus.retrieval import Retriever, build_retriever
from inpars_plus.retrieval.external import retriever_key

__all__ = ["BenchSettings", "MakeLm", "Steps", "Workbench", "corpus_of", "judged_row", "summary_of"]

MakeLm = Callable[[str, ReplyStore | None], dspy.LM]
"""Makes a language model of a name that keeps its replies in a store; for engines that have no name."""


class BenchSettings(JobSettings, RetrieverSettings, ModelSettings):
    """The settings that a workbench is made from."""


_WRITTEN_TOKENS = 1024
"""A model that writes instructions, or reads reports, needs more room than one that writes queries."""


class _WithPromptModel(Protocol):
    prompt_lm: str | None
    prompt_api_base: str | None


class Steps:
    """The steps of a run, with the time and memory that they took when they were done.

    Args:
        run: a run directory that is held.
    """

    def __init__(self, run: Run) -> None:
        self.directory = run.directory
        self.peak_memory_mb = 0
        self._run = run
        self._seconds: dict[str, float] = {}
        self._inner: list[float] = []
        """For each step under way, how long steps inside it took."""

    @property
    def seconds(self) -> float:
        """Of all steps, each once: also one that is asked for again, and one inside another."""
        return sum(self._seconds.values())

    def do(
        self,
        name: str,
        inputs: Mapping[str, JSON],
        work: Callable[[], Any],
        *,
        files: Sequence[str | PathLike[str]] = (),
    ) -> Any:
        """As :meth:`inpars_plus.foundation.runs.Run.step`; time and memory of a step done before count too."""

        def timed() -> dict[str, Any]:
            started = time.monotonic()
            self._inner.append(0.0)
            try:
                value = work()
            finally:
                inner, elapsed = self._inner.pop(), time.monotonic() - started
                if self._inner:
                    self._inner[-1] += elapsed
            return {
                "value": value,
                "seconds": round(elapsed - inner, 2),
                "peak_memory_mb": peak_memory_mb(),
            }

        result = self._run.step(name, inputs, timed, files=files)
        self._seconds[name] = result["seconds"]
        self.peak_memory_mb = max(self.peak_memory_mb, result["peak_memory_mb"])
        return result["value"]


def summary_of(*runs: Steps, **fields: Any) -> Summary:
    """A summary with the time and memory of all steps, also of those that an earlier command did.

    Args:
        runs: their steps.
        fields: of the summary, except seconds and memory.
    """
    return Summary(
        seconds=round(sum(steps.seconds for steps in runs), 1),
        peak_memory_mb=max((steps.peak_memory_mb for steps in runs), default=0),
        **fields,
    )


class Workbench:
    """The parts of a job.

    Args:
        settings: of the job.
        directory: where finished replies are kept; ``None`` keeps none, for a dry run.
        make_lm: makes the language models instead of :func:`inpars_plus.lms.load_lm`.
        scorer: scores how natural queries are, instead of the embedded model.
        replies: file of the store of replies, for runs that share it; the default is ``replies.sqlite`` in the
            directory.
        spent: what other runs under the same caps came to. It is charged to every model, so these runs have one.
    """

    def __init__(
        self,
        settings: BenchSettings,
        *,
        directory: Path | None,
        make_lm: MakeLm | None = None,
        scorer: Scorer | None = None,
        replies: Path | None = None,
        spent: LmUsage | None = None,
    ) -> None:
        self.settings = settings
        self._spent = spent or LmUsage()
        self._replies = replies
        self._directory = directory
        self._make_lm = make_lm
        self._scorer = scorer
        self._models: list[EngineLM] = []
        for address in (settings.api_base, getattr(settings, "prompt_api_base", None)):
            register_address(address)

    @cached_property
    def corpus(self) -> Corpus:
        """All documents, checked."""
        return corpus_of(self.settings)

    @cached_property
    def store(self) -> ReplyStore | None:
        """Finished replies of this run."""
        if self._directory is None:
            return None
        return ReplyStore(self._replies or self._directory / "replies.sqlite")

    @cached_property
    def lm(self) -> dspy.LM:
        """Writes queries."""
        return self.model(self.settings.lm, self.settings.api_base)

    @cached_property
    def retriever(self) -> Retriever:
        """Searches the whole corpus."""
        return build_retriever(self.settings.retriever, self.corpus)

    @cached_property
    def retriever_key(self) -> str:
        """What results of a search depend on beside the corpus, for the inputs of steps."""
        return retriever_key(self.settings.retriever)

    @cached_property
    def metric(self) -> QueryMetric:
        """Judges queries."""
        retriever = self.retriever
        single = self.settings.single_stream
        return QueryMetric(retriever, self._scorer or load_scorer(single_stream=single), one_at_a_time=single)

    def prompt_lm(self, settings: _WithPromptModel) -> dspy.LM | None:
        """Writes instructions; ``None`` for the pool."""
        if settings.prompt_lm is None:
            return None
        return self.second_model(settings.prompt_lm, settings.prompt_api_base)

    def second_model(self, name: str, api_base: str | None = None) -> dspy.LM:
        """A model beside the one that writes queries, which writes longer texts.

        Its replies have as many tokens as those of such a model have where nothing is said, 1,024 at least, and more
        where ``--max-reply-tokens`` are more: what is meant to bound queries does not cut instructions, or thoughts.

        Args:
            name: see :func:`inpars_plus.lms.load_lm`.
            api_base: address of its server. Without one it has that of ``--lm`` where both are of one provider: another
                provider's key is nothing for that server.
        """
        lm = self.model(name, api_base or self._shared_address(name), max_tokens=None)
        if self._make_lm is None:
            lm.kwargs["max_tokens"] = max(
                _WRITTEN_TOKENS, self.settings.max_reply_tokens or 0, lm.kwargs["max_tokens"] or 0
            )
        return lm

    def _shared_address(self, name: str) -> str | None:
        given = self.settings
        return given.api_base if not is_local(name) and _provider(name) == _provider(given.lm) else None

    @property
    def asked_with(self) -> dict[str, JSON]:
        """What replies depend on beside model and address, for the inputs of steps; empty where nothing was set."""
        given = self.settings
        found: dict[str, JSON] = {} if given.max_reply_tokens is None else {"max_reply_tokens": given.max_reply_tokens}
        # Only where it is asked for, so that finished steps of runs that were not asked for it stay finished.
        return found | ({"single_stream": True} if given.single_stream else {})

    def address(self, name: str) -> str | None:
        """Where a model is asked, as a record or the inputs of a step say it: one name may be served by several.

        Args:
            name: of the model.
        """
        return None if is_local(name) else server_address(name, self._shared_address(name))

    def usage(self) -> LmUsage:
        """What all replies of the run came to, also those of calls of the command before this one."""
        return LmUsage() if self.store is None else self.store.usage()

    def redacted(self) -> dict[str, Any]:
        """The settings without secrets, for files."""
        settings: dict[str, Any] = redact(self.settings.model_dump(mode="json"))
        return settings

    def close(self) -> None:
        """End what is asked, keep what comes back, and close the store."""
        # After Ctrl-C in an optimizer, DSPy's threads go on: with what they pay for, and nobody would keep it.
        for lm in self._models:
            lm.engine.life.stop()
        for lm in self._models:
            lm.engine.life.settle()
        if self.__dict__.get("store") is not None:
            self.__dict__["store"].close()

    def model(self, name: str, api_base: str | None, **settings: Any) -> dspy.LM:
        """A language model that keeps to the limits of the settings and keeps its replies in the store.

        Args:
            name: see :func:`inpars_plus.lms.load_lm`.
            api_base: address of its server.
            settings: further ones of ``load_lm``.
        """
        if self._make_lm is not None:
            return self._make_lm(name, self.store)
        given = self.settings
        limits = SpendingLimits(
            max_tokens=given.max_tokens_spent,
            max_cost_usd=given.max_cost,
            requests_per_minute=given.requests_per_minute,
        )
        lm = load_lm(
            name,
            limits=None if limits == SpendingLimits() else limits.model_copy(update={"spent": self._spent}),
            store=self.store,
            api_base=api_base,
            seed=given.seed,
            single_stream=given.single_stream,
            **{"max_tokens": given.max_reply_tokens, **settings},
        )
        self._models.append(lm)
        return lm


def _provider(name: str) -> str:
    return name.partition("/")[0]


def corpus_of(settings: CorpusSettings) -> Corpus:
    """The corpus that settings name, checked."""
    return open_corpus(
        settings.corpus,
        fields=settings.field_map,
        max_characters=settings.max_characters,
        language=settings.language,
        encoding=settings.encoding,
    )


def judged_row(document: Document, judged: Judged) -> dict[str, JSON]:
    """A judged query as a line of a file."""
    return {
        "document_id": document.id,
        "query": judged.query,
        "accepted": judged.accepted,
        "reason": judged.reason,
        "score": round(judged.score, 6),
        "rank": judged.rank,
        "copy4": round(judged.copy4, 6),
        "naturalness": None if judged.naturalness is None else round(judged.naturalness, 6),
    }
