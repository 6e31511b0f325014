"""Make a training set for rankers from generated queries: ``inpars-plus build-training-set``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from inpars_plus.corpora import split_documents
from inpars_plus.corpora.judgments import REFERENCE_FILE
from inpars_plus.experiments.leaks import trained_on, write_trained_on
from inpars_plus.experiments.selection import safe_name
from inpars_plus.experiments.settings import JobSettings, JobText, RetrieverSettings, option, parse_settings
from inpars_plus.experiments.tables import text_table
from inpars_plus.experiments.training_filters import TrainingFilters, parse_filter, reranker_digest
from inpars_plus.experiments.workbench import Steps, corpus_of, summary_of
from inpars_plus.foundation import (
    JSON,
    ConfigurationError,
    InputError,
    Run,
    Summary,
    digest_file,
    read_lines,
    say,
    write_summary,
)
from inpars_plus.lms import Scorer
from inpars_plus.optimizers.rankers.bases import (
    base_encoder,
    cross_encoder_base,
    cross_encoder_to_train,
    load_pair_scorer,
)
from inpars_plus.optimizers.rankers.fine_tuning import (
    FineTuning,
    training_precision,
    tune_bi_encoder,
    tune_cross_encoder,
)
from inpars_plus.optimizers.rankers.negatives import (
    RANDOM,
    Negatives,
    NegativeSettings,
    fill_negatives,
    mine_negatives,
)
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest, read_training_queries
from inpars_plus.optimizers.rankers.training_set import with_margins, write_training_set
from inpars_plus.retrieval.encoders import Encoder, load_encoder
from inpars_plus.retrieval.external import retriever_key
from inpars_plus.retrieval.loading import build_retriever
from inpars_plus.retrieval.protocol import Retriever

__all__ = ["TEXT", "TrainingSetSettings", "build_training_set", "main", "run", "tell"]

TEXT = JobText(
    name="build-training-set",
    about=(
        "Make a training set for rankers of any make from generated queries: filter them, mine hard negatives, and\n"
        "write a BEIR directory, triplets for sentence-transformers and the negatives as run files, with a record of\n"
        "each step. On request an encoder or a cross-encoder is fine-tuned on it. Queries of documents of the test\n"
        "split are left out, so that choose-ranker can tell what training is worth."
    ),
    examples=(
        (
            "Queries that find their document first, with negatives from three retrievers",
            "inpars-plus build-training-set --corpus notes/ --queries runs/notes-queries --filter round-trip:1 \\\n"
            "      --out runs/notes-set",
        ),
        (
            "And the embedded encoder fine-tuned on them, then put into a ranker",
            "inpars-plus build-training-set --corpus notes/ --queries runs/notes-queries --fine-tune bi-encoder \\\n"
            "      --out runs/notes-set\n"
            "    inpars-plus train-ranker --corpus notes/ --base runs/notes-set/encoder --steps 0 \\\n"
            "      --out runs/notes-ranker",
        ),
        (
            "A cross-encoder, from one that was trained on judgments",
            "inpars-plus build-training-set --corpus notes/ --queries runs/notes-queries --fine-tune cross-encoder \\\n"
            "      --base cross-encoder/ms-marco-MiniLM-L6-v2 --out runs/notes-set",
        ),
    ),
)

_FILES = ("queries.jsonl", "qrels/train.tsv", "triplets.jsonl", "filters.json", REFERENCE_FILE)
_LOSSES = {"bi-encoder": ("ranking", "margin-mse"), "cross-encoder": ("pairs", "lists")}
_TUNED = {"bi-encoder": "encoder", "cross-encoder": "cross-encoder"}


class TrainingSetSettings(JobSettings, RetrieverSettings):
    """Settings of ``build-training-set``."""

    queries: Path = option("generated queries: a directory of generate-queries", metavar="DIR")
    filter: tuple[str, ...] = option(
        "in this order: round-trip:K (its document is among the first K of --retriever), log-probability:N (the N"
        " likeliest by --lm), reranker:N (the N best by --reranker); repeatable",
        metavar="NAME:N",
    )
    lm: str = option("says how likely a query is: embedded, gguf:PATH, a tuned generator's directory", metavar="NAME")
    reranker: str | None = option(
        "cross-encoder that grades queries, and teaches with margin-mse: a directory or model id",
        metavar="NAME",
        default=None,
    )
    negatives: tuple[str, ...] = option(
        "where hard negatives come from, as for --retriever; random: for queries that the others have none for;"
        " repeatable",
        metavar="NAME",
    )
    depth: int = option("of the rankings that negatives come from", metavar="N", ge=1)
    per_query: int = option("negatives a query, at most", metavar="N", ge=1)
    ceiling: float = option("a negative scores less than this share of the answer", metavar="SHARE", gt=0, le=1)
    fine_tune: Literal["bi-encoder", "cross-encoder"] | None = option("what to fine-tune on the set", default=None)
    base: str | None = option(
        "what fine-tuning begins with: a directory or model id, if not the embedded MiniLM",
        metavar="NAME",
        default=None,
    )
    loss: Literal["ranking", "margin-mse", "pairs", "lists"] | None = option(
        "of a bi-encoder the first or second, of a cross-encoder the others; the first of each if not named",
        default=None,
    )
    steps: int = option("of fine-tuning", metavar="N", ge=1)
    batch: int = option("rows a step", metavar="N", ge=2)
    learning_rate: float = option("of fine-tuning", metavar="RATE", gt=0)
    max_tokens: int = option("of a text in fine-tuning; the rest is cut", metavar="N", ge=8)

    @field_validator("filter")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            parse_filter(one)
        return given


def build_training_set(settings: TrainingSetSettings, *, scorer: Scorer | None = None) -> Summary:
    """Filter, mine, write, and fine-tune where that is asked for.

    Args:
        settings: of the job.
        scorer: of log-probabilities, instead of the model of that name.

    Returns:
        The summary that was written.

    Raises:
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    _check(settings)
    with Run(settings.out) as run:
        return _Job(settings, Steps(run), scorer).do()


def _check(settings: TrainingSetSettings) -> None:
    """Refuse what cannot come to an end, a model that is not here included, before anything is computed."""
    if settings.out.resolve() == settings.queries.resolve():
        raise ConfigurationError(
            "the training set would replace the queries that it is made from", place="--out", remedy="Name another"
        )
    graded = any(one.startswith("reranker:") for one in settings.filter) or settings.loss == "margin-mse"
    if graded and settings.reranker is None:
        raise ConfigurationError(
            "there is no re-ranker to grade with", place="--reranker", remedy="Name one, such as a cross-encoder's id"
        )
    if settings.loss is not None and settings.loss not in _LOSSES.get(settings.fine_tune or "", ()):
        raise ConfigurationError(
            f"'{settings.loss}' is no loss of what is fine-tuned, {settings.fine_tune or 'nothing'}",
            place="--loss",
            remedy="; ".join(f"A {kind} has {' and '.join(losses)}" for kind, losses in _LOSSES.items()),
        )
    if settings.reranker is not None:
        load_pair_scorer(settings.reranker)
    if settings.fine_tune is not None:
        _check_base(settings, settings.out / _TUNED[settings.fine_tune])
    elif settings.base is not None:
        raise ConfigurationError(
            "there is a base, but nothing to fine-tune", place="--base", remedy="Add --fine-tune bi-encoder"
        )


def _check_base(settings: TrainingSetSettings, tuned: Path) -> None:
    """Refuse a base that cannot be read, or that what is tuned from it would replace."""
    if settings.base is not None and tuned.resolve() in (at := Path(settings.base).resolve(), *at.parents):
        raise ConfigurationError(
            "the base would be replaced by what is tuned from it", place="--base, --out", remedy="Name another --out"
        )
    if settings.fine_tune == "cross-encoder":
        cross_encoder_to_train(settings.base, max_tokens=settings.max_tokens)
    else:
        _base(settings).check()


class _Job:
    def __init__(self, settings: TrainingSetSettings, steps: Steps, scorer: Scorer | None) -> None:
        self.settings = settings
        self.steps = steps
        self.scorer = scorer
        self.corpus = corpus_of(settings)
        self.documents = list(self.corpus.documents())
        self.by_id = {document.id: document for document in self.documents}

    def do(self) -> Summary:
        settings = self.settings
        read = read_training_queries(settings.queries, self.documents)
        tried = {document.id for document in split_documents(self.documents, self.corpus).test}
        queries = [query for query in read if tried.isdisjoint(query.document_ids)]
        left_out = len(read) - len(queries)
        if left_out:
            say(f"{left_out:,} of {len(read):,} queries are of test documents and left out")
        filters = TrainingFilters(
            self.steps,
            self.documents,
            self.corpus.digest(),
            retriever=settings.retriever,
            lm=settings.lm,
            scorer=self.scorer,
            reranker=settings.reranker,
        )
        records: list[dict[str, Any]] = []
        for number, given in enumerate(settings.filter, 1):
            queries, record = filters.keep(f"filter {number}", given, queries)
            say(f"{given}: {record['stayed']:,} of {record['came']:,} queries stay")
            records.append(record)
        if not queries:
            raise InputError("no query is left to train on", place="--queries", remedy="Filter less, or generate more")
        made = self._set(queries, records)
        if made["without"]:
            say(_without(settings, made))
        tuned = None if settings.fine_tune is None else self._tune(settings.fine_tune)
        summary = summary_of(
            self.steps,
            settings=settings.model_dump(mode="json"),
            seed=settings.seed,
            hashes={
                "corpus": self.corpus.digest(),
                "queries": queries_digest(read),
                **{name: digest_file(settings.out / name) for name in _FILES},
            },
            results={
                "queries": {"read": len(read), "of_test_documents": left_out, "kept": len(queries)},
                "filters": records,
                "negatives": made,
                "fine_tuned": tuned,
            },
        )
        write_summary(settings.out, summary)
        return summary

    def _set(self, queries: Sequence[TrainingQuery], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Mine negatives and write everything; how many there are of each kind."""
        settings = self.settings
        inputs: dict[str, JSON] = {
            "corpus": self.corpus.digest(),
            "queries": queries_digest(queries),
            "filters": list(records),
            "negatives": [retriever_key(name) for name in settings.negatives],
            "settings": [settings.depth, settings.per_query, settings.ceiling, settings.seed],
            "encoder": load_encoder().digest,
        }

        def work() -> dict[str, Any]:
            negatives, without = self._negatives(queries)
            rows = write_training_set(
                settings.out,
                queries,
                negatives,
                self.by_id,
                filters=records,
                corpus_reference=self.corpus.reference(),
            )
            origins = Counter(origin for one in negatives for origin in one.origins)
            return {"triplets": rows, "without": without, "origins": dict(sorted(origins.items()))}

        made: dict[str, Any] = self.steps.do("training set", inputs, work, files=[*_FILES, "negatives"])
        return made

    def _negatives(self, queries: Sequence[TrainingQuery]) -> tuple[list[Negatives], int]:
        settings = self.settings
        retrievers: dict[str, Retriever] = {
            safe_name(name): build_retriever(name, self.documents) for name in settings.negatives if name != RANDOM
        }
        how = NegativeSettings(depth=settings.depth, number=settings.per_query, ceiling=settings.ceiling)
        found = mine_negatives(queries, retrievers, how, seed=settings.seed)
        filled, without = fill_negatives(
            queries, found, list(self.by_id), number=settings.per_query, seed=settings.seed
        )
        return (filled if RANDOM in settings.negatives else found), without

    def _tune(self, kind: str) -> dict[str, Any]:
        """Fine-tune on the triplets that were written."""
        settings = self.settings
        loss: Any = settings.loss or _LOSSES[kind][0]
        how = FineTuning(settings.steps, settings.batch, settings.learning_rate, settings.max_tokens)
        out = settings.out / _TUNED[kind]
        inputs: dict[str, JSON] = {
            "triplets": digest_file(settings.out / "triplets.jsonl"),
            "base": _base(settings).digest,
            "loss": loss,
            "settings": [how.steps, how.batch, how.learning_rate, how.max_tokens, settings.seed],
            "teacher": reranker_digest(settings.reranker) if loss == "margin-mse" else None,
            "precision": training_precision(),
            "record": "trained on",  # a model of before this record cannot say what it knows
        }

        def work() -> dict[str, Any]:
            rows: list[dict[str, Any]] = [row for _, row in read_lines(settings.out / "triplets.jsonl")]
            say(f"Fine-tuning a {kind} on {len(rows):,} triplets in {how.steps:,} steps")
            if loss == "margin-mse":
                rows = with_margins(rows, load_pair_scorer(str(settings.reranker)))
            tune: Any = tune_cross_encoder if kind == "cross-encoder" else tune_bi_encoder
            tune(settings.base, rows, out, loss=loss, settings=how, seed=settings.seed)
            # What the base was tuned on, this one knows too.
            write_trained_on(out, [*(row["anchor"] for row in rows), *trained_on(_base(settings).directory)])
            return {"kind": kind, "loss": loss, "triplets": len(rows), "directory": out.name}

        tuned: dict[str, Any] = self.steps.do("fine-tuning", inputs, work, files=[out.name])
        return tuned


def _base(settings: TrainingSetSettings) -> Encoder:
    """What fine-tuning begins with; of a cross-encoder for its files alone."""
    if settings.fine_tune == "cross-encoder":
        return Encoder(cross_encoder_base(settings.base))
    return base_encoder(settings.base)


def _without(settings: TrainingSetSettings, made: Mapping[str, Any]) -> str:
    """What becomes of the queries that no hard negative was found for."""
    given = (
        "get random ones" if RANDOM in settings.negatives else f"have no triplet; --negatives {RANDOM} gives them some"
    )
    return f"{made['without']:,} queries have no hard negative and {given}"


def tell(settings: TrainingSetSettings, summary: Summary) -> str:
    """What was made, for a terminal."""
    queries, made, out = summary.results["queries"], summary.results["negatives"], settings.out
    rows = [["read", f"{queries['read']:,}"], ["of test documents", f"-{queries['of_test_documents']:,}"]]
    rows += [[one["filter"], f"-{one['came'] - one['stayed']:,}"] for one in summary.results["filters"]]
    rows.append(["kept", f"{queries['kept']:,}"])
    origins = ", ".join(f"{count:,} of {name}" for name, count in made["origins"].items())
    said = [f"\n{text_table(['queries', 'number'], rows, numbers={1})}\n", f"negatives: {origins or 'none'}"]
    if made["without"]:
        said.append(_without(settings, made))
    said += [f"queries:   {out / 'queries.jsonl'}", f"judgments: {out / 'qrels' / 'train.tsv'}"]
    said.append(f"triplets:  {out / 'triplets.jsonl'}, {made['triplets']:,}")
    tuned = summary.results["fine_tuned"]
    if tuned is not None:
        said.append(f"tuned:     {out / tuned['directory']}, a {tuned['kind']}")
        if tuned["kind"] == "bi-encoder":
            said.append(f"use it:    inpars-plus train-ranker --base {out / tuned['directory']} --steps 0 ...")
    return "\n".join([*said, f"summary:   {out / 'summary.json'}"])


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(TrainingSetSettings, TEXT, arguments)
    print(tell(settings, build_training_set(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
