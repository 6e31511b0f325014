from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.experiments.scoring import judged_lines, score_cheats, score_row
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import Run
from inpars_plus.metrics.cheats import CHEATS
from inpars_plus.metrics.query_metric import Judged
from inpars_plus.programs import KeyTerms

DOCUMENTS = [
    Document(id=f"{at}", title=f"The {name} leaks at night", text=f"The {name} leaks at night. Its seal is worn.")
    for at, name in enumerate(("crane", "pump", "valve"))
]


def judge(pairs: Sequence[tuple[Document, str | None]]) -> list[Judged]:
    """As the metric does: what resembles an earlier query of the same document in the call is refused."""
    found, seen = [], set[str]()
    for document, query in pairs:
        fresh = document.id not in seen
        seen.add(document.id)
        found.append(Judged(query, fresh, None if fresh else "duplicate", float(fresh), 1, 0.0, -4.0))
    return found


def test_no_cheat_is_refused_because_another_cheat_asked_the_same(tmp_path: Path) -> None:
    bench: Any = SimpleNamespace(metric=SimpleNamespace(judge=judge))
    with Run(tmp_path) as run:
        fitted = KeyTerms.fit(DOCUMENTS)
        rows = score_cheats(Steps(run), "cheats", {}, bench, DOCUMENTS, lambda: fitted, ["a", "b", "c"])
        assert {name: row["accepted"] for name, row in rows.items()} == dict.fromkeys(CHEATS, 1.0)
        again = score_cheats(Steps(run), "cheats", {}, bench, DOCUMENTS, lambda: pytest.fail("done before"), ["a"])
        assert again == rows


@pytest.mark.parametrize("typed", [False, True])
def test_a_row_is_judged_once_and_its_queries_stand_in_a_file(tmp_path: Path, typed: bool) -> None:
    calls = []

    def written() -> list[Judged]:
        calls.append(1)
        return judge([(document, f"why does {document.id} leak") for document in DOCUMENTS])

    with Run(tmp_path) as run:
        rows = [
            score_row(Steps(run), "score after", {}, "scores/after.jsonl", written, DOCUMENTS, typed=typed)
            for _ in range(2)
        ]
    assert rows[0] == rows[1]
    assert (rows[0]["documents"], rows[0]["accepted"], len(calls)) == (3, 1.0, 1)
    lines = judged_lines(tmp_path / "scores" / "after.jsonl")
    assert [line["query"] for line in lines] == ["why does 0 leak", "why does 1 leak", "why does 2 leak"]
    assert [line.get("doc_type") for line in lines] == ["document" if typed else None] * 3
    assert json.loads((tmp_path / "scores" / "after.jsonl").read_text().splitlines()[0])["document_id"] == "0"
