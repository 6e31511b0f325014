"""The steps of tuning a generator: sample, judge, pair, train, export; again; and the scores of all of it.

::

    <run>/rounds/<n>/candidates.jsonl, pairs.jsonl      what was sampled, and what was preferred
    <run>/rounds/<n>/training/                          checkpoints and train.jsonl
    <run>/rounds/<n>/generator/model.gguf, adapter/     the tuned model after the round
    <run>/scores/<row>.jsonl                                each query for each test document, judged
    <run>/generator/                                        the last round's model with a card and the program
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dspy

from inpars_plus.corpora import Document
from inpars_plus.corpora.documents import documents_digest
from inpars_plus.experiments.human_queries import HUMAN_FILES, by_document, read_human_queries
from inpars_plus.experiments.tuning_documents import fitting_documents, long_documents, program_and_documents
from inpars_plus.experiments.tuning_samples import (
    judged_candidates,
    sample_round,
    sampling_plan,
)
from inpars_plus.experiments.tuning_scores import TuningScores
from inpars_plus.experiments.workbench import MakeLm, Steps, Workbench
from inpars_plus.foundation import (
    JSON,
    ConfigurationError,
    InputError,
    copy_folder,
    digest,
    digest_file,
    read_lines,
    replacing_folder,
    say,
    write_bytes,
    write_json,
    write_lines,
)
from inpars_plus.foundation.memory import give_back_memory
from inpars_plus.lms import is_local, load_lm
from inpars_plus.lms.embedded import TUNED_CARD, TUNED_WEIGHTS, local_model, release_pipelines, shared_pipeline
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

if TYPE_CHECKING:
    from inpars_plus.experiments.tune_generator import TuneSettings

__all__ = ["Tuning"]

_LEAST_PAIRS = 16
_CARD_SCORES = ("before", "before_sampled", "after", "after_sampled", "difference", "difference_sampled")


class Tuning:
    """The steps for one program.

    Args:
        settings: of the job.
        bench: corpus, model and metric.
        make_lm: makes the language models instead of their names.
    """

    steps: Steps

    def __init__(self, settings: TuneSettings, bench: Workbench, make_lm: MakeLm | None = None) -> None:
        self.settings = settings
        self.bench = bench
        self._make_lm = make_lm
        self._refuse_unknown_models()
        self.program, self.documents = program_and_documents(settings, bench, self._lm(settings.lm))
        self._human = by_document(read_human_queries(settings.human, bench.corpus)) if settings.human else {}
        self.doc_type = self.program.card.document_type
        self.generator = settings.out / "generator"

    def do(self, steps: Steps) -> dict[str, Any]:
        """Every step, recorded in those of a run; returns what ``summary.json`` says of this type."""
        self.steps = steps
        lm, rounds = self.settings.lm, []
        self._check_base()
        self._leave_out_long()
        openings = self._lm(lm).engine.openings or OPENINGS
        for number in range(1, self.settings.rounds + 1):
            say(f"Round {number} of {self.settings.rounds}: {lm} writes")
            rounds.append(self._round(number, lm, openings))
            openings = tuple(rounds[-1]["sampled"]["openings"])
            lm = str(self.settings.out / self._work(number) / "generator")
        self._assemble(lm, rounds)
        test = self._scored(openings)
        self._describe(rounds, test)
        return {
            "documents": {
                "train": len(self.documents.train),
                "validation": len(self.documents.validation),
                "test": len(self.documents.test),
            },
            "rounds": rounds,
            "generator": "generator",
            "test": test,
        }

    def _check_base(self) -> None:
        """Refuse a base that cannot be tuned, or that has another tokenizer, before anything is paid for."""
        lm = self.settings.lm
        base = self.settings.base or lm
        if base == lm == "embedded":
            return
        inputs: dict[str, JSON] = {"base": self._model_digest(base), "lm": self._model_digest(lm)}

        def work() -> None:
            from inpars_plus.optimizers.generators.models import check_tokens, check_trainable, load_base

            loaded = load_base(base)
            check_trainable(loaded)
            if is_local(lm):
                check_tokens(loaded, shared_pipeline(local_model(lm).path))

        self.steps.do("check the base model", inputs, work)

    def _leave_out_long(self) -> None:
        """Leave out what could not be trained on before it is paid for."""
        settings = self.settings
        documents = [*self.documents.train, *self.documents.validation]
        name = settings.lm if is_local(settings.lm) else str(settings.base)  # which cut text into the same tokens
        inputs: dict[str, JSON] = {
            "documents": documents_digest(documents),
            "program": self.program.card.digest,
            "lm": self._model_digest(name),
        }

        def work() -> list[str]:
            pipeline = shared_pipeline(local_model(name).path, single_stream=settings.single_stream)
            return long_documents(self.program, documents, self._lm(settings.lm), pipeline)

        long = set(self.steps.do("long prompts", inputs, work))
        self.documents = fitting_documents(self.documents, long, settings)

    def _refuse_unknown_models(self) -> None:
        """Teachers and models to compare with are needed late, so what is wrong with their names is told now."""
        settings = self.settings
        others = [*settings.teacher, *settings.compare]
        for name in others:
            self._lm(name)
        if settings.api_base is not None and all(is_local(name) for name in others):
            raise ConfigurationError(
                "an address was given, but every model that is named runs on this machine",
                place="--api-base",
                remedy="Leave it out, or name the server's model with --teacher",
            )
        providers = sorted({name.partition("/")[0] for name in others if not is_local(name)})
        if settings.api_base is not None and len(providers) > 1:
            raise ConfigurationError(
                f"there is one address, and models of {' and '.join(providers)}: it would get the keys of all",
                place="--api-base",
                remedy=f"Leave it out, and set {providers[0].upper()}_API_BASE, or another's, in the environment",
            )

    def hashes(self) -> dict[str, str]:
        """Digests of what was read and written."""
        return {
            "program": self.program.card.digest,
            "generator": weights_digest(local_model(str(self.generator)).path),
        }

    def _work(self, number: int) -> str:
        return f"rounds/{number}"

    def _round(self, number: int, lm_name: str, openings: tuple[str, ...]) -> dict[str, Any]:
        from inpars_plus.optimizers.generators.export import EXPORT_FORM

        settings = self.settings
        count = min(settings.train_documents, len(self.documents.train) // settings.rounds)
        documents = self.documents.train[(number - 1) * count : number * count]
        inputs: dict[str, JSON] = {
            "corpus": self.bench.corpus.digest(),
            "program": self.program.card.digest,
            "documents": documents_digest(documents),
            "lm": self._model_digest(lm_name),
            "retriever": self.bench.retriever_key,
            "samples": settings.samples,
            "openings": list(openings),
            "guarded": settings.guarded,
            **({"offer_cheats": True} if settings.offer_cheats else {}),
            **self._others(),
            **self.bench.asked_with,
            "seed": settings.seed,
            "single_stream": settings.single_stream,  # here also where it is false, as runs of before have it
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
            "validation": documents_digest(self.documents.validation) if settings.validation_documents else None,
            "patience": settings.patience,
            "seed": settings.seed,
            "single_stream": settings.single_stream,
        }
        trained = self.steps.do(
            f"train, round {number}",
            {**train_inputs, "export": EXPORT_FORM},  # which no checkpoint depends on: what is trained is kept
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
            found["human"] = [digest_file(settings.human / name) for name in HUMAN_FILES]
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
            human=self._human,
        )
        release_pipelines()  # the model that judges needs the room
        give_back_memory()
        scored, told = judged_candidates(self.bench, documents, candidates, openings=openings, guarded=settings.guarded)
        path = settings.out / self._work(number) / "candidates.jsonl"
        write_lines(path, [one.model_dump() for one in scored])
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
            patience=settings.patience,
            seed=settings.seed,
            program=self.program,
            lm=self._lm(settings.lm),
            metric=self.bench.metric,
            validation=self.documents.validation if settings.validation_documents else [],
            key=key,
        )
        give_back_memory()
        return result

    def _adapter(self, number: int) -> Path:
        return self.settings.out / self._work(number) / "adapter" / "adapter_model.safetensors"

    def _assemble(self, last: str, rounds: Sequence[dict[str, Any]]) -> None:
        """The directory that people take: model and program, with a card that serving needs."""
        inputs: dict[str, JSON] = {
            "model": self._model_digest(last),
            "weights for torch": weights_digest(Path(last) / TUNED_WEIGHTS),
            "program": self.program.card.digest,
            "openings": rounds[-1]["sampled"]["openings"],
        }
        files = ["program.json", *sorted(one.name for one in Path(last).iterdir())]

        def work() -> None:
            with replacing_folder(self.generator) as half:
                copy_folder(Path(last), half)
                write_bytes(half / "program.json", cast(Path, self.program.card.path).read_bytes())
                write_json(half / TUNED_CARD, self._card(rounds))

        self.steps.do("generator", inputs, work, files=[f"generator/{name}" for name in files])
        if not (self.generator / TUNED_CARD).is_file():  # no file of the step, because the scores come into it later
            write_json(self.generator / TUNED_CARD, self._card(rounds))

    def _describe(self, rounds: Sequence[dict[str, Any]], test: Mapping[str, Any]) -> None:
        """The card with the scores, once there are any."""
        card = {**self._card(rounds), "scores": {name: test[name] for name in _CARD_SCORES}}
        path = f"generator/{TUNED_CARD}"
        self.steps.do("card", card, lambda: write_json(self.settings.out / path, card), files=[path])

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
        parts = (self.program, self.documents.test, settings, self.bench, self.steps)
        scores = TuningScores(*parts, make_lm=self._lm, digest=self._any_digest)
        return scores.all(before=settings.lm, tuned=str(self.generator), openings=openings)

    def _lm(self, name: str, *, temperature: float = 0.0, openings: tuple[str, ...] | None = None) -> dspy.LM:
        settings = self.settings
        if self._make_lm is not None:
            lm = self._make_lm(name, self.bench.store)
        elif not is_local(name):
            lm = self.bench.model(name, settings.api_base, temperature=temperature)
        else:  # caps and addresses are for hosted models
            lm = load_lm(
                name,
                store=self.bench.store,
                seed=settings.seed,
                single_stream=settings.single_stream,
                temperature=temperature,
                max_tokens=settings.max_reply_tokens,
            )
        if openings is not None:
            lm.engine.openings = openings
        return lm

    def _model_digest(self, name: str) -> str:
        if self._make_lm is not None and not is_local(name):
            return name  # it has no weights
        return weights_digest(local_model(name).path)

    def _any_digest(self, name: str) -> str:
        if is_local(name):
            return self._model_digest(name)
        address = self.bench.address(name)
        return f"{name} at {address}" if address else name
