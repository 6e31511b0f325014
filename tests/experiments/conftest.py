"""A small world for the jobs: a corpus on disk, a scripted model that writes better with demonstrations, a scorer."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dspy
import pytest

from inpars_plus.corpora import Document, Judgment, Query, write_beir, write_documents
from inpars_plus.experiments.compile_programs import CompileSettings
from inpars_plus.experiments.generate_queries import GenerateSettings
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.tune_generator import TuneSettings
from inpars_plus.foundation import append_lines
from inpars_plus.lms import CompletionScore, ReplyStore, scripted_lm
from inpars_plus.programs import QueryGenerator, load_program, save_program

MACHINES = ("pump", "valve", "turbine", "boiler", "compressor", "gearbox", "furnace", "crane")
TROUBLES = ("leaks", "overheats", "rattles", "stalls", "corrodes", "vibrates", "freezes", "jams")
STARTS = ("why", "when", "how often", "under what load")


def row(number: int, doc_type: str = "manual") -> dict[str, Any]:
    """One document about one machine and one trouble."""
    machine, trouble = MACHINES[number % 8], TROUBLES[(number // 8 + number) % 8]
    text = (
        f"The {machine} of unit {doc_type}x{number} {trouble} after some weeks. A worn seal was the reason in most "
        f"cases. Replacing it in time keeps the plant running, and the {machine} needs no other care."
    )
    return {"id": f"{doc_type}-{number}", "title": f"{machine} {number}", "text": text, "doc_type": doc_type}


def write_corpus(path: Path, count: int, *types: str) -> Path:
    """A JSON Lines corpus with so many documents of each type."""
    rows = [row(number, doc_type) for doc_type in types or ("manual",) for number in range(count)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def write_query(prompt: str) -> str:
    """A good query with a probability that depends on the demonstrations shown; the same prompt has the same reply."""
    *shown, last = re.split(r"Document:", prompt)
    good = min(4, sum("seal" in one for one in shown))
    draw = int(hashlib.sha256(f"{last}{good}{shown[0] if shown else ''}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    found = re.search(r"The (\w+) of unit (\w+)", last)
    if found and draw < 0.25 + 0.18 * good:
        return f" {STARTS[int(draw * 1000) % 4]} does the {found[1]} of {found[2]} lose its seal"
    return f" {STARTS[int(draw * 1000) % 4]} do machines break down in plants"


def write_candidate(prompt: str) -> str:
    """A query that goes on from its opening, half of them good."""
    found = re.findall(r"The (\w+) of unit (\w+)", prompt)
    opening = "" if prompt.endswith(":") else " "
    start = "" if opening else " why"
    if not found or int(hashlib.sha256(prompt.encode()).hexdigest()[:8], 16) % 2:
        return f"{start} do machines break down in plants"
    return f"{start} does the {found[-1][0]} of {found[-1][1]} lose its seal"


class FlatScorer:
    """Finds every completion equally natural, so that no model is loaded."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        return [CompletionScore((-4.0,) * len(completion.split())) for _, completion in pairs]


class World:
    """Makes the models of a run and remembers what they were asked.

    Args:
        log: where each prompt's digest goes, for runs that are killed.
        seconds: pause of each call.
        settings: of the scripted model.
    """

    def __init__(
        self,
        *,
        log: Path | None = None,
        seconds: float = 0.0,
        replies: Callable[[str], str] = write_query,
        **settings: Any,
    ) -> None:
        self.models: list[dspy.LM] = []
        self._log = log
        self._seconds = seconds
        self._replies = replies
        self._settings = settings

    def make_lm(self, name: str, store: ReplyStore | None) -> dspy.LM:
        def reply(prompt: str) -> str:
            if self._log is not None:
                append_lines(self._log, [{"key": hashlib.sha256(prompt.encode()).hexdigest()}])
            time.sleep(self._seconds)
            return self._replies(prompt)

        self.models.append(scripted_lm(reply, store=store, name=name, num_retries=0, **self._settings))
        return self.models[-1]

    @property
    def calls(self) -> int:
        return sum(len(model.engine.prompts) for model in self.models)

    @property
    def parts(self) -> dict[str, Any]:
        """What a job takes instead of a real model."""
        return {"make_lm": self.make_lm, "scorer": FlatScorer()}


def compile_settings(corpus: Path, out: Path, **values: Any) -> CompileSettings:
    """A small compile."""
    small = {"lm": "scripted", "retriever": "bm25", "budget": 150, "test_documents": 24, "threads": 4, "analyst": False}
    return make_settings(CompileSettings, "compile-programs", corpus=str(corpus), out=out, **{**small, **values})


def generate_settings(corpus: Path, programs: Path, out: Path, **values: Any) -> GenerateSettings:
    """A small generation."""
    small = {"lm": "scripted", "retriever": "bm25", "threads": 4}
    return make_settings(
        GenerateSettings, "generate-queries", corpus=str(corpus), programs=programs, out=out, **{**small, **values}
    )


def tune_settings(corpus: Path, programs: Path, out: Path, base: Path, **values: Any) -> TuneSettings:
    """A small tuning of a tiny model on what a scripted one wrote."""
    small = {"lm": "scripted", "base": str(base), "retriever": "bm25", "threads": 4, "train_documents": 24, "rounds": 2}
    small |= {"loss": "cpo", "validation_documents": 4, "test_documents": 16, "samples": 8}
    return make_settings(
        TuneSettings, "tune-generator", corpus=str(corpus), programs=programs, out=out, **{**small, **values}
    )


@pytest.fixture(scope="session")
def gemma(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of an architecture that has no GGUF form here."""
    from transformers import GemmaConfig, GemmaForCausalLM

    made: Any = GemmaForCausalLM
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "head_dim": 16}
    folder = tmp_path_factory.mktemp("models") / "gemma"
    made(GemmaConfig(vocab_size=288, num_attention_heads=2, num_key_value_heads=1, **sizes)).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_directory(kinds: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in Hugging Face's form. Its tokens are parts of words: with a byte a token, attention takes long."""
    folder = tmp_path_factory.mktemp("tiny")
    kinds.model("llama", tied=True).save_pretrained(folder)
    kinds.tokenizer(kinds.qwen).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def titled() -> list[Document]:
    """120 documents with titles, one about each trouble of each machine."""
    machines = (*MACHINES, "lathe", "kiln", "fan", "drill")
    troubles = (*TROUBLES, "smokes", "sticks")
    return [
        Document(
            id=f"{machine}-{trouble}",
            title=f"Why the {machine} {trouble} at night",
            text=f"Look at its seal first. The {machine} {trouble} when the night shift forgets to close it.",
        )
        for machine in machines
        for trouble in troubles
    ]


@pytest.fixture
def titled_corpus(titled: list[Document], tmp_path: Path) -> Path:
    """The same in BEIR's layout."""
    write_documents(tmp_path / "corpus" / "corpus.jsonl", titled)
    return tmp_path / "corpus"


@pytest.fixture
def judged_corpus(titled: list[Document], titled_corpus: Path) -> Path:
    """The same with judged queries for the first 40 of them."""
    asked = titled[:40]
    queries = [Query(id=f"p-{one.id}", text=f"{one.id.replace('-', ' that ')} at night") for one in asked]
    judgments = [Judgment(query_id=f"p-{one.id}", document_id=one.id) for one in asked]
    write_beir(titled_corpus, queries=queries, judgments=judgments, split="test")
    return titled_corpus


def write_generated(documents: Sequence[Document], at: Path, text: str = "how to mend a {}") -> Path:
    """A query for each document, as ``generate-queries`` writes them; ``{}`` stands for what the document is about."""
    queries = [Query(id=f"q-{one.id}", text=text.format(one.id.replace("-", " that "))) for one in documents]
    judgments = [Judgment(query_id=f"q-{one.id}", document_id=one.id) for one in documents]
    write_beir(at, queries=queries, judgments=judgments)
    return at


@pytest.fixture(scope="session")
def small() -> Any:
    """Everything of this file, for test modules, which cannot import it."""
    return SimpleNamespace(**globals())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus of 120 documents of one type."""
    return write_corpus(tmp_path / "corpus.jsonl", 120)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of a finished compile for the type ``manual``."""
    from inpars_plus.experiments.compile_programs import compile_programs

    folder = tmp_path_factory.mktemp("compiled")
    settings = compile_settings(write_corpus(folder / "corpus.jsonl", 120), folder / "run")
    compile_programs(settings, **World().parts)
    return folder / "run"


@pytest.fixture
def compiled_as(compiled: Path, tmp_path: Path) -> Any:
    """The compiled program for manuals as one that was compiled for a kind of queries."""

    def save(kind: type[QueryGenerator]) -> Path:
        program: Any = load_program(compiled / "compiled" / "manual.json")
        save_program(kind.from_program(program), tmp_path / "program.json", program.card)
        return tmp_path / "program.json"

    return save
