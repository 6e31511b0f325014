"""One judged collection for experiments on rankers: who searches it untrained, and what people's judgments say.

Settings are chosen on one part of the judged queries and figures are reported on another: ``train.tsv`` or ``dev.tsv``
and ``test.tsv`` where a collection has two, else two halves of ``test.tsv`` by a hash of the query's id.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from inpars_plus.corpora import Document, open_corpus, split_documents
from inpars_plus.experiments.candidates import candidate_queries
from inpars_plus.experiments.choose_ranker import ChooseSettings, choose_ranker
from inpars_plus.experiments.judged import Collection, read_collection
from inpars_plus.experiments.leaks import as_seen, leaked, seen_queries
from inpars_plus.experiments.settings import default_settings, make_settings
from inpars_plus.experiments.train_ranker import METHOD, TrainSettings, train_ranker
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import JSON, default_cache_directory, digest, say
from inpars_plus.metrics.cheats import cheat_queries
from inpars_plus.metrics.evaluation import evaluate_systems
from inpars_plus.optimizers.rankers.training_queries import (
    TrainingQuery,
    held_out_queries,
    queries_digest,
    read_training_queries,
    write_training_queries,
)
from inpars_plus.programs import KeyTerms
from inpars_plus.programs.outcomes import NO_QUERY
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.protocol import Retriever
from inpars_plus.retrieval.rankers import (
    RankerSpec,
    SharedIndexes,
    hybrid_spec,
    load_ranker,
    plain_rankers,
)
from inpars_plus.retrieval.smoothing import METHOD as SMOOTHING

__all__ = ["MEASURE", "JudgedBench", "PerQuery", "training_method"]

MEASURE = "nDCG@10"

PerQuery = dict[str, dict[str, float]]
"""System → judged query → its value."""

_DEPTH = 11  # one more than is looked at: the document with the query's own id is no result


class JudgedBench:
    """A judged collection.

    Args:
        name: of the collection.
        directory: in BEIR's layout.
        steps: of a run directory of this collection alone.
        seed: of what is drawn.
    """

    def __init__(self, name: str, directory: Path, *, steps: Steps, seed: int) -> None:
        self.name, self.directory, self.steps, self.seed = name, directory, steps, seed
        self.corpus = open_corpus(str(directory.absolute()))
        self.documents = list(self.corpus.documents())
        self.by_id = {document.id: document for document in self.documents}
        splits = split_documents(self.documents, self.corpus)
        self._tried = {document.id for document in splits.test}
        self.eligible = [one for one in [*splits.train, *splits.validation] if not one.is_empty]

    @cached_property
    def reported(self) -> dict[str, str]:
        """The queries that figures are reported on, as :func:`inpars_plus.experiments.leaks.leaked` takes them."""
        return as_seen((query.text for query in self.judged.queries), "the queries that figures are reported on")

    @cached_property
    def judged(self) -> Collection:
        """The queries that figures are reported on."""
        return read_collection(f"{self.directory}:test", half="all" if self._other_split else "report")

    def gold(self, count: int) -> list[TrainingQuery]:
        """Some judged queries of the part that settings may be chosen on, each with its relevant documents.

        None has the text of a query that figures are reported on, and all of its answers may be learned from, so that
        whoever leaves documents of the test split out has as many. Where there are fewer than ``count``, it is said.
        """
        if not count:
            return []
        split = self._other_split
        given = read_collection(f"{self.directory}:{split or 'test'}", half="all" if split else "settings")
        answers: dict[str, list[str]] = {}
        eligible = {document.id for document in self.eligible}
        for one in given.judgments:
            if one.grade > 0 and one.document_id != one.query_id:
                answers.setdefault(one.query_id, []).append(one.document_id)
        # Whole or not at all: an answer that is left out would be trained against.
        answers = {name: found for name, found in answers.items() if eligible.issuperset(found)}
        reported = leaked(given.queries, self.reported)
        asked = [query for query in given.queries if query.id in answers and query.id not in reported]
        asked.sort(key=lambda query: query.id)
        if len(asked) < count:
            say(
                f"{self.name}: there are {len(asked):,} of the {count:,} judged queries asked for: only those count "
                "that are in the part for settings and have answers that may all be learned from"
            )
        drawn = random.Random(self.seed).sample(asked, min(count, len(asked)))
        return [TrainingQuery(f"gold {query.id}", query.text, tuple(answers[query.id])) for query in drawn]

    @property
    def _other_split(self) -> str | None:
        return next((name for name in ("train", "dev") if (self.directory / "qrels" / f"{name}.tsv").is_file()), None)

    @cached_property
    def indexes(self) -> SharedIndexes:
        """The corpus as it is, for all rankers of the given encoder."""
        return SharedIndexes(self.documents, cache_directory=default_cache_directory())

    @cached_property
    def chosen(self) -> RankerSpec:
        """The untrained system that ``choose-ranker`` picks, without judgments."""
        out = self.steps.directory / "choice"
        inputs: dict[str, JSON] = {
            "corpus": self.corpus.digest(),
            "seed": self.seed,
            "encoder": load_encoder().digest,
            "choosing": default_settings("choose-ranker"),
        }
        choosing = make_settings(ChooseSettings, "choose-ranker", corpus=str(self.directory), seed=self.seed, out=out)
        self.steps.do("choice", inputs, lambda: choose_ranker(choosing).results["chosen"], files=["choice/ranker"])
        return load_ranker(out / "ranker")

    @property
    def smoothing(self) -> float:
        """Of trained rankers, unless the queries that they learn from say it is worse: the default of train-ranker."""
        share: float = default_settings("train-ranker")["smoothing"]
        return share

    def untrained(self, smoothing: float = 0.0) -> PerQuery:
        """What each untrained system has on each judged query.

        Args:
            smoothing: of its scores over documents that are alike, which needs no training; BM25 knows none.
        """
        step, inputs = (
            ("untrained, smoothed", {"smoothing": [smoothing, SMOOTHING]}) if smoothing else ("untrained", {})
        )
        specs = [spec.model_copy(update={"smoothing": smoothing}) for spec in plain_rankers()]
        return self.judge(step, inputs, lambda: {spec.name: self.indexes.ranker(spec) for spec in specs})

    def judge(self, step: str, inputs: Mapping[str, JSON], rankers: Callable[[], Mapping[str, Retriever]]) -> PerQuery:
        """nDCG@10 of rankers on each judged query that has an answer; done once for the same inputs.

        Args:
            step: its name in the record of the run.
            inputs: what decides the result, beside corpus and judgments.
            rankers: makes them.
        """

        def work() -> PerQuery:
            ids, texts = [one.id for one in self.judged.queries], [one.text for one in self.judged.queries]
            found = {
                name: dict(zip(ids, ranker.search(texts, _DEPTH), strict=True)) for name, ranker in rankers().items()
            }
            evaluation = evaluate_systems(self.judged.judgments, found, measures=(MEASURE,))
            return {
                name: dict(zip(evaluation.queries, values[MEASURE], strict=True))
                for name, values in evaluation.values.items()
            }

        whole: dict[str, JSON] = {
            **inputs,
            "corpus": self.corpus.digest(),
            "encoder": load_encoder().digest,
            "judged": self.judged.digest,
            "asked": digest([[one.id, one.text] for one in self.judged.queries]),
        }
        result: PerQuery = self.steps.do(step, whole, work)
        return result

    def train(
        self,
        queries: Sequence[TrainingQuery],
        out: Path,
        *,
        seed: int,
        human: Sequence[TrainingQuery] = (),
        **settings: JSON,
    ) -> Retriever:
        """What ``train-ranker`` makes of generated queries.

        Args:
            queries: that it learns from, beside held-out lines.
            out: directory of the ranker.
            seed: of the training.
            human: queries of people.
            settings: others of the job.
        """
        return self._indexes().ranker(self._spec(queries, out, seed=seed, human=human, **settings))

    def _spec(
        self,
        queries: Sequence[TrainingQuery],
        out: Path,
        *,
        seed: int,
        human: Sequence[TrainingQuery] = (),
        **settings: JSON,
    ) -> RankerSpec:
        """As :meth:`train`, without its indexes."""
        if queries:
            write_training_queries(out / "queries", queries)
        if human:
            write_training_queries(out / "human", human)
        training = make_settings(
            TrainSettings,
            "train-ranker",
            corpus=str(self.directory),
            queries=out / "queries" if queries else None,
            human=out / "human" if human else None,
            seed=seed,
            out=out / "ranker",
            **settings,
        )
        train_ranker(training)
        lines = leaked(self.judged.queries, seen_queries([training.out]))
        if lines:
            say(f"{self.name}: {len(lines):,} judged queries read as a line of a document that was learned from")
        return load_ranker(training.out)

    @cached_property
    def weighed(self) -> RankerSpec | None:
        """A ranker whose weights, feedback and smoothing come from held-out lines; its encoder is as it was given.

        ``None`` where too few documents have a line to spare.
        """
        count = default_settings("train-ranker")["held_out"]
        if held_out_queries(self.documents, self.eligible, count=count, seed=self.seed, avoid=self._tried) is None:
            say(f"{self.name}: too few documents have a line to spare, so no weights of a fusion can be learned")
            return None
        out = self.steps.directory / "weighed"
        inputs: dict[str, JSON] = {
            "corpus": self.corpus.digest(),
            "seed": self.seed,
            "encoder": load_encoder().digest,
            "training": training_method(),
        }

        def work() -> JSON:
            self._spec([], out, seed=self.seed, steps=0)
            return None

        self.steps.do("weighed", inputs, work, files=["weighed/ranker"])
        return load_ranker(out / "ranker")

    def without_queries(self) -> PerQuery:
        """As :meth:`encoder_learned`, of an encoder that learned nothing."""
        inputs: dict[str, JSON] = {"training": training_method(), "weights": _fusion(self.weighed)}
        return self.judge("without queries, encoder", inputs, lambda: self._encoding(None))

    def encoder_learned(self, name: str, queries: Sequence[TrainingQuery], *, seed: int, steps: int) -> PerQuery:
        """What a query encoder that learns from generated queries alone is worth: on its own, and in a fusion.

        Args:
            name: of the queries, in the record of the run and in file names.
            queries: that it learns from.
            seed: of the training.
            steps: of tuning it.

        Returns:
            Values of ``fusion``, whose weights, feedback and smoothing are those of :attr:`weighed`, where there is
            one, and of ``dense``.
        """

        def work() -> dict[str, Retriever]:
            spec = self._spec(queries, self._out(name, queries, seed), seed=seed, held_out=0, steps=steps)
            return self._encoding(next(one.query_encoder for one in spec.components if not one.lexical))

        inputs = {**_learning(queries, seed, steps), "weights": _fusion(self.weighed)}
        return self.judge(f"{name}, {len(queries)} queries, seed {seed}, encoder", inputs, work)

    def learned(self, name: str, queries: Sequence[TrainingQuery], *, seed: int, steps: int) -> dict[str, float]:
        """What a ranker has that learns from generated queries alone, weights too, without held-out lines.

        Args:
            name: of the queries, in the record of the run and in file names.
            queries: that it learns from.
            seed: of the training.
            steps: of tuning the query encoder.
        """
        found = self.judge(
            f"{name}, {len(queries)} queries, seed {seed}",
            _learning(queries, seed, steps),
            lambda: {"ranker": self.train(queries, self._out(name, queries, seed), seed=seed, held_out=0, steps=steps)},
        )
        return found["ranker"]

    def _out(self, name: str, queries: Sequence[TrainingQuery], seed: int) -> Path:
        return self.steps.directory / f"{name}-{len(queries)}-{seed}"

    def _encoding(self, query_encoder: str | None) -> dict[str, Retriever]:
        """The systems of :meth:`encoder_learned`."""
        specs = {**({"fusion": self.weighed} if self.weighed else {}), "dense": hybrid_spec(1.0)}
        indexes = self._indexes()
        return {name: indexes.ranker(_with_encoder(spec, query_encoder)) for name, spec in specs.items()}

    def _indexes(self) -> SharedIndexes:
        """Others than :attr:`indexes`, which would keep the encoders and vectors of every training."""
        return SharedIndexes(self.documents, cache_directory=default_cache_directory())

    def templates(self, documents: Sequence[Document]) -> list[str]:
        """For each document, a fixed question around its key terms, the cheat of the quality tables.

        Empty for a document without key terms.
        """
        key_terms = KeyTerms.fit(self.documents)
        terms = [key_terms.of(one, 3) for one in documents]
        texts = cheat_queries("templates", documents, terms, [None] * len(documents))
        return [text if found else "" for text, found in zip(texts, terms, strict=True)]

    def queries_of(self, directory: Path, *, unchecked: bool = False) -> list[TrainingQuery]:
        """Generated queries of which every answer may be learned from, and on which no figure is reported.

        Args:
            directory: that ``generate-queries`` wrote.
            unchecked: the first that was written for each document, kept or dropped, instead of what was kept.
        """
        eligible = {document.id for document in self.eligible}
        read = (
            candidate_queries(directory, self.documents, lambda one: one.reason not in NO_QUERY, first_attempt=True)
            if unchecked
            else read_training_queries(directory, self.documents)
        )
        return self.unseen([one for one in read if set(one.document_ids) <= eligible])

    def unseen(self, queries: Sequence[TrainingQuery]) -> list[TrainingQuery]:
        """Queries to learn from without those that have the text of one that figures are reported on."""
        reported = leaked(queries, self.reported)
        if reported:
            say(f"{self.name}: {len(reported):,} of {len(queries):,} queries are judged ones, and are not learned from")
        return [one for one in queries if one.id not in reported]


def training_method() -> JSON:
    """What decides how a ranker learns, beside its queries."""
    return [METHOD, SMOOTHING, default_settings("train-ranker")]


def _learning(queries: Sequence[TrainingQuery], seed: int, steps: int) -> dict[str, JSON]:
    return {"queries": queries_digest(queries), "seed": seed, "steps": steps, "training": training_method()}


def _fusion(spec: RankerSpec | None) -> JSON:
    return (
        None if spec is None else [[[one.kind, one.weight] for one in spec.components], spec.feedback, spec.smoothing]
    )


def _with_encoder(spec: RankerSpec, query_encoder: str | None) -> RankerSpec:
    parts = [one if one.lexical else one.model_copy(update={"query_encoder": query_encoder}) for one in spec.components]
    return spec.model_copy(update={"components": tuple(parts)})
