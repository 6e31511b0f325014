"""What re-ranking would take, beside what it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.measure_reranking import MeasureSettings, measure_reranking
from inpars_plus.experiments.settings import make_settings

REPLY = json.dumps(
    {
        "judgment": {"grade": 1},
        "preference": {"better": "tie"},
        "ranking": {"order": [1, 2, 3, 4, 5]},
        "expansion": {"terms": ["seal"]},
        "passage": {"text": "A worn seal."},
    }
)


def _settings(corpus: Path, out: Path, form: str, **values: Any) -> MeasureSettings:
    small = {"retriever": "bm25", "lm": "scripted", "threads": 4, "depth": 8, "queries": 6, "window": 5, "step": 2}
    small |= {"train_queries": 4, "validation_queries": 4, "compiled": False, "forms": [form]}
    return make_settings(MeasureSettings, "measure-reranking", corpus=str(corpus), out=out, **{**small, **values})


def _row(form: str, capsys: pytest.CaptureFixture[str]) -> tuple[list[int], str]:
    """The numbers behind the form, and the cost."""
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(form))
    *cells, cost = line.removeprefix(form).split()
    return [int(cell.replace(",", "").replace("–", "0")) for cell in cells], cost


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pointwise", "pairwise", "listwise", "expansion", "hyde"])
def test_calls_and_tokens_are_about_those_of_the_run(
    form: str, judged_corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing, world = small.World(replies=lambda prompt: 1 / 0), small.World(replies=lambda prompt: REPLY)
    measure_reranking(_settings(judged_corpus, tmp_path / "no", form, dry_run=True), make_lm=nothing.make_lm)
    (_, calls, compiling, tokens, _), cost = _row(form, capsys)
    assert (compiling, cost) == (0, "0.00")  # a local model
    summary = measure_reranking(_settings(judged_corpus, tmp_path / "out", form), make_lm=world.make_lm)
    assert summary is not None
    assert calls == summary.results["systems"][form]["report"].get("calls", 6)
    asked = [prompt for model in world.models for prompt in model.engine.prompts]
    assert tokens == pytest.approx(calls * sum(map(len, asked)) / len(asked) / 4, rel=0.1)


def test_likelihood_reads_passages_and_writes_nothing(
    judged_corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = _settings(judged_corpus, tmp_path / "out", "likelihood", calls=3, dry_run=True)
    measure_reranking(settings, **small.World().parts)
    (a_query, calls, _, tokens, replies), _ = _row("likelihood", capsys)
    assert (a_query, calls, replies) == (3, 18, 0)
    assert 18 * 20 < tokens < 18 * 60  # documents have about 120 characters


def test_compiled_programs_show_demonstrations_in_each_call(
    judged_corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for compiled in (False, True):
        settings = _settings(judged_corpus, tmp_path / "out", "listwise", compiled=compiled, dry_run=True)
        measure_reranking(settings, make_lm=small.World().make_lm)
        told.append(_row("listwise", capsys)[0])
    (_, calls, nothing, tokens, _), (_, twice, compiling, more, _) = told
    assert (nothing, twice) == (0, 2 * calls)
    # Four demonstrations of four passages are longer than the question below them.
    assert more / (twice + compiling) > 1.5 * tokens / calls
