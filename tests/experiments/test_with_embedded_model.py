"""The jobs as a person runs them: the command, the embedded model and encoder, real documents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inpars_plus.corpora import open_corpus, read_queries, sample, write_documents
from inpars_plus.experiments.cli import main

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_compile_and_generate_with_the_embedded_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, run, queries = tmp_path / "slice.jsonl", tmp_path / "run", tmp_path / "queries"
    documents = [document for document in open_corpus("python-docs").documents() if len(document.text) < 800]
    write_documents(corpus, sample(documents, 120, 0))
    small = ["--budget", "120", "--test-documents", "8"]
    # In a process of its own: its peak of memory is asserted, and this one has run other tests.
    command = [sys.executable, "-m", "inpars_plus.experiments.compile_programs"]
    done = subprocess.run(
        [*command, "--corpus", str(corpus), "--out", str(run), *small], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "best pool prompt" in done.stdout
    assert "score, after less before" in done.stdout
    summary = json.loads((run / "summary.json").read_text())
    test = summary["results"]["api-reference"]["test"]
    assert test["after"]["documents"] == 8
    assert summary["lm"]["calls"] > 60
    assert summary["peak_memory_mb"] < 4_096

    assert main(["list-programs", str(run)]) == 0
    assert "embedded@" in capsys.readouterr().out
    given = ["--corpus", str(corpus), "--programs", str(run), "--out", str(queries), "--limit", "10"]
    assert main(["generate-queries", *given]) == 0
    assert "queries accepted of 10 asked for" in capsys.readouterr().out
    kept = read_queries(queries / "queries.jsonl")
    assert len(kept) == json.loads((queries / "summary.json").read_text())["results"]["accepted"] > 0
