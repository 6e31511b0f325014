"""What a warm start gives for what it costs: cold start, nearest program as it is, and warm start, for each type.

``inpars-plus measure-warm-start --corpus scifact=DIR:scientific-abstract --corpus news=DIR:news ... --out runs/warm``

For each seed every type is compiled from nothing; then each type is compiled from the programs of the other types. All
are scored on the same test documents. In the directory, ``cold-<seed>`` and ``warm-<seed>-<type>`` are run directories
of ``compile-programs``: those that are there already, with the same settings, are not done again.

*Share of the gap closed* = (warm - nearest) / (cold - nearest). Where the nearest program is as good as the cold start,
the share of one type means nothing, so the share of all is that of the means over types and seeds, not a mean of
shares.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from inpars_plus.experiments.compile_programs import CompileSettings, compile_programs
from inpars_plus.experiments.selection import choose_types, safe_name
from inpars_plus.experiments.settings import JobText, make_settings, option, parse_settings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import BenchSettings, MakeLm, corpus_of
from inpars_plus.foundation import ConfigurationError, LmUsage, Summary, read_lines, redact, say, write_summary
from inpars_plus.lms.scoring import Scorer
from inpars_plus.metrics.significance import paired_bootstrap

__all__ = ["TEXT", "MeasureWarmStartSettings", "main", "measure_warm_start", "run", "tell"]

_RESAMPLES = 2_000
_OWN = {"seeds", "out", "seed"}
_LEFT_OUT = {"cross_types": False, "analyst": False, "exchange": False}
"""What nobody reads here; and with an exchange a cold start would not begin from nothing."""

TEXT = JobText(
    name="measure-warm-start",
    about=(
        "Compile a program for each type of document from nothing and from the programs of the other types, and tell\n"
        "how much of the gap to the nearest program as it is a warm start closes, for which share of the calls."
    ),
    examples=(
        (
            "Two types, three seeds",
            "inpars-plus measure-warm-start --corpus faq=BEIR/stackfaq:faq-answer --corpus news=BEIR/news:news \\\n"
            "      --seeds 3 --out runs/warm",
        ),
    ),
)


class MeasureWarmStartSettings(BenchSettings):
    """Settings of ``measure-warm-start``."""

    doc_type: tuple[str, ...] = option("only these types of document; repeatable", metavar="TYPE")
    optimizer: Literal["miprov2", "bootstrap", "bootstrap-random-search", "gepa", "adapt"] = option(
        "how prompts are searched in the cold start"
    )
    budget: int = option("language model calls of a cold start, a type", metavar="N", gt=0)
    seeds: int = option("so many runs, each with other documents where there are enough", metavar="N", ge=1)
    train_documents: int = option("prompts learn from so many documents at most, a type", metavar="N", ge=4)
    validation_documents: int = option("prompts are chosen on so many at most, a type", metavar="N", ge=4)
    test_documents: int = option("programs are scored on so many at most, a type", metavar="N", ge=4)


def measure_warm_start(
    settings: MeasureWarmStartSettings, *, make_lm: MakeLm | None = None, scorer: Scorer | None = None
) -> Summary:
    """Compile cold and warm for each type and seed.

    Args:
        settings: of the job.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written: ``results.runs`` (a row a type and seed), ``results.types`` (means over seeds) and
        ``results.mean`` (over all).

    Raises:
        ConfigurationError: there are not two types.
        InParsError: see its kinds. What is finished is kept; the same settings go on from there.
    """
    corpus = corpus_of(settings)
    types = choose_types(corpus, settings.doc_type, by_type=True)
    if len(types) < 2:
        raise ConfigurationError(
            "a warm start needs the program of another type, and there is one type of document",
            place="--corpus",
            remedy="Give several, as in --corpus faq=faq.csv:faq-answer --corpus news=news.jsonl:news",
        )
    compiles: list[Summary] = []

    def compiled(out: Path, seed: int, **values: Any) -> Summary:
        # Caps are of the whole, so what one compile came to is not left for the next.
        spent = sum((one.lm for one in compiles), LmUsage())
        made = _compiling(settings, out, seed, **values)
        summary = compile_programs(made, make_lm=make_lm, scorer=scorer, spent=spent)
        assert summary is not None, "this is no dry run"
        compiles.append(summary)
        return summary

    runs: list[dict[str, Any]] = []
    scores: list[dict[str, dict[str, float]]] = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        cold_out = settings.out / f"cold-{seed}"
        say(f"Seed {seed}: cold start")
        cold = compiled(cold_out, seed, doc_type=types, by_type=True)
        for doc_type in types:
            out = settings.out / f"warm-{seed}-{safe_name(doc_type)}"
            others = [cold_out / cold.results[name]["program"] for name in types if name != doc_type]
            say(f"Seed {seed}: warm start for '{doc_type}'")
            warm = compiled(out, seed, doc_type=[doc_type], warm_start=others)
            found = {
                "nearest": _scores(out, doc_type, "nearest"),
                "warm": _scores(out, doc_type, "after"),
                "cold": _scores(cold_out, doc_type, "after"),
            }
            scores.append(found)
            runs.append(_row(doc_type, seed, cold.results[doc_type], warm.results[doc_type], found))
    by_type = {
        name: _mean([row for row in runs if row["type"] == name], _of(name, runs, scores), settings.seed)
        for name in types
    }
    summary = Summary(
        seconds=round(sum(one.seconds for one in compiles), 1),
        peak_memory_mb=max(one.peak_memory_mb for one in compiles),
        settings=redact(settings.model_dump(mode="json")),
        seed=settings.seed,
        hashes={"corpus": corpus.digest()},
        lm=sum((one.lm for one in compiles), LmUsage()),
        results={"runs": runs, "types": by_type, "mean": _mean(runs, scores, settings.seed)},
    )
    write_summary(settings.out, summary)
    return summary


def _compiling(settings: MeasureWarmStartSettings, out: Path, seed: int, **values: Any) -> CompileSettings:
    shared = {name: getattr(settings, name) for name in type(settings).model_fields if name not in _OWN | values.keys()}
    return make_settings(CompileSettings, "compile-programs", **shared, **values, out=out, seed=seed, **_LEFT_OUT)


def _scores(directory: Path, doc_type: str, row: str) -> dict[str, float]:
    """Score by document id."""
    lines = read_lines(directory / "scores" / safe_name(doc_type) / f"{row}.jsonl")
    return {line["document_id"]: float(line["score"]) for _, line in lines}


def _row(
    doc_type: str,
    seed: int,
    cold: Mapping[str, Any],
    warm: Mapping[str, Any],
    by_document: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    scores = {name: [known[one] for one in by_document["cold"]] for name, known in by_document.items()}
    return {
        "type": doc_type,
        "seed": seed,
        "nearest_program": warm["settings"]["nearest"],
        "before": warm["test"]["before"]["score"],
        **{name: sum(values) / len(values) for name, values in scores.items()},
        "warm_less_nearest": paired_bootstrap(scores["nearest"], scores["warm"], seed=seed).as_dict(),
        "warm_less_cold": paired_bootstrap(scores["cold"], scores["warm"], seed=seed).as_dict(),
        "cold_calls": cold["calls"],
        "warm_calls": warm["calls"],
    }


def _of(
    name: str, runs: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Mapping[str, float]]]
) -> list[Mapping[str, Mapping[str, float]]]:
    return [one for row, one in zip(runs, scores, strict=True) if row["type"] == name]


def _mean(
    runs: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Mapping[str, float]]], seed: int
) -> dict[str, Any]:
    """Means over runs, and the share of the gap that is closed, with its interval over resampled test documents."""
    mean = {name: sum(row[name] for row in runs) / len(runs) for name in ("before", "nearest", "warm", "cold")}
    generator = np.random.default_rng(seed)
    types = list(dict.fromkeys(row["type"] for row in runs))
    drawn = np.mean([_resampled(_of(name, runs, scores), generator) for name in types], axis=0)
    gaps = drawn[:, 2] - drawn[:, 0]
    # A resample without a gap has no share; where there are many, the interval is as wide as the figure is worthless.
    shares = np.divide(drawn[:, 1] - drawn[:, 0], gaps, out=np.zeros(_RESAMPLES), where=gaps != 0)
    gap = mean["cold"] - mean["nearest"]
    return {
        **mean,
        "gap": gap,
        "closed": (mean["warm"] - mean["nearest"]) / gap if gap else None,
        "closed_interval": [float(edge) for edge in np.quantile(shares, [0.025, 0.975])],
        "calls_share": sum(row["warm_calls"] for row in runs) / sum(row["cold_calls"] for row in runs),
    }


def _resampled(seeds: Sequence[Mapping[str, Mapping[str, float]]], generator: np.random.Generator) -> np.ndarray:
    """Means of one type over resampled documents, shape (resamples, 3): nearest, warm and cold.

    A document is drawn with its scores of all seeds: of a type with few test documents every seed has the same ones,
    and a document that is scored again is no new one (a bootstrap of clusters; Davison and Hinkley, 1997, 3.8).
    """
    documents = sorted({document for one in seeds for document in one["cold"]})
    rows = ("nearest", "warm", "cold")
    sums = np.asarray([[sum(one[row].get(document, 0.0) for one in seeds) for row in rows] for document in documents])
    times = np.asarray([sum(document in one["cold"] for one in seeds) for document in documents])
    drawn = generator.multinomial(len(documents), np.full(len(documents), 1 / len(documents)), size=_RESAMPLES)
    means: np.ndarray = drawn @ sums / (drawn @ times)[:, None]
    return means


def tell(settings: MeasureWarmStartSettings, summary: Summary) -> str:
    """Tables for a terminal: a line a type and seed, then a line a type, then the mean."""
    results = summary.results
    rows = [
        [
            row["type"],
            str(row["seed"]),
            row["nearest_program"],
            *(number(row[name]) for name in ("before", "nearest", "warm", "cold")),
            interval(row["warm_less_nearest"]),
            interval(row["warm_less_cold"]),
            f"{row['warm_calls']} / {row['cold_calls']}",
        ]
        for row in results["runs"]
    ]
    head = [
        "type",
        "seed",
        "nearest is",
        "before",
        "nearest",
        "warm",
        "cold",
        "warm less nearest",
        "warm less cold",
        "calls",
    ]
    means = [_told(name, row) for name, row in [*results["types"].items(), ("mean", results["mean"])]]
    mean_head = ["type", "nearest", "warm", "cold", "gap", "closed", "95 %", "share of the calls"]
    return (
        f"\n{text_table(head, rows, numbers={1, 3, 4, 5, 6, 9})}\n\n"
        f"{text_table(mean_head, means, numbers={1, 2, 3, 4, 5, 7})}\n\nsummary: {settings.out / 'summary.json'}"
    )


def _told(name: str, row: Mapping[str, Any]) -> list[str]:
    low, high = row["closed_interval"]
    return [
        name,
        *(number(row[one]) for one in ("nearest", "warm", "cold")),
        f"{row['gap']:+.3f}",
        "–" if row["closed"] is None else f"{row['closed']:.0%}",
        f"[{low:.0%}, {high:.0%}]",
        f"{row['calls_share']:.0%}",
    ]


def run(arguments: Sequence[str]) -> None:
    """The job, from its flags."""
    settings = parse_settings(MeasureWarmStartSettings, TEXT, arguments)
    print(tell(settings, measure_warm_start(settings)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run this job; returns the exit code."""
    from inpars_plus.experiments.cli import run_job

    return run_job(TEXT.name, arguments)


if __name__ == "__main__":
    sys.exit(main())
