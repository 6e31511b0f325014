"""What the harness costs on top of the model: the time of ``evaluate_program`` beside that of the bare engine.

    python -m inpars_plus.experiments.benchmarks.overhead

The same prompts go once through program, DSPy, adapter, LM, engine and reply store, and once as token ids to the
engine, with the same number of threads and of tokens written. Each side has an engine of its own with its own prefix
cache, and the two change sides from round to round, so that neither gains from what the other has read.

The difference of two times of seconds is small beside what a busy machine adds to either. So the harness is also timed
with a model that answers at once, and that time a document is set beside the engine's.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Request

from inpars_plus.corpora import Document, open_corpus, sample
from inpars_plus.experiments.benchmarks.common import Benchmark, Row, Stopwatch, main_of, median_ratio, timed
from inpars_plus.foundation import LmUsage
from inpars_plus.lms import Draw, EmbeddedEngine, EngineLM, ReplyStore, adapter_for, load_lm, scripted_lm
from inpars_plus.lms.embedded import local_model
from inpars_plus.lms.pipeline import Pipeline
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.optimizers.prompts.evaluation import evaluate_program
from inpars_plus.programs import KeyTerms, QueryGenerator, example_of

__all__ = ["measure"]

_THREADS = 16
_DOCUMENTS = 64
_ROUNDS = 4
_DEMONSTRATIONS = 3
_NEW_TOKENS = 12
"""Written for each document on both sides, about as many as a query has."""
_ANSWERED_AT_ONCE = 200

_FORCED: dict[str, Any] = {
    "max_new_tokens": _NEW_TOKENS,
    "min_new_tokens": _NEW_TOKENS,
    "ignore_eos": True,
    "do_sample": False,
}


class _OnPipeline(EmbeddedEngine):
    """The embedded engine on a given pipeline instead of the one that the process shares, never done too early."""

    def __init__(self, pipeline: Pipeline, store: ReplyStore) -> None:
        model = local_model("embedded")
        super().__init__(name=model.name, path=model.path, store=store)
        self._own = pipeline

    @property
    def pipeline(self) -> Pipeline:
        return self._own

    def _settings(self, request: Request, draw: Draw) -> dict[str, Any]:
        del request, draw
        return _FORCED


class _NoMetric:
    """Judges nothing: searching and scoring are no overhead of generating."""

    def __call__(self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> float:
        return 0.0

    def judge(self, pairs: Sequence[tuple[Document, str | None]]) -> list[Judged]:
        return [Judged(query, False, None, 0.0, None, 0.0, None) for _, query in pairs]


def measure(quick: bool = False) -> Benchmark:
    """Generate one query a document with the harness and with the bare engine, in turn."""
    count, rounds = (3, 1) if quick else (_DOCUMENTS, _ROUNDS)
    documents = sample(open_corpus(["python-docs"]).documents(), _DEMONSTRATIONS + count * (rounds + 1), 0)
    key_terms = KeyTerms.fit(documents)
    shown, documents = documents[:_DEMONSTRATIONS], documents[_DEMONSTRATIONS:]
    program = _compiled(key_terms, shown)
    path = local_model("embedded").path
    pipelines = [Pipeline(path), Pipeline(path)]
    harness, bare, usage, bare_tokens = [], [], LmUsage(), 0
    for number in range(rounds + 1):
        chosen = documents[number * count : (number + 1) * count]
        through, alone = pipelines if number % 2 else pipelines[::-1]
        prompts = [_prompt(program, document) for document in chosen]
        if number % 4 < 2:
            by_harness, used = _by_harness(program, chosen, through)
            by_engine, tokens = _bare(alone, prompts)
        else:
            by_engine, tokens = _bare(alone, prompts)
            by_harness, used = _by_harness(program, chosen, through)
        if number == 0:
            continue  # both have now read the demonstrations
        harness.append(by_harness)
        bare.append(by_engine)
        usage += used
        bare_tokens += tokens
    ratios = [one.seconds / other.seconds for one, other in zip(harness, bare, strict=True)]
    alone_seconds = _answered_at_once(program, documents[: count if quick else _ANSWERED_AT_ONCE])
    return Benchmark(
        name="overhead",
        compared="Wall-clock time of evaluate_program without its metric (program, DSPy, adapter, LM, engine, reply "
        f"store on disk; one ask a document, {_DEMONSTRATIONS} demonstrations) and of the same prompts as token ids to "
        f"the same engine, {_THREADS} threads, {_NEW_TOKENS} tokens for each of {count} fresh documents a round, "
        f"the first alone on both sides; the median of {rounds} rounds, in turn.",
        rows=[
            Row(what="harness / raw engine", value=statistics.median(ratios), unit="of", at_most=1.05),
            Row(what="the same in processor time", value=median_ratio(*_cpu(harness, bare)), unit="of"),
            Row(
                what="(raw engine + harness with a model that answers at once) / raw engine",
                value=1.0 + alone_seconds * count / min(watch.seconds for watch in bare),
                unit="of",
            ),
        ],
        figures={
            "documents_a_round": count,
            "threads": _THREADS,
            "harness_seconds": [watch.seconds for watch in harness],
            "engine_seconds": [watch.seconds for watch in bare],
            "ratios": ratios,
            "quartiles": statistics.quantiles(ratios) if len(ratios) > 1 else ratios,
            "harness_processor_seconds": [watch.processor_seconds for watch in harness],
            "engine_processor_seconds": [watch.processor_seconds for watch in bare],
            "harness_alone_seconds_a_document": alone_seconds,
            "harness_tokens": usage.completion_tokens,
            "engine_tokens": bare_tokens,
        },
        lm=usage,
    )


def _compiled(key_terms: KeyTerms, documents: Sequence[Document]) -> QueryGenerator:
    """A program as compiling scores it: one ask, and demonstrations that all prompts share."""
    program = QueryGenerator(key_terms=key_terms, attempts=1)
    program.generate.demos = [
        example_of(
            document,
            number_of_queries=1,
            key_terms=key_terms,
            queries=[f"how to use {document.title}"],
        )
        for document in documents
    ]
    return program


def _prompt(program: QueryGenerator, document: Document) -> str:
    """The prompt that the program sends for a document."""
    lm = load_lm("embedded")  # decides the adapter
    inputs = example_of(document, number_of_queries=1, key_terms=program.key_terms)
    prompt: str = adapter_for(lm).render(program.generate.signature, program.generate.demos, inputs)
    return prompt


def _by_harness(
    program: QueryGenerator, documents: Sequence[Document], pipeline: Pipeline
) -> tuple[Stopwatch, LmUsage]:
    """How long it took, and what was used."""
    examples = [example_of(document, number_of_queries=1, key_terms=program.key_terms) for document in documents]
    with tempfile.TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies.sqlite") as store:
        engine = _OnPipeline(pipeline, store)
        lm: dspy.LM = EngineLM(engine, temperature=0.0, max_tokens=_NEW_TOKENS, num_retries=0)
        with timed() as watch:
            evaluate_program(program, examples, _NoMetric(), lm, _THREADS)
        return watch, engine.usage


def _cpu(harness: Sequence[Stopwatch], bare: Sequence[Stopwatch]) -> tuple[list[float], list[float]]:
    return [watch.processor_seconds for watch in harness], [watch.processor_seconds for watch in bare]


def _answered_at_once(program: QueryGenerator, documents: Sequence[Document]) -> float:
    """Seconds a document of the harness alone; the best of three, the store on disk included."""
    examples = [example_of(document, number_of_queries=1, key_terms=program.key_terms) for document in documents]
    seconds = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies.sqlite") as store:
            lm = scripted_lm(lambda _: "how to open a file for reading", store=store)
            with timed() as watch:
                evaluate_program(program, examples, _NoMetric(), lm, _THREADS)
        seconds.append(watch.seconds / len(documents))
    return min(seconds)


def _bare(pipeline: Pipeline, prompts: Sequence[str]) -> tuple[Stopwatch, int]:
    """How long it took, and tokens written."""
    tokens = [pipeline.encode(prompt) for prompt in prompts]

    def one(prompt: list[int]) -> int:
        config = pipeline.config(**_FORCED)
        return len(pipeline.submit(prompt, config).result().tokens)

    with timed() as watch, ThreadPoolExecutor(_THREADS) as pool:
        written = one(tokens[0])  # alone, as the harness does, which so has the demonstrations read once
        written += sum(pool.map(one, tokens[1:]))
    return watch, written


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
