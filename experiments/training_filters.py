"""The filters of ``build-training-set``, from what a person writes, such as ``round-trip:3``, to what they keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inpars_plus.corpora import Document
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import JSON
from inpars_plus.lms import Scorer, load_scorer
from inpars_plus.optimizers.rankers.bases import cross_encoder_base, load_pair_scorer
from inpars_plus.optimizers.rankers.filters import Filtered, keep_likeliest, keep_round_trip, keep_scored
from inpars_plus.optimizers.rankers.recipes import EXAMPLES, RECIPES
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest
from inpars_plus.retrieval.encoders import Encoder, load_encoder
from inpars_plus.retrieval.external import retriever_key
from inpars_plus.retrieval.loading import build_retriever

__all__ = ["FILTERS", "TrainingFilters", "parse_filter", "reranker_digest"]

FILTERS = ("round-trip", "log-probability", "reranker")


def parse_filter(given: str) -> tuple[str, int]:
    """Name and number of a filter written as ``NAME:N``.

    Raises:
        ValueError: it is not of that form.
    """
    name, _, number = given.partition(":")
    if name not in FILTERS or not number.isdecimal() or not int(number):
        raise ValueError(f"write a filter as NAME:N, with one of {', '.join(FILTERS)}")
    return name, int(number)


def reranker_digest(name: str | None) -> str:
    """Names what decides the grades of a cross-encoder: its files."""
    return Encoder(cross_encoder_base(name)).digest


class TrainingFilters:
    """Filters of the queries of one corpus.

    Args:
        steps: of the run that records what each filter kept.
        documents: the corpus.
        corpus_digest: its content.
        retriever: that a round trip is made with.
        lm: says how likely a query is.
        scorer: does so instead of the model of that name.
        reranker: cross-encoder that grades queries.
    """

    def __init__(
        self,
        steps: Steps,
        documents: Sequence[Document],
        corpus_digest: str,
        *,
        retriever: str,
        lm: str,
        scorer: Scorer | None = None,
        reranker: str | None = None,
    ) -> None:
        self._steps = steps
        self._documents = documents
        self._by_id = {document.id: document for document in documents}
        self._corpus_digest = corpus_digest
        self._retriever, self._lm, self._scorer, self._reranker = retriever, lm, scorer, reranker

    def keep(
        self, step: str, given: str, queries: Sequence[TrainingQuery]
    ) -> tuple[list[TrainingQuery], dict[str, Any]]:
        """The queries that a filter keeps, and its record; done once for the same inputs.

        Args:
            step: its name in the record of the run.
            given: the filter, as for :func:`parse_filter`.
            queries: to filter.
        """
        name, number = parse_filter(given)
        inputs: dict[str, JSON] = {
            "corpus": self._corpus_digest,
            "queries": queries_digest(queries),
            "filter": given,
            "by": self._by(name),
        }
        work = {"round-trip": self._round_trip, "log-probability": self._likeliest, "reranker": self._best}[name]

        def kept() -> dict[str, Any]:
            filtered = work(queries, number)
            return {"ids": [query.id for query in filtered.queries], "record": filtered.record}

        found = self._steps.do(step, inputs, kept)
        ids = set(found["ids"])
        return [query for query in queries if query.id in ids], found["record"]

    def _by(self, name: str) -> JSON:
        if name == "round-trip":
            return [retriever_key(self._retriever), load_encoder().digest]
        if name == "reranker":
            return reranker_digest(self._reranker)
        return self._lm if self._scorer is not None else load_scorer(self._lm).name

    def _round_trip(self, queries: Sequence[TrainingQuery], k: int) -> Filtered:
        retriever = build_retriever(self._retriever, self._documents)
        return keep_round_trip(queries, retriever, k=k, name=self._retriever)

    def _likeliest(self, queries: Sequence[TrainingQuery], keep: int) -> Filtered:
        """By the prompt of InPars with its examples, whatever prompt the queries were written with."""
        asked = RECIPES["InPars"].prompt
        assert asked is not None
        prompts = [asked(document.full_text, EXAMPLES) for document in self._answers(queries)]
        return keep_likeliest(queries, prompts, self._scorer or load_scorer(self._lm), keep=keep, name=self._lm)

    def _best(self, queries: Sequence[TrainingQuery], keep: int) -> Filtered:
        name = str(self._reranker)
        return keep_scored(queries, self._answers(queries), load_pair_scorer(name), keep=keep, name=name)

    def _answers(self, queries: Sequence[TrainingQuery]) -> list[Document]:
        return [self._by_id[query.document_ids[0]] for query in queries]
