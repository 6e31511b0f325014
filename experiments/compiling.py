"""Compiling for one document type: the program, its scores on test documents, and its file.

Everything is a step of the run (see :mod:`inpars_plus.foundation.runs`): done once, recorded, and skipped afterwards.
In the run's directory::

    work/<type>/compiled.json, best_pool_prompt.json    what the optimizer found, without test scores
    work/<type>/nearest.json                            after a warm start, instead of the best pool prompt
    work/<type>/exchanged.json                          the one to go on with, where the programs of types were compared
    trials/<type>.jsonl                                 every trial
    scores/<type>/<row>.jsonl                           each query for each test document, judged
    compiled/<type>.json                                the program with its whole description
    earlier/<type>-<digest>.json                        programs of other types, by a run before in the directory
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.corpora import Document, split_documents
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.human_queries import HUMAN_FILES, by_document, read_human_queries
from inpars_plus.experiments.scoring import judged_lines, score_cheats, score_row
from inpars_plus.experiments.selection import TypeDocuments, safe_name
from inpars_plus.experiments.workbench import Steps, Workbench
from inpars_plus.foundation import JSON, digest, digest_file, say, write_text
from inpars_plus.lms import adapter_for
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.prompts import Candidate, compile_program, evaluate_program, plan_for, pool_for
from inpars_plus.programs import (
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    QueryGenerator,
    Scores,
    example_of,
    load_program,
    save_program,
)
from inpars_plus.programs.granularities import of_granularity

if TYPE_CHECKING:
    from inpars_plus.experiments.compile_programs import CompileSettings

__all__ = ["DIFFERENCES", "TypeCompile", "described"]

DIFFERENCES = {"best_pool_prompt": "difference_best_pool", "nearest": "difference_nearest"}
"""The row between the uncompiled and the compiled program, and the key of the difference from it.

It is the best single prompt of the pool; after a warm start, which does not search the pool, it is the program that the
search began with, with the key terms of this corpus.
"""

_METRIC = "query_metric"
_UNSCORED = Scores()


class TypeCompile:
    """The steps for one document type.

    Args:
        doc_type: the type.
        documents: of this type, drawn and split.
        key_terms: of the whole corpus.
        settings: of the job.
        bench: corpus, model and metric.
        steps: of the run.
        start: compiled programs, for a warm start.
    """

    def __init__(
        self,
        doc_type: str,
        documents: TypeDocuments,
        key_terms: KeyTerms,
        settings: CompileSettings,
        bench: Workbench,
        steps: Steps,
        *,
        start: Sequence[Any] = (),
    ) -> None:
        self.baseline = "nearest" if start else "best_pool_prompt"
        self.baseline_difference = DIFFERENCES[self.baseline]
        self._start = start
        self.doc_type = doc_type
        self.documents = documents
        self.name = safe_name(doc_type)
        self.file = f"compiled/{self.name}.json"
        self.out = steps.directory
        self._key_terms = key_terms
        self._settings = settings
        self._bench = bench
        self._steps = steps
        self.work = f"work/{self.name}"
        self.donor: TypeCompile | None = None
        """The type whose program is gone on with, where that is not this one."""

    @property
    def table(self) -> tuple[str, ...]:
        """The rows of the quality table; the programs of other types and the cheats come beside them."""
        return ("before", self.baseline, *([] if self.donor is None else ["own"]), "after")

    def examples(self, documents: Sequence[Document]) -> list[dspy.Example]:
        """What programs and optimizers take."""
        count = self._settings.queries_per_document
        return [example_of(one, number_of_queries=count, key_terms=self._key_terms) for one in documents]

    @cached_property
    def human(self) -> list[tuple[dspy.Example, str]]:
        """Train documents of this type with what people asked; also those that were not drawn.

        Raises:
            InputError: the queries of people cannot be read, or are of no document of the corpus.
        """
        if self._settings.human is None:
            return []
        corpus = self._bench.corpus
        asked = by_document(read_human_queries(self._settings.human, corpus))
        documents = [one for one in corpus.documents() if one.id in asked and one.doc_type == self.doc_type]
        train = [one for one in split_documents(documents, corpus).train if not one.is_empty]
        return [
            (example, query)
            for document, example in zip(train, self.examples(train), strict=True)
            for query in asked[document.id]
        ]

    @cached_property
    def _prompt_lm(self) -> dspy.LM | None:
        return self._bench.prompt_lm(self._settings)

    def check(self) -> None:
        """Refuse what cannot be compiled, before the documents are indexed for it.

        Raises:
            ConfigurationError: the budget or the documents are too few, or there is no such prompt model.
            InputError: the queries of people cannot be read.
        """
        _ = self._prompt_lm  # needed for a compile that is finished too, and missing here before any is paid for
        if self._settings.human is not None:
            say(f"{len(self.human):,} queries of people are for train documents of '{self.doc_type}'")
        plan_for(
            self.program("before"),
            trainset=self.examples(self.documents.train),
            valset=self.examples(self.documents.validation),
            lm=self._bench.lm,
            budget=self._settings.budget,
            document_type=self.doc_type,
            start=self._start,
        )

    def compile(self) -> dict[str, Any]:
        """Compile, or find that it was done.

        Returns:
            What the optimizer found: scores on validation documents, prompts, notes.
        """
        settings = self._settings
        prompt_address = settings.prompt_api_base
        if settings.prompt_lm is not None:
            prompt_address = prompt_address or self._bench.address(settings.prompt_lm)
        inputs: dict[str, JSON] = {
            **self.measured_with(),
            "train": documents_digest(self.documents.train),
            "validation": documents_digest(self.documents.validation),
            # By what the model is called with its checkpoint: a name stays when what it stands for is another one.
            "prompt_lm": None if self._prompt_lm is None else str(self._prompt_lm.model),
            "prompt_api_base": prompt_address,
            "optimizer": settings.optimizer,
            "budget": settings.budget,
        }
        if self._start:
            inputs["start"] = [program.card.digest for program in self._start]
        if settings.human is not None:
            inputs["human"] = [digest_file(settings.human / name) for name in HUMAN_FILES]
        files = [f"{self.work}/compiled.json", f"{self.work}/{self.baseline}.json", f"trials/{self.name}.jsonl"]
        result: dict[str, Any] = self._steps.do(f"compile {self.doc_type}", inputs, self._compile, files=files)
        return result

    def program(self, row: str) -> Any:
        """The program of a row of the quality table; ``own`` is what was compiled, whether or not another took over."""
        if row == "before":
            return self._student()
        stem = {"own": "compiled", "after": "compiled" if self.donor is None else "exchanged"}.get(row, row)
        return self._of_granularity(load_program(self._steps.directory / self.work / f"{stem}.json"))

    def score(self, row: str, program: Any) -> dict[str, Any]:
        """Score a program on this type's test documents; returns the row of the table."""
        card = getattr(program, "card", None)
        inputs: dict[str, JSON] = {
            **self.measured_with(),
            "program": "uncompiled" if card is None else card.digest,
            "test": documents_digest(self.documents.test),
        }
        file = f"scores/{self.name}/{row}.jsonl"
        label = f"Scoring {self.doc_type}, {row.replace('_', ' ')}"

        def judge() -> list[Judged]:
            examples, bench = self.examples(self.documents.test), self._bench
            found = evaluate_program(program, examples, bench.metric, bench.lm, self._settings.threads, label=label)
            return cast(list[Judged], found)

        step = f"score {self.doc_type}, {row}"
        return score_row(self._steps, step, inputs, file, judge, self._each_query())

    def cheats(self) -> dict[str, Any]:
        """Score what works without a language model on the same test documents; returns a row each."""
        documents = self.documents.test
        lent = [row["query"] for row in self.rows("after")][:: self._settings.queries_per_document]
        inputs: dict[str, JSON] = {
            **self.measured_with(),
            "test": documents_digest(documents),
            "queries": digest(lent),
            "judged": "each alone",
        }
        step = f"cheats {self.doc_type}"
        return score_cheats(self._steps, step, inputs, self._bench, documents, lambda: self._key_terms, lent)

    def rows(self, row: str) -> list[dict[str, Any]]:
        """Each judged query of a row, in the order of the test documents."""
        return judged_lines(self._steps.directory / "scores" / self.name / f"{row}.jsonl")

    def difference(self, before: str, after: str) -> dict[str, float]:
        """Mean score of ``after`` less that of ``before``, with its interval, paired by document."""
        pairs = [self._by_document(row) for row in (before, after)]
        return paired_bootstrap(*pairs, seed=self._settings.seed).as_dict()

    def save(self, found: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> ProgramCard:
        """Write the compiled program with its whole description."""
        validation = found["validation"]
        card = self.card(
            OptimizerRecord(name=found.get("optimizer", self._settings.optimizer), settings=found["settings"]),
            validation=Scores(before=validation.get("before"), after=validation["after"]),
            test=Scores(before=rows["before"]["score"], after=rows["after"]["score"]),
        )
        return save_program(self.program("after"), self._steps.directory / self.file, card)

    def _student(self) -> QueryGenerator:
        plain = QueryGenerator(key_terms=self._key_terms, last_opening=pool_for(self.doc_type).last_opening)
        student: QueryGenerator = self._of_granularity(plain)
        return student

    def _of_granularity(self, program: Any) -> Any:
        return of_granularity({"": program}, self._settings.granularity, self._bench.corpus.documents())[""]

    def _compile(self) -> dict[str, Any]:
        settings, bench = self._settings, self._bench
        directory = self._steps.directory / self.work
        directory.mkdir(parents=True, exist_ok=True)
        compiled = compile_program(
            self._student(),
            trainset=self.examples(self.documents.train),
            valset=self.examples(self.documents.validation),
            metric=bench.metric,
            lm=bench.lm,
            prompt_lm=self._prompt_lm,
            optimizer=settings.optimizer,
            budget=settings.budget,
            seed=settings.seed,
            directory=directory,
            document_type=self.doc_type,
            threads=settings.threads,
            start=self._start,
            human=self.human,
        )
        optimizer = OptimizerRecord(name=compiled.optimizer, settings=compiled.settings)
        card = self.card(optimizer)
        save_program(compiled.program, directory / "compiled.json", card)
        # Scores come later; a run that ends before them leaves a program that can be used.
        save_program(compiled.program, self._steps.directory / self.file, card)
        baseline, prompt = (
            (compiled.nearest_program, compiled.nearest)
            if self._start
            else (compiled.best_pool_program, compiled.best_pool_prompt)
        )
        save_program(cast(dspy.Module, baseline), directory / f"{self.baseline}.json", card)
        trials = (directory / "trials.jsonl").read_text(encoding="utf-8")
        write_text(self._steps.directory / "trials" / f"{self.name}.jsonl", trials)
        (directory / "trials.jsonl").unlink()
        return {
            "validation": dict(compiled.validation),
            "validation_documents": compiled.validation_documents,
            "settings": dict(compiled.settings),
            "labels": compiled.labels,
            **({} if settings.human is None else {"human": len(self.human)}),
            "calls": compiled.calls,
            "chosen": described(compiled.chosen),
            "optimizer": compiled.optimizer,
            self.baseline: described(cast(Candidate, prompt)),
            "notes": list(compiled.notes),
        }

    def measured_with(self) -> dict[str, JSON]:
        """What every score depends on."""
        settings = self._settings
        # Where it is not said, runs of before there were kinds stay what they are.
        kind: dict[str, JSON] = {} if settings.granularity == "document" else {"granularity": settings.granularity}
        return {
            **kind,
            # Everything is searched for among all documents, and key terms are those of all documents.
            "corpus": self._bench.corpus.digest(),
            "lm": str(self._bench.lm.model),
            "api_base": self._bench.address(settings.lm),
            "retriever": self._bench.retriever_key,
            "queries_per_document": settings.queries_per_document,
            "seed": settings.seed,
            **self._bench.asked_with,
        }

    def card(
        self, optimizer: OptimizerRecord, *, validation: Scores = _UNSCORED, test: Scores = _UNSCORED
    ) -> ProgramCard:
        """What is written about a program of this type."""
        learnt = [job.documents for job in (self, self.donor) if job is not None]
        used = [one for documents in learnt for one in (*documents.train, *documents.validation)]
        return ProgramCard(
            document_type=self.doc_type,
            lm=str(self._bench.lm.model),
            adapter=type(adapter_for(self._bench.lm, None)).__name__,
            optimizer=optimizer,
            seed=self._settings.seed,
            metric=MetricRecord(name=_METRIC, validation=validation, test=test),
            data_hash=documents_digest(used),
        )

    def _each_query(self) -> list[Document]:
        return [one for one in self.documents.test for _ in range(self._settings.queries_per_document)]

    def _by_document(self, row: str) -> list[float]:
        count = self._settings.queries_per_document
        scores = [float(line["score"]) for line in self.rows(row)]
        return [sum(scores[at : at + count]) / count for at in range(0, len(scores), count)]


def described(candidate: Candidate) -> dict[str, JSON]:
    """What ``summary.json`` says of a prompt."""
    return {
        "instruction": candidate.instruction,
        "form": candidate.form,
        "demonstrations": len(candidate.demonstrations),
        "origin": candidate.origin,
    }
