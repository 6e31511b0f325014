"""What is measured of telling types: how often it is right, what it says of foreign types, what queries gain by it.

Everything is a step of the run. In its directory::

    compiled/_analyst.json      fitted on train and validation documents of all types
    scores/<row>.jsonl          each query for each test document, judged
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import dspy

from inpars_plus.corpora import Document, sample, split_documents
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.analysts import ANALYST, fit_analyst, how_fitted
from inpars_plus.experiments.generate_queries import GenerateSettings
from inpars_plus.experiments.scoring import judged_lines, score_cheats, score_row
from inpars_plus.experiments.selection import safe_name
from inpars_plus.experiments.vectors import CachedEncoder
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, ConfigurationError, digest, digest_file, say
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import evaluate_program, pool_for
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    KeyTerms,
    QueryGenerator,
    Route,
    TypeRouter,
    example_of,
    load_program,
)
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["ADAPTIVE", "TRUE_TYPE", "UNCOMPILED", "RoutingBench", "alone"]

ADAPTIVE = "adaptive"
TRUE_TYPE = "true type"
UNCOMPILED = "uncompiled"

_UNKNOWN = "(unknown)"
_ENOUGH = 50  # with a fifth of them drawn by hash, none is a test document once in 70,000 times


def alone(doc_type: str) -> str:
    """The row of one program for all documents."""
    return f"{doc_type} alone"


class RoutingBench:
    """Documents of several types, split by id.

    Args:
        settings: corpora, model, seed, and the directory of the compiled programs.
        bench: made of them.
        steps: of the run.
        fit_documents: the analyst is fitted on so many of each type at most.
        test_documents: queries are written for so many test documents of each type at most.

    Raises:
        ConfigurationError: a type has no test document.
    """

    def __init__(
        self, settings: GenerateSettings, bench: Workbench, steps: Steps, *, fit_documents: int, test_documents: int
    ) -> None:
        self.settings, self.bench, self.steps = settings, bench, steps
        seed, corpus = settings.seed, bench.corpus
        self.types = sorted(corpus.types())
        by_type: dict[str, list[Document]] = {name: [] for name in self.types}
        for document in corpus.documents():
            if not document.is_empty:
                by_type[document.doc_type].append(document)
        splits = {name: split_documents(documents, corpus) for name, documents in by_type.items()}
        untested = next((name for name in self.types if not splits[name].test), None)
        if untested is not None:
            raise ConfigurationError(
                f"none of the {len(by_type[untested])} documents of type '{untested}' that are not empty is a test "
                "document, and at least one must be",
                place="--corpus",
                remedy=f"Give more: one in five is a test document, so {_ENOUGH} of a type are sure to do",
            )
        self.known = [
            one
            for name in self.types
            for one in sample([*splits[name].train, *splits[name].validation], fit_documents, seed)
        ]
        self.unseen = [one for name in self.types for one in splits[name].test]
        # The same documents on which compile-programs scored, where the number and the seed are the same.
        self.asked = [one for name in self.types for one in sample(splits[name].test, test_documents, seed)]

    @cached_property
    def encoder(self) -> CachedEncoder:
        """Of documents."""
        return CachedEncoder(load_encoder())

    def routing(self) -> dict[str, Any]:
        """Fit the analyst, and let it tell the types of all unseen documents.

        Returns:
            ``fitted``; ``accuracy``, over all unseen documents and for each type; ``confusion``: type → what was told →
            documents.
        """
        fitted = fit_analyst(self.known, steps=self.steps, seed=self.settings.seed)
        inputs: dict[str, JSON] = {
            "analyst": digest_file(self.steps.directory / ANALYST),
            "unseen": documents_digest(self.unseen),
        }
        confusion: dict[str, dict[str, int]] = self.steps.do("route", inputs, self._confusion)
        totals = {name: sum(row.values()) for name, row in confusion.items()}
        right = {name: row.get(name, 0) for name, row in confusion.items()}
        return {
            "fitted": fitted,
            "accuracy": {
                "all": sum(right.values()) / sum(totals.values()),
                **{name: right[name] / totals[name] for name in self.types},
            },
            "confusion": confusion,
        }

    def _confusion(self) -> dict[str, dict[str, int]]:
        routes = self.analyst.route([_hidden(one) for one in self.unseen])
        found: dict[str, dict[str, int]] = {}
        for name in self.types:
            told = [_told(route) for one, route in zip(self.unseen, routes, strict=True) if one.doc_type == name]
            found[name] = dict(Counter(told).most_common())
        return found

    @property
    def analyst(self) -> TypeRouter:
        """As it was fitted."""
        return cast(TypeRouter, load_program(self.steps.directory / ANALYST)).use_encoder(self.encoder)

    def foreign(self) -> dict[str, float]:
        """For each type, an analyst that was fitted without it: the share of its unseen documents found unknown."""
        if len(self.types) < 3:
            return {}
        inputs: dict[str, JSON] = {
            "known": documents_digest(self.known),
            "unseen": documents_digest(self.unseen),
            "seed": self.settings.seed,
            **how_fitted(self.encoder),
        }

        def work() -> dict[str, float]:
            shares = {}
            for name in self.types:
                others = [one for one in self.known if one.doc_type != name]
                router = fit_type_router(others, self.encoder, seed=self.settings.seed).router
                routes = router.route([one for one in self.unseen if one.doc_type == name])
                shares[name] = sum(route.reason == "unknown_type" for route in routes) / len(routes)
            return shares

        result: dict[str, float] = self.steps.do("foreign types", inputs, work)
        return result

    def generation(self) -> dict[str, Any]:
        """Queries by every way of choosing a program, for the same test documents.

        Returns:
            ``rows`` (row → measures), ``by_type`` (row → type → score), ``cheats``, ``best_single`` (a row), and
            ``differences`` (adaptive less each other row, paired by document).

        Raises:
            ConfigurationError: a type of the corpus has no program.
        """
        adaptive = AdaptiveQueryGenerator.from_directory(self.settings.programs, analyst=self.analyst)
        missing = next((name for name in self.types if name not in adaptive.programs), None)
        if missing is not None:
            raise ConfigurationError(
                f"none of the programs is for the document type '{missing}'",
                place=str(self.settings.programs),
                remedy=f"There are programs for {', '.join(adaptive.programs)}",
            )
        say(f"{len(self.asked):,} test documents; base program: {adaptive.base_name}")
        analyst = digest_file(self.steps.directory / ANALYST)
        digests = {name: cast(Any, program).card.digest for name, program in adaptive.programs.items()}
        rows = {ADAPTIVE: self._row(ADAPTIVE, adaptive, [analyst, digests, adaptive.base_name])}
        for name in self.types:
            rows[alone(name)] = self._row(alone(name), adaptive.programs[name], digests[name])
        rows[UNCOMPILED] = self._row(UNCOMPILED, self._uncompiled(), "uncompiled")
        # Not put together from the rows above: a chat model also reads the type that a document is told to be of.
        told = AdaptiveQueryGenerator(adaptive.programs, adaptive.base, _Stated(self.asked))
        rows[TRUE_TYPE] = self._row(TRUE_TYPE, told, digests)
        scores = {row: self._scores(self._lines(row)) for row in rows}
        best = max((alone(name) for name in self.types), key=lambda row: sum(scores[row]))
        return {
            "rows": rows,
            "by_type": {row: self._by_type(values) for row, values in scores.items()},
            "cheats": self._cheats(),
            "best_single": best,
            "differences": {
                row: paired_bootstrap(values, scores[ADAPTIVE], seed=self.settings.seed).as_dict()
                for row, values in scores.items()
                if row != ADAPTIVE
            },
        }

    def _row(self, row: str, program: dspy.Module, digests: JSON) -> dict[str, Any]:
        """Write and judge a query for each document; the step is done once."""
        inputs: dict[str, JSON] = {**self._measured_with(), "program": digests}
        file = f"scores/{safe_name(row)}.jsonl"

        def judge() -> list[Judged]:
            examples = [example_of(_hidden(one), key_terms=self._key_terms) for one in self.asked]
            bench, threads = self.bench, self.settings.threads
            found = evaluate_program(program, examples, bench.metric, bench.lm, threads, label=f"Scoring {row}")
            return cast(list[Judged], found)

        return score_row(self.steps, f"score {row}", inputs, file, judge, self.asked, typed=True)

    def _cheats(self) -> dict[str, Any]:
        lent = [line["query"] for line in self._lines(ADAPTIVE)]
        inputs: dict[str, JSON] = {**self._measured_with(), "queries": digest(lent)}
        return score_cheats(self.steps, "cheats", inputs, self.bench, self.asked, lambda: self._key_terms, lent)

    @cached_property
    def _key_terms(self) -> KeyTerms:
        corpus = self.bench.corpus
        inputs = {"corpus": corpus.digest()}
        return KeyTerms.from_state(self.steps.do("key terms", inputs, lambda: KeyTerms.fit(corpus.documents()).state()))

    def _uncompiled(self) -> QueryGenerator:
        return QueryGenerator(key_terms=self._key_terms, last_opening=pool_for("").last_opening)

    def _measured_with(self) -> dict[str, JSON]:
        address = self.bench.address(self.settings.lm)
        return {
            "corpus": self.bench.corpus.digest(),
            "lm": str(self.bench.lm.model),
            **({"api_base": address} if address else {}),
            "retriever": self.bench.retriever_key,
            "seed": self.settings.seed,
            "documents": documents_digest(self.asked),
            **self.bench.asked_with,
        }

    def _lines(self, row: str) -> list[dict[str, Any]]:
        return judged_lines(self.steps.directory / "scores" / f"{safe_name(row)}.jsonl")

    def _scores(self, lines: Sequence[Mapping[str, Any]]) -> list[float]:
        by_document = {line["document_id"]: float(line["score"]) for line in lines}
        return [by_document[document.id] for document in self.asked]

    def _by_type(self, scores: Sequence[float]) -> dict[str, float]:
        of_type: dict[str, list[float]] = {name: [] for name in self.types}
        for document, score in zip(self.asked, scores, strict=True):
            of_type[document.doc_type].append(score)
        return {name: sum(values) / len(values) for name, values in of_type.items()}


class _Stated:
    """Tells each document the type that it states, also where that is hidden: an analyst that is always right."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._types = {document.id: document.doc_type for document in documents}

    def route(self, documents: Sequence[Document]) -> list[Route]:
        return [Route(document_type=self._types[document.id]) for document in documents]


def _hidden(document: Document) -> Document:
    """The document without the type that it states."""
    return document.model_copy(update={"doc_type": "document"})


def _told(route: Route) -> str:
    return route.document_type or _UNKNOWN
