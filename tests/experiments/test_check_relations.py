from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inpars_plus.corpora import Document, write_documents
from inpars_plus.experiments.check_relations import main
from inpars_plus.foundation import InParsError, write_json
from inpars_plus.lms.scoring import CompletionScore

TEXTS = {"a": "Statins cause muscle pain in some people.", "b": "Kinases are enzymes that add phosphate groups."}
WRITTEN: dict[str, dict[str, str | None]] = {
    "before": {"a": "do statins cause muscle pain", "b": "what do kinases add"},
    "before_with_openings": {"a": "how do statins cause pain", "b": None},
    "after": {"a": "do kinases add phosphate to enzymes", "b": "do kinases add phosphate"},
}


class Doubting:
    """Finds each word that its document does not have as unlikely as can be."""

    def __init__(self) -> None:
        self.calls = 0

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        self.calls += 1
        return [
            CompletionScore(tuple(-0.1 if word in prompt.lower() else -20.0 for word in completion.split()))
            for prompt, completion in pairs
        ]

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        names = sorted({word for text in TEXTS.values() for word in text.lower().split()})
        counts = np.array([[text.lower().count(name) for name in names] for text in texts], dtype=np.float32) + 1e-3
        normalised: npt.NDArray[np.float32] = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return normalised


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Doubting:
    found = Doubting()
    for name in ("load_scorer", "load_encoder"):
        monkeypatch.setattr(f"inpars_plus.experiments.check_relations.{name}", lambda: found)
    return found


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    run, corpus = tmp_path / "tuned", tmp_path / "docs.jsonl"
    write_documents(corpus, [Document(id=name, text=text) for name, text in TEXTS.items()])
    write_json(run / "summary.json", {"settings": {"corpus": str(corpus)}})
    (run / "scores").mkdir()
    for row, queries in WRITTEN.items():
        lines = [json.dumps({"document_id": name, "query": query}) for name, query in queries.items()]
        (run / "scores" / f"{row}.jsonl").write_text("\n".join(lines) + "\n")
    return run


def test_queries_before_and_after_a_tuning_are_compared_on_the_same_documents(
    tuned: Path, model: Doubting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--tuned", str(tuned), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "before: 0.000 of 2 queries flagged\n" in told
    assert "before with openings: 0.000 of 1 queries flagged, less before" in told
    assert "after: 0.500 of 2 queries flagged, less before" in told
    assert model.calls
    model.calls = 0
    assert main(command) == 0
    assert capsys.readouterr().out == told
    assert model.calls == 0


def test_what_is_done_is_not_done_again_after_a_stop(
    tuned: Path, model: Doubting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tuned / "scores" / "after.jsonl"
    whole = path.read_text()
    path.write_text("not yet\n")
    command = ["--tuned", str(tuned), "--out", str(tmp_path / "out")]
    with pytest.raises(InParsError, match=r"after\.jsonl"):
        main(command)
    path.write_text(whole)
    model.calls = 0
    assert main(command) == 0
    assert model.calls == 2  # of three rows, one
    assert "after: 0.500 of 2 queries flagged" in capsys.readouterr().out
