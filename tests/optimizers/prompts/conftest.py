"""A small world in which only the right instruction and good demonstrations help, for tests of compiling."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.files import append_lines
from inpars_plus.lms import Draw, Engine, EngineLM, Reply, ReplyStore
from inpars_plus.programs import KeyTerms, QueryGenerator, example_of

GOOD_INSTRUCTION = "Answers from a forum, each followed by the title of the question."

_MACHINES = ("pump", "valve", "turbine", "boiler", "compressor", "gearbox", "furnace", "crane")
_TROUBLES = ("leaks", "overheats", "rattles", "stalls", "corrodes", "vibrates", "freezes", "jams")
_STARTS = ("why", "when", "how often", "under what load")


def toy_documents(count: int, prefix: str) -> list[Document]:
    """Distinct documents about one machine and one trouble each."""
    found = []
    for number in range(count):
        machine, trouble = _MACHINES[number % 8], _TROUBLES[(number // 8 + number) % 8]
        text = (
            f"The {machine} of unit {prefix}{number} {trouble} after some weeks. A worn seal was the reason "
            f"in most cases. Replacing it in time keeps the plant running, and the {machine} needs no other care."
        )
        found.append(Document(id=f"{prefix}{number}", text=text, doc_type="faq-answer"))
    return found


class ToyModel(Engine):
    """Writes a good query with a probability that depends on the prompt alone: instruction and demonstrations.

    The draw is a hash of the document and the prompt's setting, so that the same prompt has the same reply.
    """

    prefers_completion = True

    def __init__(
        self,
        *,
        log: str | None = None,
        fault: Callable[[int, str], str | None] | None = None,
        store: ReplyStore | None = None,
    ) -> None:
        super().__init__(name="embedded@00000000", identity="toy", store=store)
        self.prompts: list[str] = []
        self._log = log
        self._fault = fault
        self._toy_lock = threading.Lock()

    def _generate(self, request: Request, draw: Draw) -> Reply:
        prompt = "\n".join(part.text for message in request.messages for part in message.parts)
        with self._toy_lock:
            self.prompts.append(prompt)
            number = len(self.prompts)
        reply = self._fault(number, prompt) if self._fault else None
        if reply is None:
            reply = self._write(prompt)
        if self._log:
            append_lines(self._log, [{"key": hashlib.sha256(prompt.encode()).hexdigest()}])
        return Reply(text=reply, prompt_tokens=len(prompt) // 4, completion_tokens=8)

    def _write(self, prompt: str) -> str:
        *shown, last = re.split("Document:|Text:", prompt)  # as the pool's forms name it
        good = sum("seal" in one for one in shown)
        chance = 0.15 + 0.25 * (GOOD_INSTRUCTION in shown[0]) + 0.14 * min(good, 4)
        draw = int(hashlib.sha256(f"{last}{good}{shown[0]}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        machine, name = re.search(r"The (\w+) of unit (\w+)", last).groups()  # type: ignore[union-attr]
        start = _STARTS[int(draw * 1000) % len(_STARTS)]
        if draw < chance:
            return f" {start} does the {machine} of {name} lose its seal"
        return f" {start} do machines break down in a plant"


@dataclass(frozen=True)
class ToyJudged:
    query: str | None
    accepted: bool
    score: float
    reason: str | None = None


class ToyMetric:
    """A query is worth 1 when it names its document and the seal, .2 when it is any query, 0 when there is none."""

    def __init__(self) -> None:
        self.judged = 0

    def judge(self, pairs: Sequence[tuple[Document, str | None]]) -> list[ToyJudged]:
        self.judged += len(pairs)
        return [self._one(document, query) for document, query in pairs]

    def _one(self, document: Document, query: str | None) -> ToyJudged:
        if query is None:
            return ToyJudged(None, False, 0.0)
        good = document.id in query and "seal" in query
        return ToyJudged(query, good, 1.0 if good else 0.2)

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float | bool | dspy.Prediction:
        queries = pred.get("queries") or [None]
        judged = self._one(gold.source, queries[0])
        if pred_name is not None:
            return dspy.Prediction(score=judged.score, feedback="it does not name the unit and the seal")
        return judged.accepted if trace is not None else judged.score


@dataclass(frozen=True)
class Toy:
    """All that a compile takes."""

    student: QueryGenerator
    train: list[dspy.Example]
    validation: list[dspy.Example]
    test: list[dspy.Example]
    metric: ToyMetric
    engine: ToyModel

    @property
    def lm(self) -> EngineLM:
        return EngineLM(self.engine, temperature=0.0, num_retries=0)

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "student": self.student,
            "trainset": self.train,
            "valset": self.validation,
            "metric": self.metric,
            "lm": self.lm,
            "threads": 4,
        }


def make_toy(engine: ToyModel | None = None, *, documents: int = 60) -> Toy:
    """The toy world with an engine of one's own."""
    sets = [toy_documents(documents, prefix) for prefix in ("a", "b", "c")]
    key_terms = KeyTerms.fit([document for one in sets for document in one])
    examples = [[example_of(document, key_terms=key_terms) for document in one] for one in sets]
    return Toy(QueryGenerator(key_terms=key_terms), *examples, ToyMetric(), engine or ToyModel())


@pytest.fixture
def toy() -> Toy:
    return make_toy()


@pytest.fixture
def toy_with() -> Callable[..., Toy]:
    """Makes a toy world whose model has faults."""
    return lambda **settings: make_toy(ToyModel(**settings))
