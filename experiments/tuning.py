"""The steps of tuning a generator: sample, judge, pair, train, export; again; and the scores of all of it.

::

    <run>/rounds/<n>/candidates.jsonl, pairs.jsonl      what was sampled, and what was preferred
    <run>/rounds/<n>/training/                          checkpoints and train.jsonl
    <run>/rounds/<n>/generator/model.gguf, adapter/     the tuned model after the round
    <run>/scores/<row>.jsonl                                each query for each test document, judged
    <run>/generator/                                        the last round's model with a card and the program
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.corpora import Document
from inpars_plus.experiments.selection import TypeDocuments, documents_by_type
from inpars_plus.experiments.tuning_samples import human_queries, judged_candidates, sample_round, sampling_plan
from inpars_plus.experiments.tuning_scores import TuningScores
from inpars_plus.experiments.workbench import MakeLm, Steps, Workbench, documents_digest
from inpars_plus.foundation import JSON, ConfigurationError, digest, digest_file, read_lines, say, write_json
from inpars_plus.foundation.errors import InputError
from inpars_plus.foundation.files import append_lines
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.lms import is_local, load_lm
from inpars_plus.lms.embedded import TUNED_FILE, TUNED_WEIGHTS, local_model, release_pipelines, shared_pipeline
from inpars_plus.lms.torch_models import weights_digest
from inpars_plus.optimizers.generators.candidates import ScoredCandidate
from inpars_plus.optimizers.generators.pairs import (
    PairSettings,
    choose_pairs,
    pair_counts,
    read_pairs,
    write_pairs,
)
from inpars_plus.optimizers.generators.sampling import OPENINGS
from inpars_plus.programs import list_programs, load_program

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings

__all__ = ["Tuning", "program_and_documents"]

_LEAST_PAIRS = 16


class Tuning:
    """The steps for one program.

    Args:
        settings: of the job.
        bench: corpus, model and metric.
        steps: of the run.
        make_lm: makes the language models instead of their names.
    """

    def __init__(self, settings: TuneSettings, bench: Workbench, steps: Steps, make_lm: MakeLm | None = None) -> None:
        self.settings = settings
        self.bench = bench
        self.steps = steps
        self._make_lm = make_lm
        self.program, self.documents = program_and_documents(settings, bench)
        self.doc_type = self.program.card.document_type
        self.generator = settings.out / "generator"

    def do(self) -> dict[str, Any]:
        """Every step; returns what ``summary.json`` says of this type."""
        lm, rounds = self.settings.lm, []
        self._check_base()
        openings = self._lm(lm).engine.openings or OPENINGS
        for number in range(1, self.settings.rounds + 1):
            say(f"Round {number} of {self.settings.rounds}: {lm} writes")
            rounds.append(self._round(number, lm, openings))
            openings = tuple(rounds[-1]["sampled"]["openings"])
            lm = str(self.settings.out / self._work(number) / "generator")
        self._assemble(lm, rounds)
        return {
            "documents": {
                "train": len(self.documents.train),
                "validation": len(self.documents.validation),
                "test": len(self.documents.test),
            },
            "rounds": rounds,
            "generator": "generator",
            "test": self._scored(openings),
        }

    def _check_base(self) -> None:
        """Refuse a base that cannot be read, or that has another tokenizer, before anything is paid for."""
        base, lm = self.settings.base, self.settings.lm
        if base is None or base == lm:
            return
        inputs: dict[str, JSON] = {"base": self._model_digest(base), "lm": self._model_digest(lm)}

        def work() -> None:
            from inpars_plus.optimizers.generators.models import check_tokens, load_base

            loaded = load_base(base)
            if is_local(lm):
                check_tokens(loaded, shared_pipeline(local_model(lm).path))

        self.steps.do("check the base model", inputs, work)

    def hashes(self) -> dict[str, str]:
        """Digests of what was read and written."""
        return {
            "program": self.program.card.digest,
            "generator": weights_digest(local_model(str(self.generator)).path),
        }

    def _work(self, number: int) -> str:
        return f"rounds/{number}"

    def _round(self, number: int, lm_name: str, openings: tuple[str, ...]) -> dict[str, Any]:
        settings = self.settings
        count = settings.train_documents
        documents = self.documents.train[(number - 1) * count : number * count]
        inputs: dict[str, JSON] = {
            "corpus": self.bench.corpus.digest(),
            "program": self.program.card.digest,
            "documents": documents_digest(documents),
            "lm": self._model_digest(lm_name),
            "retriever": settings.retriever,
            "samples": settings.samples,
            "openings": list(openings),
            "guarded": settings.guarded,
            **self._others(),
            "seed": settings.seed,
            "single_stream": settings.single_stream,
        }
        folder = self._work(number)
        files = [f"{folder}/candidates.jsonl"]
        sampled = self.steps.do(
            f"sample, round {number}", inputs, lambda: self._sample(number, lm_name, documents, openings), files=files
        )
        kind = self._loss(number)
        pairs_inputs: dict[str, JSON] = {
            "candidates": digest_file(settings.out / files[0]),
            "rule": settings.pairs_rule,
            "guarded": settings.guarded,
            "seed": settings.seed,
        }
        pairs = self.steps.do(
            f"pairs, round {number}", pairs_inputs, lambda: self._pairs(number), files=[f"{folder}/pairs.jsonl"]
        )
        train_inputs: dict[str, JSON] = {
            "pairs": digest_file(settings.out / folder / "pairs.jsonl"),
            "base": self._model_digest(settings.base or settings.lm),
            "before": None if number == 1 else digest_file(self._adapter(number - 1)),
            "loss": kind,
            "learning_rate": settings.learning_rate,
            "epochs": settings.epochs,
            "validation": documents_digest(self.documents.validation),
            "seed": settings.seed,
        }
        trained = self.steps.do(
            f"train, round {number}",
            train_inputs,
            lambda: self._train(number, kind, digest(train_inputs)),
            files=[f"{folder}/adapter", f"{folder}/generator"],
        )
        written_by = lm_name if number == 1 else f"{self._work(number - 1)}/generator"
        return {"lm": written_by, "loss": kind, "sampled": sampled, "pairs": pairs, "training": trained}

    def _others(self) -> dict[str, JSON]:
        """Who else wrote candidates; nothing where nobody did."""
        settings, found = self.settings, dict[str, JSON]()
        if settings.teacher:
            found["teacher"] = [self._any_digest(name) for name in settings.teacher]
        if settings.human is not None:
            found["human"] = digest_file(settings.human / "queries.jsonl")
        return found

    def _loss(self, number: int) -> str:
        if self.settings.loss == "sft-cpo":
            return "sft" if number == 1 else "cpo"
        return self.settings.loss

    def _sample(
        self, number: int, lm_name: str, documents: Sequence[Document], openings: tuple[str, ...]
    ) -> dict[str, Any]:
        settings = self.settings
        candidates = sample_round(
            self.program,
            documents,
            self._lm(lm_name),
            settings,
            plan=sampling_plan(settings, openings),
            seed=settings.seed * 100 + number,
            teachers={name: self._lm(name) for name in settings.teacher},
            human=human_queries(settings.human, self.bench.corpus) if settings.human else {},
        )
        scored, told = judged_candidates(self.bench, documents, candidates, openings=openings, guarded=settings.guarded)
        path = settings.out / self._work(number) / "candidates.jsonl"
        path.unlink(missing_ok=True)
        append_lines(path, [one.model_dump() for one in scored])
        return told

    def _pairs(self, number: int) -> dict[str, Any]:
        folder = self.settings.out / self._work(number)
        candidates: dict[str, list[ScoredCandidate]] = {}
        for _, line in read_lines(folder / "candidates.jsonl"):
            one = ScoredCandidate.model_validate(line)
            candidates.setdefault(one.document_id, []).append(one)
        pairs = choose_pairs(
            candidates,
            PairSettings(rule=self.settings.pairs_rule, guarded=self.settings.guarded),
            seed=self.settings.seed,
        )
        if len(pairs) < _LEAST_PAIRS:
            raise InputError(
                f"{len(candidates)} documents gave {len(pairs)} preference pairs, but {_LEAST_PAIRS} are needed",
                place=str(folder / "candidates.jsonl"),
                remedy="Give more --train-documents or --samples; what was sampled is kept",
            )
        write_pairs(folder / "pairs.jsonl", pairs)
        return pair_counts(pairs)

    def _train(self, number: int, kind: str, key: str) -> dict[str, Any]:
        from inpars_plus.experiments.tuning_training import train_round

        settings = self.settings
        folder = settings.out / self._work(number)
        before = None if number == 1 else self._adapter(number - 1)
        release_pipelines()  # the memory of serving is needed for training
        give_back_memory()
        result = train_round(
            base_name=settings.base or settings.lm,
            pairs=read_pairs(folder / "pairs.jsonl"),
            folder=folder,
            before=before,
            kind=kind,
            learning_rate=settings.learning_rate,
            epochs=settings.epochs,
            seed=settings.seed,
            program=self.program,
            lm=self.bench.lm,
            metric=self.bench.metric,
            validation=self.documents.validation if settings.validation_documents else [],
            key=key,
        )
        give_back_memory()
        return result

    def _adapter(self, number: int) -> Path:
        return self.settings.out / self._work(number) / "adapter" / "adapter_model.safetensors"

    def _assemble(self, last: str, rounds: Sequence[dict[str, Any]]) -> None:
        """The directory that people take: model, card, program."""
        inputs: dict[str, JSON] = {"model": self._model_digest(last), "program": self.program.card.digest}

        def work() -> None:
            self.generator.mkdir(parents=True, exist_ok=True)
            for name in (TUNED_FILE, TUNED_WEIGHTS):
                source, target = Path(last) / name, self.generator / name
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
                elif source.exists():
                    shutil.copyfile(source, target)
            shutil.copyfile(cast(Path, self.program.card.path), self.generator / "program.json")
            write_json(self.generator / "card.json", self._card(rounds))

        self.steps.do("generator", inputs, work, files=["generator"])

    def _card(self, rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
        settings = self.settings
        return {
            "format": "inpars-plus tuned generator",
            "format_version": 1,
            "openings": rounds[-1]["sampled"]["openings"],
            "base": settings.base or settings.lm,
            "base_digest": self._model_digest(settings.base or settings.lm),
            "program": {"digest": self.program.card.digest, "document_type": self.doc_type},
            "data": [
                digest_file(settings.out / self._work(number) / "pairs.jsonl") for number in range(1, len(rounds) + 1)
            ],
            "settings": self.bench.redacted(),
            "rounds": list(rounds),
        }

    def _scored(self, openings: tuple[str, ...]) -> dict[str, Any]:
        settings = self.settings
        scores = TuningScores(
            self.program,
            self.documents.test,
            settings,
            self.bench,
            self.steps,
            make_lm=self._lm,
            digest=self._any_digest,
        )
        return scores.all(before=settings.lm, tuned=str(self.generator), openings=openings)

    def _lm(self, name: str, *, temperature: float = 0.0, openings: tuple[str, ...] | None = None) -> dspy.LM:
        settings = self.settings
        if self._make_lm is not None:
            lm = self._make_lm(name, self.bench.store)
        else:
            lm = load_lm(
                name,
                store=self.bench.store,
                seed=settings.seed,
                single_stream=settings.single_stream,
                temperature=temperature,
            )
        if openings is not None:
            lm.engine.openings = openings
        return lm

    def _model_digest(self, name: str) -> str:
        if self._make_lm is not None and not is_local(name):
            return name  # it has no weights
        return weights_digest(local_model(name).path)

    def _any_digest(self, name: str) -> str:
        return self._model_digest(name) if is_local(name) else name


def program_and_documents(settings: TuneSettings, bench: Workbench) -> tuple[Any, TypeDocuments]:
    """The compiled program that is tuned for, and the documents of its type.

    Raises:
        ProgramFileError: there is no program at the path.
        ConfigurationError: there are several and none was named, or too few documents.
    """
    program = load_program(_program_file(settings), lm=bench.lm)
    doc_type = program.card.document_type
    types = bench.corpus.types()
    if doc_type not in types:
        raise ConfigurationError(
            f"the program was compiled for '{doc_type}', but the corpus has {', '.join(types)}",
            place=str(program.card.path),
            remedy="Name the type of the documents, as in --corpus PATH:TYPE, or another program",
        )
    counts = {
        "train": settings.train_documents * settings.rounds,
        "validation": max(4, settings.validation_documents),
        "test": settings.test_documents,
    }
    found = documents_by_type(bench.corpus, [doc_type], counts=counts, seed=settings.seed, skip_small=False)[doc_type]
    return program, found


def _program_file(settings: TuneSettings) -> Path:
    path = settings.programs
    if not path.is_dir():
        return path
    directory = path / "compiled" if (path / "compiled").is_dir() else path
    cards = {card.document_type: card for card in list_programs(directory)}
    if settings.doc_type is None and len(cards) == 1:
        return cast(Path, next(iter(cards.values())).path)
    if settings.doc_type in cards:
        return cast(Path, cards[settings.doc_type].path)
    there = ", ".join(cards) or "none"
    asked = "no --doc-type was given" if settings.doc_type is None else f"none is for '{settings.doc_type}'"
    raise ConfigurationError(
        f"{asked}, and the directory has programs for: {there}",
        place=str(directory),
        remedy="Name one with --doc-type, or give its file with --programs",
    )
