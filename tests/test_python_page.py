"""The example of ``docs/python.md`` runs as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.lms import CompletionScore
from inpars_plus.lms.scripted import scripted_lm
from inpars_plus.retrieval.hashing import HashingEncoder

README = Path(__file__).resolve().parent.parent / "README.md"
PAGE = README.parent / "docs" / "python.md"


class Scorer:
    """Finds all queries equally likely."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        return [CompletionScore((-5.0, -6.0)) for _ in pairs]


def _code() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


def _query(prompt: str) -> str:
    words = re.findall(r"[a-z]{5,}", prompt.rpartition("Document:")[2].lower())
    return f"how do I get {' and '.join(words[3:5])} to work for me"


def _run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    exec(compile(_code(), PAGE.name, "exec"), {"__name__": "example"})


def test_the_example_compiles_scores_saves_and_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inpars_plus.lms.names.load_lm", lambda name: scripted_lm(_query, name=name))
    monkeypatch.setattr("inpars_plus.lms.scoring.load_scorer", Scorer)
    monkeypatch.setattr("inpars_plus.retrieval.encoders.load_encoder", lambda *_, **__: HashingEncoder())
    _run(tmp_path, monkeypatch)
    before, after, queries = capsys.readouterr().out.splitlines()
    assert (before.split()[0], after.split()[0]) == ("before", "after")
    assert len(json.loads(queries.replace("'", '"'))) <= 2
    card: Any = json.loads((tmp_path / "api-reference.json").read_text(encoding="utf-8"))
    assert (card["lm"], card["optimizer"]["name"], card["metric"]["name"]) == ("embedded", "miprov2", "QueryMetric")
    assert card["document_type"] == "api-reference"


def test_the_example_is_of_forty_lines_at_most_and_the_readme_leads_to_it() -> None:
    assert sum(bool(line.strip()) for line in _code().splitlines()) <= 40
    assert "docs/python.md" in README.read_text(encoding="utf-8")
