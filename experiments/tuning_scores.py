"""Scores of a compiled program with its model before and after tuning, on test documents.

::

    <run>/scores/<row>.jsonl      each query for each test document, judged
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.corpora import Document
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.scoring import judged_lines, score_cheats, score_row
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, bar
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.lms.embedded import release_pipelines
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import evaluate_program
from inpars_plus.optimizers.prompts.evaluation import generate_all
from inpars_plus.optimizers.prompts.watch import Watch
from inpars_plus.programs import example_of
from inpars_plus.retrieval import build_retriever, ranks_of_sources

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings

__all__ = ["TuningScores"]

_SAMPLED = 0.7
_HITS = 10


@dataclass(frozen=True)
class _Row:
    """A line of the quality table: which model writes, and how."""

    name: str
    lm: str
    temperature: float
    openings: tuple[str, ...] | None = None
    first_try: bool = False


class TuningScores:
    """The rows of the quality table.

    Args:
        program: the compiled program.
        documents: test documents, that nothing was compiled or tuned on.
        settings: of the job.
        bench: corpus and metric.
        steps: of the run.
        make_lm: makes a language model of a name and a temperature.
        digest: of a model's weights, from its name.
    """

    def __init__(
        self,
        program: Any,
        documents: Sequence[Document],
        settings: TuneSettings,
        bench: Workbench,
        steps: Steps,
        *,
        make_lm: Callable[..., dspy.LM],
        digest: Callable[[str], str],
    ) -> None:
        self._program = program
        self._documents = documents
        self._settings = settings
        self._bench = bench
        self._steps = steps
        self._make_lm = make_lm
        self._digest = digest

    def all(self, *, before: str, tuned: str, openings: tuple[str, ...]) -> dict[str, Any]:
        """Every row, the differences, the hits of the encoder alone, and the cheats.

        Args:
            before: name of the model before.
            tuned: directory of the tuned generator.
            openings: that it is served with. A row tells what these alone do for the model before.
        """
        rows = [
            _Row("before", before, 0.0),
            _Row("before_with_openings", before, 0.0, openings),
            _Row("before_sampled", before, _SAMPLED),
            _Row("after", tuned, 0.0),
            _Row("after_sampled", tuned, _SAMPLED),
            *([_Row("first_try", tuned, 0.0, (), first_try=True)] if self._settings.offer_cheats else []),
            *(_Row(f"compared_{number}", name, 0.0) for number, name in enumerate(self._settings.compare, 1)),
        ]
        found: dict[str, Any] = {}
        for _, group in groupby(rows, key=lambda row: row.lm):
            # Each model keeps up to a gigabyte of keys and values, so only one is in memory, with the one that judges.
            release_pipelines()
            give_back_memory()
            found |= {row.name: self._score(row) for row in group}
        lines = {row.name: self._lines(row.name) for row in rows}
        seed = self._settings.seed
        scores = {name: [float(line["score"]) for line in read] for name, read in lines.items()}
        return {
            **found,
            "difference": paired_bootstrap(scores["before"], scores["after"], seed=seed).as_dict(),
            "difference_sampled": paired_bootstrap(
                scores["before_sampled"], scores["after_sampled"], seed=seed
            ).as_dict(),
            "compared": {
                f"compared_{number}": {
                    f"less_{other}": paired_bootstrap(scores[other], scores[f"compared_{number}"], seed=seed).as_dict()
                    for other in ("before", "after")
                }
                for number in range(1, len(self._settings.compare) + 1)
            },
            "dense": self._dense(lines["before"], lines["after"]),
            "cheats": self._cheats([line["query"] for line in lines["after"]]),
        }

    def _score(self, row: _Row) -> dict[str, Any]:
        documents = self._documents
        inputs: dict[str, JSON] = {
            "corpus": self._bench.corpus.digest(),
            "program": self._program.card.digest,
            "lm": self._digest(row.lm),
            **self._bench.asked_with,
            "temperature": row.temperature,
            "openings": None if row.openings is None else list(row.openings),
            **({"first_try": True} if row.first_try else {}),
            "retriever": self._bench.retriever_key,
            "test": documents_digest(documents),
            "seed": self._settings.seed,
            "single_stream": self._settings.single_stream,
        }
        file = f"scores/{row.name}.jsonl"

        def judge() -> list[Judged]:
            lm = self._make_lm(row.lm, temperature=row.temperature, openings=row.openings)
            self._program.set_lm(lm)
            examples = [example_of(one, key_terms=self._program.key_terms) for one in documents]
            label = f"Scoring {row.name.replace('_', ', ')}"
            return (self._first_tries if row.first_try else self._queries)(examples, lm, label)

        return score_row(self._steps, f"score {row.name}", inputs, file, judge, documents)

    def _queries(self, examples: Sequence[dspy.Example], lm: dspy.LM, label: str) -> list[Judged]:
        return cast(
            list[Judged],
            evaluate_program(self._program, examples, self._bench.metric, lm, self._settings.threads, label=label),
        )

    def _first_tries(self, examples: Sequence[dspy.Example], lm: dspy.LM, label: str) -> list[Judged]:
        """What the model writes when it is asked once, though the program's own checks may refuse it."""
        asked_once = self._program.deepcopy()
        asked_once.attempts = 1
        asked_once.set_lm(lm)
        with bar(label, len(examples)) as progress:
            replies = generate_all(
                [(asked_once, example) for example in examples],
                lm,
                threads=self._settings.threads,
                watch=Watch(model=str(lm.model)),
                on_done=progress.update,
            )
        tries = [
            None if reply is None else next(iter([*reply.queries, *(one.text for one in reply.rejected)]), None)
            for reply in replies
        ]
        return self._bench.metric.judge(list(zip(self._documents, tries, strict=True)))

    def _lines(self, row: str) -> list[dict[str, Any]]:
        return judged_lines(self._steps.directory / "scores" / f"{row}.jsonl")

    def _dense(self, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Hits of the encoder alone, which no reward has seen: a missing query is a miss."""
        inputs: dict[str, JSON] = {
            "corpus": self._bench.corpus.digest(),
            "queries": [[line["query"] for line in before], [line["query"] for line in after]],
        }

        def work() -> dict[str, Any]:
            retriever = build_retriever("dense", self._bench.corpus)
            hits = []
            for lines in (before, after):
                asked = [(line["query"], line["document_id"]) for line in lines if line["query"]]
                ranks = ranks_of_sources(retriever, [query for query, _ in asked], [name for _, name in asked], _HITS)
                found = {name: float(rank is not None) for (_, name), rank in zip(asked, ranks, strict=True)}
                hits.append([found.get(line["document_id"], 0.0) for line in lines])
            difference = paired_bootstrap(hits[0], hits[1], seed=self._settings.seed).as_dict()
            means = [sum(each) / len(each) for each in hits]
            return {"before": means[0], "after": means[1], "difference": difference}

        result: dict[str, Any] = self._steps.do("hits of the encoder alone", inputs, work)
        return result

    def _cheats(self, lent: Sequence[str | None]) -> dict[str, Any]:
        documents = self._documents
        inputs: dict[str, JSON] = {
            "corpus": self._bench.corpus.digest(),
            "retriever": self._bench.retriever_key,
            "test": documents_digest(documents),
            "queries": list(lent),
        }
        parts = (self._bench, documents, lambda: self._program.key_terms, lent)
        return score_cheats(self._steps, "cheats", inputs, *parts)
