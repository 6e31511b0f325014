"""Train a ranker for your documents without judgments: ``inpars-plus train-ranker``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from inpars_plus.corpora import split_documents
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.human_queries import read_human_queries
from inpars_plus.experiments.leaks import as_seen, leaked, trained_on, write_trained_on
from inpars_plus.experiments.settings import CorpusSettings, JobSettings, JobText, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import Steps, corpus_of, summary_of
from inpars_plus.foundation import (
    JSON,
    InputError,
    Run,
    Summary,
    bar,
    default_cache_directory,
    say,
    write_summary,
)
from inpars_plus.optimizers.rankers.fusion_weights import JudgedQueries, learn_weights, search_difference
from inpars_plus.optimizers.rankers.query_side import QuerySideSettings, QueryTarget, tune_query_encoder
from inpars_plus.optimizers.rankers.training_queries import (
    HeldOut,
    TrainingQuery,
    held_out_queries,
    queries_digest,
    read_training_queries,
)
from inpars_plus.retrieval.embeddings import embed
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.fusion import Component
from inpars_plus.retrieval.rankers import EMBEDDED, ComponentSpec, RankerSpec, SharedIndexes, save_ranker
from inpars_plus.retrieval.smoothing import METHOD as SMOOTHING

__all__ = ["FEWEST_QUERIES", "METHOD", "TEXT", "TrainSettings", "main", "run", "tell", "train_ranker"]

TEXT = JobText(
    name="train-ranker",
    about=(
        "Train a ranker without judgments: a fusion of BM25 (over documents and, a little, over titles), one vector a\n"
        "document and one a sentence, whose weights are learned, and whose query encoder is tuned; documents keep\n"
        "their vectors, so an index stays as it is. When it searches, what it finds first moves the query, and\n"
        "documents that are alike share their scores. It learns from lines that are held out of documents (titles,\n"
        "first sentences), and from generated queries where you give some, of all documents but those of the test\n"
        "split. inpars-plus choose-ranker then tells, on the test split, whether it is better than an untrained one."
    ),
    examples=(
        (
            "From the documents and generated queries",
            "inpars-plus train-ranker --corpus notes/ --queries runs/notes-queries --out runs/notes-ranker",
        ),
        (
            "Is it better?",
            "inpars-plus choose-ranker --corpus notes/ --ranker runs/notes-ranker --out runs/notes-choice",
        ),
    ),
)

FEWEST_QUERIES = 30
"""With fewer queries no ranker is trained."""
METHOD = 3
"""How weights and the query encoder are learned; finished runs of another number are not taken for this one's."""
_TITLED = 0.5
"""With a smaller share of titled documents, titles would only set those few apart."""
_ENCODER = "query-encoder"
_OPTIONAL = {"feedback": "feedback of the first document", "smoothing": "smoothing over the nearest documents"}
"""What a search may do beside summing, with the settings that say how much, and what it is called."""


class TrainSettings(JobSettings, CorpusSettings):
    """Settings of ``train-ranker``."""

    queries: Path | None = option("generated queries: a directory of generate-queries", metavar="DIR", default=None)
    human: Path | None = option(
        "BEIR directory with queries of people (qrels/train.tsv): trained on, and asked about weights, feedback and"
        " smoothing",
        metavar="DIR",
        default=None,
    )
    base: str | None = option(
        "encoder to begin with: a sentence-transformers directory or model id, if not the embedded MiniLM",
        metavar="NAME",
        default=None,
    )
    name: str = option("what tables call the ranker", metavar="NAME", min_length=1)
    held_out: int = option("lines taken out of documents, at most; 0 for none", metavar="N", ge=0)
    passages: float = option("share of sentences in the dense part of the sum", metavar="SHARE", ge=0, lt=1)
    titles: float = option(
        "share of BM25's weight that titles have by themselves, where at least half of the documents have one",
        metavar="SHARE",
        ge=0,
        lt=1,
    )
    feedback: float = option(
        "share of the first document's vector that moves the query, unless the queries that weights are learned from"
        " say it is worse; 0: none",
        metavar="SHARE",
        ge=0,
        le=1,
    )
    smoothing: float = option(
        "weight of the nearest documents in the score of each of the first 100, unless the queries that weights are"
        " learned from say it is worse; 0: none",
        metavar="WEIGHT",
        ge=0,
        le=1,
    )
    steps: int = option("of tuning the query encoder; 0 leaves it as it is", metavar="N", ge=0)
    learning_rate: float = option("of the query encoder", metavar="RATE", gt=0)
    share: float = option("of the tuned weights in the mean with the given ones", metavar="SHARE", gt=0, le=1)


def train_ranker(settings: TrainSettings) -> Summary:
    """Train, and write ranker and summary.

    Args:
        settings: of the job.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    with Run(settings.out) as run:
        return _Job(settings, Steps(run)).do()


class _Job:
    def __init__(self, settings: TrainSettings, steps: Steps) -> None:
        self.settings = settings
        self.steps = steps
        self.corpus = corpus_of(settings)
        self.documents = list(self.corpus.documents())
        splits = split_documents(self.documents, self.corpus)
        self.eligible = [*splits.train, *splits.validation]
        self.test = splits.test
        generated = [] if settings.queries is None else read_training_queries(settings.queries, self.documents)
        human = [] if settings.human is None else read_human_queries(settings.human, self.corpus)
        self.generated = self._learnable(generated, "generated")
        self.human = self._learnable(human, "people's")
        self.cache = default_cache_directory()

    def do(self) -> Summary:
        settings = self.settings
        counts = {
            "held_out": len(self.held_out.queries) if self.held_out else 0,
            "generated": len(self.generated),
            **({} if settings.human is None else {"human": len(self.human)}),
        }
        if sum(counts.values()) < FEWEST_QUERIES:
            raise InputError(
                f"there are {sum(counts.values())} queries to learn from, but {FEWEST_QUERIES} are needed",
                place="--corpus",
                remedy="Give generated queries with --queries DIR, as inpars-plus generate-queries writes them",
            )
        say(f"{_counted(counts)} queries to learn from")
        inputs: dict[str, JSON] = {
            "corpus": self.corpus.digest(),
            "generated": queries_digest(self.generated),
            "held_out": settings.held_out,
            "base": load_encoder(settings.base).digest,
            "seed": settings.seed,
            "method": METHOD,
            **({"human": queries_digest(self.human)} if self.human else {}),
        }
        how_found: dict[str, JSON] = {
            "passages": settings.passages,
            **{name: getattr(settings, name) for name in _OPTIONAL},
        }
        weights = self.steps.do("weights", {**inputs, **how_found, "smoothed": SMOOTHING}, self._weights)
        tuned: dict[str, Any] | None = None
        if settings.steps:
            how: dict[str, JSON] = {
                "steps": settings.steps,
                "learning_rate": settings.learning_rate,
                "share": settings.share,
                "record": "trained on",  # an encoder of before this record cannot say what it knows
            }
            tuned = self.steps.do("query encoder", {**inputs, **how}, self._tune, files=[_ENCODER])
        spec = self._spec(weights, tuned is not None)
        save_ranker(spec, settings.out)
        summary = summary_of(
            self.steps,
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes={"corpus": self.corpus.digest(), "base": load_encoder(settings.base).digest},
            results={"queries": counts, "weights": weights, "titles": self.titles, "query_encoder": tuned},
        )
        write_summary(settings.out, summary)
        return summary

    @cached_property
    def held_out(self) -> HeldOut | None:
        """Lines taken out of documents that may be learned from."""
        count = self.settings.held_out
        if not count:
            return None
        tried = {document.id for document in self.test}
        return held_out_queries(self.documents, self.eligible, count=count, seed=self.settings.seed, avoid=tried)

    @cached_property
    def known(self) -> list[str]:
        """The queries that the base was tuned on."""
        return trained_on(load_encoder(self.settings.base).directory)

    @property
    def titles(self) -> float:
        """Share of BM25's weight that titles have; it cannot be learned from titles that are held out."""
        titled = sum(bool(one.title) for one in self.documents)
        return self.settings.titles if titled >= _TITLED * len(self.documents) else 0.0

    def _learnable(self, read: Sequence[TrainingQuery], kind: str) -> list[TrainingQuery]:
        """The queries of which every answer may be learned from."""
        ids = {document.id for document in self.eligible}
        kept = [query for query in read if set(query.document_ids) <= ids]
        if len(kept) < len(read):
            say(f"{len(read) - len(kept):,} of {len(read):,} {kind} queries are of test documents and left out")
        return kept

    @property
    def _learned_from(self) -> list[TrainingQuery]:
        return [*(self.held_out.queries if self.held_out else []), *self.generated, *self.human]

    def _parts(self, query_encoder: str | None = None) -> list[ComponentSpec]:
        encoder = self.settings.base or EMBEDDED
        kinds: list[Any] = ["dense", *(["passages"] if self.settings.passages else [])]
        dense = [ComponentSpec(kind=kind, encoder=encoder, query_encoder=query_encoder) for kind in kinds]
        return [ComponentSpec(kind="bm25", parts=True), *dense]

    def _weights(self) -> dict[str, Any]:
        """How much BM25 counts, with the encoder as it was given: what is tuned next knows these queries by heart."""
        held_out, cache = self.held_out, self.cache
        documents, queries = (
            (self.documents, self.generated or self.human)
            if held_out is None
            else (held_out.documents, list(held_out.queries))
        )
        self._tell_known(queries)
        share = self.settings.passages
        mixtures = [(1.0, 0.0, 0.0), (0.0, 1 - share, share)] if share else None
        components = self._components(SharedIndexes(documents, cache_directory=cache))
        judged = None
        if self.human and queries is not self.human:
            judged = JudgedQueries(self._components(SharedIndexes(self.documents, cache_directory=cache)), self.human)
        found = learn_weights(components, queries, mixtures=mixtures, judged=judged)
        optional = self._optional([JudgedQueries(components, queries), *([judged] if judged else [])], found.weights)
        return {
            "weights": list(found.weights),
            "ndcg@10": found.ndcg,
            "alone": list(found.alone),
            **optional,
        }

    def _tell_known(self, queries: Sequence[TrainingQuery]) -> None:
        """Tell of queries that the base finds better than any new one."""
        found = leaked(queries, as_seen(self.known, "the base"))
        if found:
            say(
                f"The base was tuned on {len(found):,} of the {len(queries):,} queries that weights are learned from, "
                "so it counts for more than it is worth; queries of another seed of generate-queries tell it better"
            )

    def _components(self, indexes: SharedIndexes) -> list[Component]:
        return [indexes.component(one) for one in self._parts()]

    def _optional(self, kinds: Sequence[JudgedQueries], weights: Sequence[float]) -> dict[str, dict[str, Any]]:
        """The share of each, and what it changes; people's queries, which may have several answers, decide if they can.

        One after the other, the next beside what is kept of those before.
        """
        kept: dict[str, float] = {}
        told: dict[str, dict[str, Any]] = {}
        for name in _OPTIONAL:
            share, told[name] = getattr(self.settings, name), {"share": 0.0}
            if not share:
                continue
            having = {**kept, name: share}
            found = [
                search_difference(
                    one.components, weights, one.queries, without=kept, having=having, seed=self.settings.seed
                )
                for one in kinds
            ]
            sure = [one for one in found[1:] if one.high < 0 or one.low > 0]
            difference = (sure or found)[0]
            if difference.high >= 0:
                kept, told[name]["share"] = having, share
            told[name] |= difference.as_dict()
        return told

    def _tune(self) -> dict[str, Any]:
        settings, encoder = self.settings, load_encoder(self.settings.base)
        states = [self.documents, *([list(self.held_out.documents)] if self.held_out else [])]
        position = {document.id: at for at, document in enumerate(self.documents)}
        vectors = [
            embed([one.full_text for one in documents], encoder, cache_directory=self.cache) for documents in states
        ]
        kinds = [[*self.generated, *self.human], list(self.held_out.queries) if self.held_out else []]
        targets = [
            QueryTarget(query.text, tuple(position[one] for one in query.document_ids), corpus=number)
            for number, queries in enumerate(kinds)
            for query in queries
        ]
        how = QuerySideSettings(steps=settings.steps, learning_rate=settings.learning_rate, share=settings.share)
        with bar("Tuning the query encoder", settings.steps) as progress:
            result = tune_query_encoder(
                settings.base,
                targets,
                vectors,
                settings.out / _ENCODER,
                settings=how,
                seed=settings.seed,
                on_step=progress.update,
            )
        # What the base was tuned on, this one knows too.
        write_trained_on(settings.out / _ENCODER, [*(query.text for query in self._learned_from), *self.known])
        return {"queries": result.queries, "first_loss": result.losses[0], "last_loss": result.losses[-1]}

    def _spec(self, learned: Mapping[str, Any], tuned: bool) -> RankerSpec:
        settings = self.settings
        parts = [
            part.model_copy(update={"weight": weight})
            for part, weight in zip(
                self._parts(str(settings.out / _ENCODER) if tuned else None), learned["weights"], strict=True
            )
        ]
        whole = parts[0].weight
        if self.titles and whole:
            parts[0] = parts[0].model_copy(update={"weight": whole * (1 - self.titles)})
            parts.append(ComponentSpec(kind="titles", weight=whole * self.titles, parts=True))
        return RankerSpec(
            name=settings.name,
            components=tuple(parts),
            **{name: learned[name]["share"] for name in _OPTIONAL},
            how={
                "corpus": self.corpus.digest(),
                "documents": documents_digest(self.eligible),
                "settings": settings.model_dump(mode="json"),
                # For whoever evaluates it: these prove nothing about it.
                "queries": sorted({*(query.text for query in self._learned_from), *self.known}),
            },
        )


def _counted(counts: Mapping[str, int]) -> str:
    human = f" and {counts['human']:,} people's" if "human" in counts else ""
    return f"{counts['held_out']:,} held-out and {counts['generated']:,} generated{human}"


def tell(settings: TrainSettings, summary: Summary) -> str:
    """What was trained, for a terminal."""
    results = summary.results
    weights, tuned = results["weights"], results["query_encoder"]
    titles = f", {results['titles']:.0%} of it over titles alone" if results["titles"] and weights["weights"][0] else ""
    kinds = [f"BM25{titles}", "one vector a document", "one vector a sentence"]
    rows = [
        [kind, number(weight), number(alone)]
        for kind, weight, alone in zip(kinds, weights["weights"], weights["alone"], strict=False)
    ]
    said = (
        "" if tuned is None else f"loss:    {tuned['first_loss']:.3f} before, {tuned['last_loss']:.3f} after tuning\n"
    )
    for name, words in reversed(_OPTIONAL.items()):
        if "score" in weights[name]:
            kept = "kept" if weights[name]["share"] else "left out, because it is worse"
            said = f"{words}: {interval(weights[name])}, {kept}\n{said}"
    return (
        f"\n{_counted(results['queries'])} queries\n\n"
        f"{text_table(['', 'weight', 'nDCG@10 alone'], rows, numbers={1, 2})}\n\n"
        f"together: nDCG@10 {weights['ndcg@10']:.3f}, on queries that the weights were learned from\n"
        f"{said}ranker:  {settings.out}\nsummary: {settings.out / 'summary.json'}"
    )


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(TrainSettings, TEXT, arguments)
    print(tell(settings, train_ranker(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
