"""The trial log: what was tried, on how many documents, how it scored."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback
from pydantic import BaseModel, ConfigDict

from inpars_plus.foundation.files import append_lines
from inpars_plus.optimizers.prompts.candidates import Candidate

__all__ = ["Trial", "TrialLog"]


class Trial(BaseModel):
    """One line of ``trials.jsonl``.

    Attributes:
        number: from 1, in the order of the run.
        stage: which part of the compile tried it.
        instruction: what stood above the documents.
        form: name of the prompt form; ``None`` for the program's own.
        demonstrations: ids of the documents whose queries were shown, ``?`` for one that is not a train document.
        documents: how many documents it was scored on in this trial.
        score: mean metric over these documents, in [0, 1].
        best: highest score of the trials so far that saw at least as many documents.
        calls: LM calls of the compile so far, replayed ones included.
        seconds: since the compile began.
        accepted: for a revision of an instruction, whether it was accepted; ``None`` for other trials.
        reason: why, or why not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    stage: str
    instruction: str
    form: str | None
    demonstrations: tuple[str, ...]
    documents: int
    score: float
    best: float
    calls: int
    seconds: float
    accepted: bool | None = None
    reason: str = ""


class TrialLog(BaseCallback):
    """Collects trials and the score of each candidate on each document; also hears DSPy's own evaluations.

    A compile that goes on after a kill goes through the same trials again, from replayed calls, so the file is
    begun anew each time.

    Args:
        path: ``trials.jsonl``; ``None`` keeps the trials in memory only.
        calls: tells how many LM calls were made so far.
        names: document id by the document's text as a prompt shows it, to name demonstrations; grows.
    """

    def __init__(self, path: Path | None, *, calls: Any, names: dict[str, str]) -> None:
        self.trials: list[Trial] = []
        self.candidates: dict[str, Candidate] = {}
        self.scores: dict[str, dict[str, float]] = {}
        self.stage = ""
        self._path = path
        self._calls = calls
        self.names = names
        self._started = time.monotonic()
        self._evaluations: dict[str, tuple[dspy.Module, Sequence[dspy.Example]]] = {}
        if path is not None:
            path.unlink(missing_ok=True)

    def record(
        self,
        candidate: Candidate,
        scores: Mapping[str, float],
        *,
        accepted: bool | None = None,
        reason: str = "",
        counts: bool = True,
    ) -> None:
        """Add one trial; without scores, only that of a revision that was turned down unscored.

        Args:
            candidate: what was tried.
            scores: the metric by document id.
            accepted: for a revision; a rejected one is told of, but can never be chosen for its scores.
            reason: why, or why not.
            counts: whether it can be chosen for these scores; not where they are of documents that its rivals never
                get, some of which are easier than others.
        """
        if not scores and accepted is None:
            return
        if counts and accepted is not False:
            self.candidates.setdefault(candidate.key, candidate)
            self.scores.setdefault(candidate.key, {}).update(scores)
        score = sum(scores.values()) / max(1, len(scores))
        rivals = [trial.score for trial in self.trials if trial.documents >= len(scores)]
        trial = Trial(
            number=len(self.trials) + 1,
            stage=self.stage,
            instruction=candidate.instruction,
            form=candidate.form,
            demonstrations=tuple(self.names.get(demo.get("document", ""), "?") for demo in candidate.demonstrations),
            documents=len(scores),
            score=round(score, 4),
            best=round(max([score, *rivals]), 4),
            calls=self._calls(),
            seconds=round(time.monotonic() - self._started, 1),
            accepted=accepted,
            reason=reason,
        )
        self.trials.append(trial)
        if self._path is not None:
            append_lines(self._path, [trial.model_dump()])

    def mean(self, candidate: Candidate, documents: Iterable[str] | None = None) -> float | None:
        """Mean score of a candidate over all documents it was scored on, or over these; ``None`` if one is missing."""
        known = self.scores.get(candidate.key, {})
        wanted = list(known if documents is None else documents)
        if not wanted or any(document not in known for document in wanted):
            return None
        return sum(known[document] for document in wanted) / len(wanted)

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """DSPy's callback before an evaluation."""
        self._evaluations[call_id] = (inputs["program"], inputs.get("devset") or instance.devset)

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """DSPy's callback after an evaluation."""
        program, _ = self._evaluations.pop(call_id)
        if outputs is None:
            return
        candidate = Candidate.of(program.program, origin=self.stage)
        self.record(candidate, {example.source.id: float(score) for example, _, score in outputs.results})
