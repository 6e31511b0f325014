"""``measure-warm-start``: cold start, nearest program and warm start side by side."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments import measure_warm_start as job
from inpars_plus.experiments.compile_programs import CompileSettings
from inpars_plus.experiments.measure_warm_start import MeasureWarmStartSettings, measure_warm_start, tell
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation import ConfigurationError, LmUsage, Summary, append_lines
from inpars_plus.foundation.summaries import measured


def settings_for(corpus: Path, out: Path, **values: Any) -> MeasureWarmStartSettings:
    small = {"lm": "scripted", "retriever": "bm25", "threads": 4, "budget": 300, "test_documents": 16, "seeds": 1}
    return make_settings(
        MeasureWarmStartSettings, "measure-warm-start", corpus=str(corpus), out=out, **{**small, **values}
    )


@pytest.mark.slow
def test_each_type_is_compiled_cold_and_warm_and_the_table_says_what_it_gave(tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 120, "manual", "faq")
    settings = settings_for(corpus, tmp_path / "run")
    summary = measure_warm_start(settings, **small.World().parts)
    results = summary.results
    assert [(row["type"], row["seed"]) for row in results["runs"]] == [("faq", 0), ("manual", 0)]
    assert [row["nearest_program"] for row in results["runs"]] == ["manual", "faq"]
    for row in results["runs"]:
        compiled = {
            kind: json.loads((tmp_path / "run" / folder / "summary.json").read_text())["results"][row["type"]]
            for kind, folder in (("cold", "cold-0"), ("warm", f"warm-0-{row['type']}"))
        }
        assert row["cold"] == pytest.approx(compiled["cold"]["test"]["after"]["score"], abs=1e-5)
        assert row["warm"] == pytest.approx(compiled["warm"]["test"]["after"]["score"], abs=1e-5)
        assert row["nearest"] == pytest.approx(compiled["warm"]["test"]["nearest"]["score"], abs=1e-5)
        assert row["warm_calls"] == compiled["warm"]["calls"] <= 100
        assert row["cold_calls"] == compiled["cold"]["calls"]
    mean = results["mean"]
    assert mean["gap"] == pytest.approx(mean["cold"] - mean["nearest"])
    assert mean["closed"] == pytest.approx((mean["warm"] - mean["nearest"]) / mean["gap"])
    assert mean["calls_share"] == sum(row["warm_calls"] for row in results["runs"]) / sum(
        row["cold_calls"] for row in results["runs"]
    )
    low, high = mean["closed_interval"]
    assert low <= high
    told = tell(settings, summary)
    assert "share of the calls" in told
    assert told.count("manual") >= 2

    world = small.World()
    assert measure_warm_start(settings, **world.parts).results == results
    assert world.calls == 0


def test_nothing_is_made_that_nobody_reads_and_a_cold_start_takes_nothing_over(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seen(Exception):  # noqa: N818 - ends the job where its first compile would begin
        pass

    def compiling(settings: CompileSettings, **_: Any) -> None:
        raise Seen(settings.analyst, settings.cross_types, settings.exchange)

    monkeypatch.setattr(job, "compile_programs", compiling)
    corpus = small.write_corpus(tmp_path / "c.jsonl", 20, "manual", "faq")
    with pytest.raises(Seen, match=r"\(False, False, False\)"):
        measure_warm_start(settings_for(corpus, tmp_path / "run"), **small.World().parts)


def compiling_with_scores(scores: Mapping[str, Sequence[float]], *, anew: bool) -> Callable[..., Summary]:
    """What compiles to the same scores with every seed, of the same documents or of others."""

    def compiling(settings: CompileSettings, **_: Any) -> Summary:
        results = {}
        for name in settings.doc_type:
            for row, values in scores.items():
                lines = [
                    {"document_id": f"{settings.seed * anew}-{at}", "score": value + 0.1 * (settings.warm_start == ())}
                    for at, value in enumerate(values)
                ]
                append_lines(settings.out / "scores" / name / f"{row}.jsonl", lines)
            test = {"before": {"score": 0.1}}
            results[name] = {"program": f"{name}.json", "calls": 30, "settings": {"nearest": "other"}, "test": test}
        return measured(0.0, settings={}, seed=settings.seed, hashes={}, lm=LmUsage(), results=results)

    return compiling


def results_of(corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, seeds: int, anew: bool) -> dict[str, Any]:
    draw = random.Random(0)
    levels = {"nearest": 0.4, "after": 0.7}
    scores = {row: [level + draw.uniform(-0.3, 0.3) for _ in range(40)] for row, level in levels.items()}
    monkeypatch.setattr(job, "compile_programs", compiling_with_scores(scores, anew=anew))
    return dict(measure_warm_start(settings_for(corpus, out, seeds=seeds)).results)


def test_a_document_that_every_seed_scores_is_no_new_one(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 20, "manual", "faq")
    (one, same, others) = (
        results_of(corpus, tmp_path / str(at), monkeypatch, seeds=seeds, anew=anew)
        for at, (seeds, anew) in enumerate([(1, False), (3, False), (3, True)])
    )
    for rows in ("mean", "manual", "faq"):
        first, again, more = (
            results["mean"] if rows == "mean" else results["types"][rows] for results in (one, same, others)
        )
        assert again["closed"] == pytest.approx(first["closed"]) == pytest.approx(more["closed"])
        assert again["closed_interval"] == pytest.approx(first["closed_interval"])
        wide, narrow = (high - low for low, high in (first["closed_interval"], more["closed_interval"]))
        assert wide / narrow == pytest.approx(3**0.5, rel=0.15)


def test_a_cap_is_of_the_whole_and_not_of_each_compile(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling = compiling_with_scores({"nearest": [0.4] * 8, "after": [0.7] * 8}, anew=False)

    def recorded(settings: CompileSettings, *, spent: LmUsage, **parts: Any) -> Summary:
        before.append((settings.out.name, spent.prompt_tokens, spent.completion_tokens, spent.cost_usd))
        summary = compiling(settings, **parts)
        return summary.model_copy(update={"lm": LmUsage(calls=1, prompt_tokens=50, completion_tokens=5, cost_usd=0.5)})

    before: list[Any] = []
    monkeypatch.setattr(job, "compile_programs", recorded)
    corpus = small.write_corpus(tmp_path / "c.jsonl", 20, "manual", "faq")
    settings = settings_for(
        corpus, tmp_path / "run", seeds=2, max_tokens_spent=1000, api_base="http://u:quokka@host/v1"
    )
    summary = measure_warm_start(settings)
    names = [
        f"{kind}-{seed}{more}"
        for seed in (0, 1)
        for kind, more in (("cold", ""), ("warm", "-faq"), ("warm", "-manual"))
    ]
    assert before == [(name, 50 * at, 5 * at, 0.5 * at or None) for at, name in enumerate(names)]
    assert summary.lm.calls == 6
    assert "quokka" not in (tmp_path / "run" / "summary.json").read_text()


def test_one_type_is_refused(corpus: Path, tmp_path: Path, small: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"there is one type of document"):
        measure_warm_start(settings_for(corpus, tmp_path / "run"), **small.World().parts)
