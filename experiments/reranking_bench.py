"""One judged collection for re-ranking: what is ranked, with which programs, and what it came to."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import dspy

from inpars_plus.corpora import Query
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.leaks import leaked
from inpars_plus.experiments.reranking_forms import (
    EXPANSIONS,
    FIRST_STAGE,
    LIKELIHOOD,
    RERANKERS,
    CountingScorer,
    program_of,
)
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, ConfigurationError, LmUsage, digest
from inpars_plus.foundation.progress import Bar
from inpars_plus.lms import load_scorer, usage_of
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.optimizers.prompts.request_watch import RequestWatch
from inpars_plus.optimizers.prompts.reranking import JudgedList, compile_reranker, judged_lists
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, read_training_queries
from inpars_plus.programs import (
    ExpandingRetriever,
    LikelihoodReranker,
    LmReranker,
    Scores,
    load_program,
    save_program,
)
from inpars_plus.programs.rerank_reports import depth_within
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import read_run, write_run

if TYPE_CHECKING:
    from inpars_plus.experiments.measure_reranking import MeasureSettings

__all__ = ["RerankingBench"]

Item = TypeVar("Item")

_METHOD = 2
"""How replies are asked for and read: what was compiled or ranked by another number is done again,
but for likelihood, which reads no reply."""
_SHOWN = 100
"""Documents of a ranking that are kept."""


class RerankingBench:
    """The steps for one collection.

    Args:
        settings: of the job.
        bench: corpus, model and first stage.
        judged: the collection.
        steps: of the run.
        scorer: of likelihood; ``None`` for that of the model.
    """

    def __init__(
        self,
        settings: MeasureSettings,
        bench: Workbench,
        judged: JudgedBench,
        steps: Steps,
        scorer: CountingScorer | None = None,
    ) -> None:
        self.settings, self.bench, self.judged, self.steps = settings, bench, judged, steps
        self._scorer = scorer

    @cached_property
    def scorer(self) -> CountingScorer:
        """Of likelihood.

        Raises:
            ConfigurationError: the model is not a local one in GGUF form.
        """
        return self._scorer or load_scorer(self.settings.lm)

    @cached_property
    def queries(self) -> list[Query]:
        """The judged queries that figures are reported on, drawn by the seed, by id.

        Raises:
            ConfigurationError: none has an answer.
        """
        answered = {one.query_id for one in self.judged.judged.judgments if one.grade > 0}
        known = sorted((one for one in self.judged.judged.queries if one.id in answered), key=lambda one: one.id)
        if not known:
            raise ConfigurationError(
                "none of the judged queries has a document with a grade above 0, so no order is better than another",
                place=str(self.judged.directory / "qrels"),
                remedy="Give judgments with answers",
            )
        wanted = self.settings.queries
        if wanted is None or wanted >= len(known):
            return known
        return sorted(random.Random(self.settings.seed).sample(known, wanted), key=lambda one: one.id)

    @cached_property
    def drawn(self) -> list[TrainingQuery]:
        """Queries with known answers, none of which figures are reported on; more than are wanted."""
        # Three times as many, because not every answer is among the first passages.
        count = 3 * (self.settings.train_queries + self.settings.validation_queries)
        return self.judged.gold(count) if self.settings.synthetic is None else self._synthetic(count)

    @cached_property
    def lists(self) -> tuple[list[JudgedList], list[JudgedList]]:
        """Lists to learn from and lists to choose by.

        Raises:
            ConfigurationError: there are too few.
        """
        settings = self.settings
        found = judged_lists(self.drawn, self.bench.retriever, self.judged.by_id, depth=settings.validation_passages)
        return self._parted(found, f"with an answer among the first {settings.validation_passages} documents")

    def check_lists(self) -> None:
        """Refuse what is too little to compile on, before any call is paid for; a step, so that it searches once.

        Raises:
            ConfigurationError: there are too few lists.
        """
        self.steps.do(
            "lists to compile on", {**self._inputs(), **self._lists_inputs()}, lambda: [*map(len, self.lists)]
        )

    def check_drawn(self) -> None:
        """Refuse what is certainly too little to compile on, without a search.

        Raises:
            ConfigurationError: there are too few queries with known answers.
        """
        self._parted(self.drawn, "with a known answer")

    def _parted(self, found: Sequence[Item], what: str) -> tuple[list[Item], list[Item]]:
        settings = self.settings
        wanted = settings.train_queries + settings.validation_queries
        found = found[:wanted]
        count = round(len(found) * settings.train_queries / wanted)
        if not 0 < count < len(found):
            raise ConfigurationError(
                f"there are {len(found)} queries {what}, which is too few to compile on",
                place="--corpus" if settings.synthetic is None else "--synthetic",
                remedy="Give a collection with qrels/train.tsv, --synthetic DIR, or --no-compiled",
            )
        return [*found[:count]], [*found[count:]]

    def _synthetic(self, count: int) -> list[TrainingQuery]:
        eligible = {document.id for document in self.judged.eligible}
        given = read_training_queries(self.settings.synthetic or self.judged.directory, self.judged.documents)
        reported = leaked(given, self.judged.reported)
        known = [one for one in given if one.id not in reported and eligible.issuperset(one.document_ids)]
        return random.Random(self.settings.seed).sample(known, min(count, len(known)))

    def first_stage(self) -> dict[str, Ranking]:
        """What is re-ranked: query id → ranking."""

        def work() -> dict[str, Any]:
            started = time.monotonic()
            found = self.bench.retriever.search([one.text for one in self.queries], _SHOWN)
            if not any(map(len, found)):
                raise ConfigurationError(
                    f"search finds nothing for any of the {len(found)} judged queries, so there is nothing to re-rank",
                    place="--retriever",
                )
            self._write(FIRST_STAGE, found)
            return {"seconds": time.monotonic() - started}

        self.steps.do(FIRST_STAGE, self._inputs(), work, files=[self._file(FIRST_STAGE)])
        return self.rankings(FIRST_STAGE)

    def compile(self, form: str) -> dict[str, Any]:
        """Give a form demonstrations, if they make it better; the program lies in ``work/``."""
        inputs: dict[str, JSON] = {
            **self._inputs(),
            "program": self._program_inputs(form),
            **self._lists_inputs(),
        }

        def work() -> dict[str, Any]:
            train, validation = self.lists
            student = program_of(form, self.settings)
            found = compile_reranker(
                student,
                train=train,
                validation=validation,
                lm=self.bench.lm,
                seed=self.settings.seed,
                threads=self.settings.threads,
            )
            told = {
                "origin": found.origin,
                "trials": dict(found.trials),
                "lists": found.lists,
                "calls": found.calls,
                "seconds": round(found.seconds, 1),
            }
            save_program(found.program, self.steps.directory / f"work/{form}.json", found.card(self.judged.name))
            return told

        result: dict[str, Any] = self.steps.do(f"compile {form}", inputs, work, files=[f"work/{form}.json"])
        return result

    def measure(self, form: str, *, compiled: bool) -> dict[str, Any]:
        """Rank the judged queries with a form; what it came to.

        Raises:
            DeadModelError: requests failed. The figures would be those of the failures, so nothing is recorded; the
                replies that came are kept.
        """
        name = f"{form} compiled" if compiled else form
        program: Any
        if form in EXPANSIONS:
            program = EXPANSIONS[form]()
        elif form == LIKELIHOOD:
            program = LikelihoodReranker(self.scorer)
        else:
            program = load_program(self.steps.directory / f"work/{form}.json") if compiled else None
            program = program or program_of(form, self.settings)
        inputs: dict[str, JSON] = {
            **self._inputs(),
            "program": self._program_inputs(form),
            "compiled": program.card.digest if compiled else None,
            "depth": self.settings.depth,
            "calls": self.settings.calls,
        }
        found = self.first_stage()

        def work() -> dict[str, Any]:
            lm, texts = self.bench.lm, [one.text for one in self.queries]
            total = len(texts) if form in EXPANSIONS else self._planned(program, found)
            progress = Bar(f"Ranking with {name}, calls", total)
            watch = RequestWatch(model=str(lm.model), on_call=progress.update)

            def asked(**inputs: Any) -> Any:
                if form != LIKELIHOOD:
                    return watch.call(program, inputs)
                answer = program(**inputs)
                progress.update(answer.report.calls)
                return answer

            retriever = self._retriever(form, asked, found)
            before, started = self._usage(form), time.monotonic()
            reused, earlier = lm.engine.reused, lm.engine.reused_earlier
            with (
                contextlib.closing(progress),
                watch.to_the_end(),
                quiet_logs(),  # DSPy warns of every reply that was cut; those that cannot be read are counted
                dspy.context(lm=lm, callbacks=[*dspy.settings.callbacks, watch], disable_history=True),
            ):
                rankings = retriever.search(texts, _SHOWN)
            seconds = time.monotonic() - started
            self._write(name, rankings)
            return {
                "report": retriever.report.model_dump(),
                **_cost(self._usage(form), before, seconds),
                "replayed_calls": lm.engine.reused - reused,
                "earlier_calls": lm.engine.reused_earlier - earlier,
            }

        result: dict[str, Any] = self.steps.do(f"rank with {name}", inputs, work, files=[self._file(name)])
        return result

    def _planned(self, program: Any, found: Mapping[str, Ranking]) -> int:
        depths = [min(self.settings.depth, len(found[one.id].ids)) for one in self.queries]
        return sum(program.calls_for(depth_within(program.calls_for, one, self.settings.calls)) for one in depths)

    def _usage(self, form: str) -> LmUsage:
        return self.scorer.usage if form == LIKELIHOOD else usage_of(self.bench.lm)

    def _retriever(self, form: str, program: Any, found: Mapping[str, Ranking]) -> ExpandingRetriever | LmReranker:
        settings = self.settings
        if form in EXPANSIONS:
            return ExpandingRetriever(program, self.bench.retriever, threads=settings.threads)
        first = _Found({one.text: found[one.id] for one in self.queries})
        return LmReranker(
            program, first, self.judged.by_id, depth=settings.depth, calls=settings.calls, threads=settings.threads
        )

    def save(self, form: str, before: float, after: float) -> str:
        """Write the compiled program with its scores on the judged queries; gives the file's name."""
        program: Any = load_program(self.steps.directory / f"work/{form}.json")
        metric = program.card.metric.model_copy(update={"test": Scores(before=before, after=after)})
        card = program.card.model_copy(update={"metric": metric})
        save_program(program, self.steps.directory / f"compiled/{form}.json", card)
        return f"compiled/{form}.json"

    def rankings(self, name: str) -> dict[str, Ranking]:
        """Query id → ranking of a system that was measured."""
        known = read_run(self.steps.directory / self._file(name))
        return {one.id: known.get(one.id, Ranking((), ())) for one in self.queries}

    def _program_inputs(self, form: str) -> dict[str, JSON]:
        shape = program_of(form, self.settings).dump_settings() if form in RERANKERS else {}
        address = self.bench.address(self.settings.lm)
        asked = {"lm": str(self.bench.lm.model), "api_base": address, **self.bench.asked_with}
        method = {} if form == LIKELIHOOD else {"method": _METHOD}
        return {"form": form, **method, **asked, **shape}

    def _lists_inputs(self) -> dict[str, JSON]:
        settings = self.settings
        return {
            "drawn": digest([[one.text, *one.document_ids] for one in self.drawn]),
            "lists": [settings.train_queries, settings.validation_queries, settings.validation_passages],
        }

    def _inputs(self) -> dict[str, JSON]:
        return {
            "corpus": self.judged.corpus.digest(),
            "judged": self.judged.judged.digest,
            "queries": digest([[one.id, one.text] for one in self.queries]),
            "retriever": self.bench.retriever_key,
            "seed": self.settings.seed,
        }

    @staticmethod
    def _file(name: str) -> str:
        return f"runs/{name.replace(' ', '-')}.trec"

    def _write(self, name: str, rankings: Sequence[Ranking]) -> None:
        path = self.steps.directory / self._file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        found = dict(zip([one.id for one in self.queries], rankings, strict=True))
        write_run(path, found, name=name.replace(" ", "-"))


class _Found:
    """A first stage that has searched already."""

    def __init__(self, rankings: Mapping[str, Ranking]) -> None:
        self._rankings = rankings

    def search(self, queries: Sequence[str], k: int) -> list[Ranking]:
        cut = [self._rankings[query] for query in queries]
        return [Ranking(one.ids[:k], one.scores[:k]) for one in cut]


def _cost(after: LmUsage, before: LmUsage, seconds: float) -> dict[str, Any]:
    return {
        "paid_calls": after.calls - before.calls,
        "prompt_tokens": after.prompt_tokens - before.prompt_tokens,
        "completion_tokens": after.completion_tokens - before.completion_tokens,
        "seconds": round(seconds, 2),
    }
