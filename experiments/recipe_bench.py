"""One collection of ``compare_recipes``: queries of each recipe, rankers trained on them, and people's judgment.

Every recipe gets the same documents, the same encoder, the same number of optimizer steps, and one query a document at
most. This project's own also learns from held-out lines, as it does for everybody.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dspy

from inpars_plus.corpora import sample
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.judged_bench import JudgedBench, PerQuery, training_method
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import JSON, InputError, ReplyError, bar, digest, read_json, say
from inpars_plus.lms.life import asking_threads
from inpars_plus.lms.quiet import quiet_logs
from inpars_plus.lms.scoring import Scorer
from inpars_plus.optimizers.rankers.choosing import score_system
from inpars_plus.optimizers.rankers.filters import Filtered, keep_likeliest, keep_round_trip
from inpars_plus.optimizers.rankers.fine_tuning import FineTuning, training_precision, tune_bi_encoder
from inpars_plus.optimizers.rankers.fusion_weights import judged_share
from inpars_plus.optimizers.rankers.negatives import (
    Negatives,
    NegativeSettings,
    fill_negatives,
    mine_negatives,
    random_negatives,
)
from inpars_plus.optimizers.rankers.recipes import RECIPES, PromptExample, Recipe, usable_query
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest
from inpars_plus.optimizers.rankers.training_set import triplets
from inpars_plus.retrieval.protocol import Retriever
from inpars_plus.retrieval.rankers import (
    ComponentSpec,
    RankerSpec,
    SharedIndexes,
    hybrid_spec,
    plain_rankers,
)
from inpars_plus.retrieval.smoothing import METHOD as SMOOTHING

__all__ = ["OURS", "OUR_QUERIES", "CollectionBench", "RecipeSettings"]

OURS = "InPars+"
OUR_QUERIES = "InPars+ queries"
"""The same queries in the training of the others: what the queries alone are worth."""

_METHOD = 2
"""How the other recipes are trained; finished runs of another number are not taken for this one's."""
_TEACHER_DEPTH = 100
_NEGATIVES = 4
_EVEN = 0.5
_LEAST = 0.1
"""The hybrids' weights are tenths."""
_CUT = 10


@dataclass(frozen=True)
class RecipeSettings:
    """What all recipes share.

    Attributes:
        documents: queries are written for so many, of the train and validation splits.
        steps: of the optimizer, a training.
        batch: rows a step.
        seeds: of training.
        seed: of documents, queries and tests.
        gold: judged queries that every recipe gets, of those that settings may be chosen on.
    """

    documents: int = 500
    steps: int = 120
    batch: int = 16
    seeds: tuple[int, ...] = (0, 1, 2)
    seed: int = 0
    gold: int = 0


class CollectionBench(JudgedBench):
    """The recipes on one judged collection.

    Args:
        name: of the collection.
        directory: in BEIR's layout.
        ours: queries that ``generate-queries`` wrote for it.
        settings: of the comparison.
        steps: of a run directory of this collection alone.
        lm: writes the queries of the other recipes.
        scorer: of their likelihood, the same model.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        ours: Path,
        settings: RecipeSettings,
        *,
        steps: Steps,
        lm: dspy.BaseLM,
        scorer: Scorer,
    ) -> None:
        super().__init__(name, directory, steps=steps, seed=settings.seed)
        self.settings = settings
        self._ours, self._lm, self._scorer = ours, lm, scorer
        self.drawn = sample(self.eligible, settings.documents, settings.seed)
        self._encoded: tuple[Path, SharedIndexes] | None = None

    @cached_property
    def gold_queries(self) -> list[TrainingQuery]:
        """The judged queries that all recipes get."""
        return self.gold(self.settings.gold)

    def trained(self, name: str, seed: int) -> PerQuery:
        """What a recipe's ranker has on each judged query.

        That is ``alone``, ``fused`` with BM25 as the chosen one is, and ``smoothed``: fused, then smoothed as ours is.

        Args:
            name: of a recipe, :data:`OURS` or :data:`OUR_QUERIES`.
            seed: of its training.

        Raises:
            InputError: it has no query to learn from.
        """
        say(f"{self.name}: {name}, seed {seed}")
        step, queries = f"train {name}, seed {seed}", self.queries(name)
        inputs: dict[str, JSON] = {
            "queries": digest([[one.id, one.text, *one.document_ids] for one in queries]),
            "seed": seed,
            "steps": self.settings.steps,
            "batch": self.settings.batch,
        }
        if name == OURS:
            inputs["training"] = training_method()
            if self.gold_queries:
                inputs["human"] = queries_digest(self.gold_queries)
            return self.judge(step, inputs, lambda: {"fused": self._our_ranker(seed)})
        recipe = RECIPES.get(name, Recipe(name, None, "this project", negatives="hybrid"))
        inputs |= {"negatives": recipe.negatives, "loss": recipe.loss, "weight": self.weight}
        inputs |= {"round_trip": recipe.round_trip, "method": _METHOD, "precision": training_precision()}
        inputs |= {"smoothing": [self.smoothing, SMOOTHING]}

        def work() -> dict[str, Retriever]:
            with tempfile.TemporaryDirectory() as scratch:
                encoder, kept = Path(scratch) / "encoder", queries
                if recipe.round_trip:
                    first = Path(scratch) / "first"
                    self._train(recipe, queries, first, seed)
                    written = [one for one in queries if one not in self.gold_queries]
                    stayed = keep_round_trip(written, self._retriever(first), k=1, name=recipe.name).queries
                    say(f"{len(stayed):,} of {len(written):,} queries make the round trip")
                    kept = [*stayed, *self.gold_queries]
                self._train(recipe, kept, encoder, seed)
                return {
                    "alone": self._retriever(encoder),
                    "fused": self._retriever(encoder, self.weight),
                    "smoothed": self._retriever(encoder, self.weight, self.smoothing),
                }

        return self.judge(step, inputs, work)

    def _our_ranker(self, seed: int) -> Retriever:
        out = self.steps.directory / f"ours-{seed}"
        return self.train(self._our_queries, out, seed=seed, human=self.gold_queries, steps=self.settings.steps)

    @cached_property
    def weight(self) -> float:
        """Of the dense scores in fusions and in the teacher, for all recipes but ours, which learns its own.

        It is that of the system that is chosen without labels; gold queries have a word in that choice, as they have
        in our weights. Where one retriever alone is chosen, it is that of the hybrid nearest to it.
        """
        specs = {spec.name: spec for spec in plain_rankers()}
        best = self.chosen.name
        if self.gold_queries:
            share = judged_share(len(self.gold_queries))
            told = read_json(self.steps.directory / "choice" / "summary.json", kind="summary")["results"]["systems"]
            texts = [query.text for query in self.gold_queries]
            judged = {
                name: score_system(name, self.indexes.ranker(spec).search(texts, _CUT), self.gold_queries).mean
                for name, spec in specs.items()
            }
            best = max(specs, key=lambda name: (1 - share) * told[name]["ndcg@10"] + share * judged[name])
        weight = specs[best].dense_weight
        return _EVEN if weight is None else min(max(weight, _LEAST), 1 - _LEAST)

    def _retriever(self, encoder: Path, weight: float = 1.0, smoothing: float = 0.0) -> Retriever:
        """The corpus encoded with a trained encoder; searched once, so nothing is kept on disk."""
        dense = ComponentSpec(kind="dense", encoder=str(encoder), weight=weight)
        parts = [dense] if weight == 1 else [ComponentSpec(kind="bm25", weight=1 - weight), dense]
        if self._encoded is None or self._encoded[0] != encoder:
            self._encoded = encoder, SharedIndexes(self.documents)
        return self._encoded[1].ranker(RankerSpec(name="trained", components=tuple(parts), smoothing=smoothing))

    def queries(self, name: str) -> list[TrainingQuery]:
        """What a recipe trains on, gold queries among them; filters are applied, but for the round trip.

        Raises:
            InputError: none of our queries is of the documents that were drawn.
        """
        if name in (OURS, OUR_QUERIES):
            return [*self._our_queries, *self.gold_queries]
        recipe = RECIPES[name]
        inputs: dict[str, JSON] = {
            "corpus": self.corpus.digest(),  # key terms weigh by it
            "documents": documents_digest(self.drawn),
            "lm": str(self._lm.model),
            "prompts": digest(self._prompts(recipe)),
            "sampling": recipe.sampling,
            "kept": recipe.kept,
            "seed": self.settings.seed,
        }
        found = self.steps.do(f"queries of {name}", inputs, lambda: self._write(recipe))
        written = [TrainingQuery(one["id"], one["text"], (one["document_id"],)) for one in found["queries"]]
        return [*self.unseen(written), *self.gold_queries]

    @cached_property
    def _our_queries(self) -> list[TrainingQuery]:
        """One query of ours for each document that was drawn, where it has one."""
        ids = {document.id for document in self.drawn}
        first: dict[str, TrainingQuery] = {}
        for one in self.queries_of(self._ours):
            if ids.issuperset(one.document_ids):  # a query may have answers that are not to be learned from
                first.setdefault(one.document_ids[0], one)
        if not first:
            raise InputError(
                f"none of these queries is of the {len(ids):,} documents that were drawn",
                place=str(self._ours),
                remedy="Generate them for the whole collection",
            )
        say(f"{self.name}: {len(first):,} of {len(ids):,} documents have a query of ours")
        return list(first.values())

    def _write(self, recipe: Recipe) -> dict[str, Any]:
        texts = self.templates(self.drawn) if recipe.prompt is None else self._asked(recipe)
        kept = [(document, usable_query(text)) for document, text in zip(self.drawn, texts, strict=True)]
        queries = [
            TrainingQuery(f"{recipe.name} {document.id}", text, (document.id,)) for document, text in kept if text
        ]
        filtered = Filtered(tuple(queries))
        if recipe.kept < 1 and recipe.prompt is not None:
            prompts = dict(zip((one.id for one in self.drawn), self._prompts(recipe), strict=True))
            filtered = keep_likeliest(
                queries,
                [prompts[one.document_ids[0]] for one in queries],
                self._scorer,
                keep=max(1, round(recipe.kept * len(queries))),
            )
        return {
            "queries": [
                {"id": one.id, "text": one.text, "document_id": one.document_ids[0]} for one in filtered.queries
            ],
            "usable": len(queries),
            "filter": filtered.record,
        }

    def _prompts(self, recipe: Recipe) -> list[str]:
        if recipe.prompt is None:
            return []
        gold = [PromptExample(self.by_id[one.document_ids[0]].full_text, one.text) for one in self.gold_queries]
        shown = recipe.shown(gold)
        return [recipe.prompt(document.full_text, shown) for document in self.drawn]

    def _asked(self, recipe: Recipe) -> list[str]:
        def ask(prompt: str) -> str:
            draw = {"rollout_id": self.settings.seed} if recipe.sampling else {}
            try:
                (reply,) = self._lm(prompt, stop=["\n"], **recipe.sampling, **draw)
            except ReplyError:
                return ""
            finally:
                progress.update()
            return reply if isinstance(reply, str) else str(reply["text"])

        prompts = self._prompts(recipe)
        with bar(f"{recipe.name} writes", len(prompts)) as progress, quiet_logs(), asking_threads(self._lm, 16) as pool:
            return list(pool.map(ask, prompts))

    def _train(self, recipe: Recipe, queries: Sequence[TrainingQuery], out: Path, seed: int) -> None:
        rows: list[dict[str, Any]] = list(triplets(queries, self._negatives(recipe, queries, seed), self.by_id))
        if recipe.loss == "margin-mse":
            rows = self._labelled(queries, rows)
        random.Random(seed).shuffle(rows)
        how = FineTuning(steps=self.settings.steps, batch=self.settings.batch, max_tokens=128)
        tune_bi_encoder(None, rows, out, loss=recipe.loss, settings=how, seed=seed)

    def _negatives(self, recipe: Recipe, queries: Sequence[TrainingQuery], seed: int) -> list[Negatives]:
        ids = list(self.by_id)
        if recipe.negatives == "random":
            return random_negatives(queries, ids, number=_NEGATIVES, seed=seed)
        teacher = hybrid_spec(0.0 if recipe.negatives == "bm25" else self.weight)
        retrievers: dict[str, Retriever] = {recipe.negatives: self.indexes.ranker(teacher)}
        found = mine_negatives(queries, retrievers, NegativeSettings(number=_NEGATIVES), seed=seed)
        filled, without = fill_negatives(queries, found, ids, number=_NEGATIVES, seed=seed)
        # A teacher that does not find the answer has no margin to teach.
        taught = recipe.loss == "margin-mse"
        if without:
            what = "are left out" if taught else "get random ones"
            say(f"{recipe.name}: {without:,} of {len(queries):,} queries have no hard negative and {what}")
        return found if taught else filled

    def _labelled(self, queries: Sequence[TrainingQuery], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows with the hybrid's margins; a document that is not in its first 100 has a score of 0."""
        teacher = self.indexes.ranker(hybrid_spec(self.weight))
        rankings = teacher.search([one.text for one in queries], _TEACHER_DEPTH)
        scores = {
            (query.text, self.by_id[document].full_text): score
            for query, ranking in zip(queries, rankings, strict=True)
            for document, score in zip(ranking.ids, ranking.scores, strict=True)
        }

        def worth(row: Mapping[str, Any], column: str) -> float:
            return scores.get((row["anchor"], row[column]), 0.0)

        return [{**row, "label": worth(row, "positive") - worth(row, "negative")} for row in rows]
