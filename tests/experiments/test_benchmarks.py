"""The benchmarks run and give figures; whether they are fast enough is for a calm machine to say."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.benchmarks import imports, retrieval
from inpars_plus.experiments.benchmarks.__main__ import BENCHMARKS, main
from inpars_plus.experiments.benchmarks.common import Benchmark, Row, machine, median_ratio, passages, row_table


def _all_figures(value: Any) -> list[float]:
    if isinstance(value, bool | str):
        return []
    if isinstance(value, dict):
        return [figure for inner in value.values() for figure in _all_figures(inner)]
    if isinstance(value, list):
        return [figure for inner in value for figure in _all_figures(inner)]
    return [float(value)]


def _check(result: Benchmark, rows: int) -> None:
    assert len(result.rows) == rows
    assert all(row.value > 0 and math.isfinite(row.value) for row in result.rows)
    assert all(figure >= 0 and math.isfinite(figure) for figure in _all_figures(result.figures))


def test_the_import_brings_no_torch_and_is_timed() -> None:
    result = imports.measure(quick=True)
    _check(result, 2)
    assert result.figures["package"]["torch"] is False
    assert result.rows[0].at_most == 1.0


@pytest.mark.slow
def test_both_retrievers_find_the_same_documents() -> None:
    result = retrieval.measure(quick=True)
    _check(result, 2)
    assert result.figures["agree_on_rank_1"] >= 0.9


@pytest.mark.model
def test_the_harness_and_the_bare_engine_write_the_same_number_of_tokens() -> None:
    result = importlib.import_module("inpars_plus.experiments.benchmarks.overhead").measure(quick=True)
    _check(result, 3)
    assert result.figures["harness_tokens"] == result.figures["engine_tokens"] == result.lm.completion_tokens


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_engine_and_transformers_write_the_same_number_of_tokens() -> None:
    pytest.importorskip("accelerate", reason="transformers reads GGUF files with it")
    result = importlib.import_module("inpars_plus.experiments.benchmarks.engine").measure(quick=True)
    _check(result, 6)
    assert {row.at_least for row in result.rows} == {None, 4.0}
    assert result.lm.completion_tokens == result.lm.calls * result.figures["new_tokens"]


@pytest.mark.model
@pytest.mark.slow
def test_all_forms_of_a_training_step_have_the_same_loss() -> None:
    result = importlib.import_module("inpars_plus.experiments.benchmarks.tuning").measure(quick=True)
    assert len(result.rows) >= 3
    assert result.rows[-1].met is True
    assert all(row.value > 0 for row in result.rows[:-1])


@pytest.mark.model
@pytest.mark.slow
def test_plain_encoding_gives_the_same_vectors() -> None:
    result = importlib.import_module("inpars_plus.experiments.benchmarks.encoding").measure(quick=True)
    _check(result, 1)
    assert result.figures["least_cosine"] > 0.99


@pytest.mark.slow
def test_an_index_on_disk_finds_what_an_exact_search_finds() -> None:
    result = importlib.import_module("inpars_plus.experiments.benchmarks.search").measure(quick=True)
    own = result.figures["on_disk"]["own_mib"]
    _check(result, 4 if own is None else 5)
    assert (own is None) == (sys.platform != "linux")
    assert result.figures["on_disk"]["found"] > 0.9
    assert set(result.figures["on_disk"]["milliseconds_a_query"]) == {"bm25", "dense", "hybrid"}


@pytest.mark.slow
def test_all_results_come_into_one_summary_without_a_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "imports", "retrieval", "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["results"]) == {"date", "machine", "imports", "retrieval"}
    assert set(BENCHMARKS) == {"engine", "retrieval", "overhead", "imports", "tuning", "encoding", "search"}
    assert "import inpars_plus.programs" in capsys.readouterr().out


def test_the_machine_is_described_without_its_name() -> None:
    described = machine()
    assert described["packages"]["dspy"]
    assert os.uname().nodename not in json.dumps(described)
    assert "/" not in json.dumps(described["packages"])


def test_a_missed_ratio_says_so() -> None:
    rows = [Row(what="slow", value=3.0, at_least=4.0), Row(what="long", value=1.04, unit="of", at_most=1.05)]
    assert [row.met for row in rows] == [False, True]
    assert "NO" in row_table(rows).splitlines()[2]


def test_a_difference_is_no_ratio() -> None:
    line = row_table([Row(what="points", value=0.062, unit="apart", at_most=0.3)]).splitlines()[-1]
    assert line.split() == ["points", "0.062", "≤", "0.3", "yes"]


def test_ratios_are_taken_of_figures_measured_side_by_side() -> None:
    assert median_ratio([10.0, 1.0, 4.0], [5.0, 0.5, 1.0]) == 2.0


def test_no_passage_comes_twice() -> None:
    found = passages(lambda text: [hash(word) % 1000 for word in text.split()], 20)
    assert len(found) > 500
    assert len({tuple(tokens) for tokens in found}) == len(found)
    assert {len(tokens) for tokens in found} == {20}
