"""A judged collection for experiments: what may be learned from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, split_of
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import Run


def test_generated_queries_that_people_asked_too_are_not_learned_from(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    generated = small.write_generated(titled, tmp_path / "generated")
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        before = bench.queries_of(generated)
        assert len(before) == sum(split_of(one.id) != "test" for one in titled)
        rows = [json.loads(line) for line in (generated / "queries.jsonl").read_text().splitlines()]
        taken = next(row for row in rows if row["_id"] == before[0].id)
        taken["text"] = bench.judged.queries[0].text.upper() + "?"
        (generated / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with caplog.at_level("INFO", "inpars_plus"):
            assert bench.queries_of(generated) == before[1:]
    assert f"1 of {len(before)} queries are judged ones, and are not learned from" in caplog.text
