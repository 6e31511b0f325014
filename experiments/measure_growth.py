r"""How a ranker gains with the number of generated queries, and with who wrote them, by people's judgments.

    python -m inpars_plus.experiments.measure_growth --collection stackfaq=BEIR/stackfaq \
        --queries stackfaq/untuned=runs/plain --queries stackfaq/tuned=runs/queries --out runs/growth

Rankers learn from generated queries alone, without held-out lines. Gains are over the untrained system that
choose-ranker picks, smoothed as trained ones are. Part of every gain is what a trained ranker has besides, whatever it
learned from (vectors of sentences, titles, feedback): what queries bring is the slope, and the difference between
generators. A larger number of queries of one generator holds the smaller ones. ``--unchecked`` takes the first
query that was written for each document, kept or dropped: what the checks drop is most of what a weak generator writes,
and what they leave is much alike. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.judged_bench import MEASURE, JudgedBench, named_paths, run_seeds
from inpars_plus.experiments.reports.charts import Series, series
from inpars_plus.experiments.reports.page import page, paragraph, section, table
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.train_ranker import FEWEST_QUERIES
from inpars_plus.experiments.workbench import Steps, summary_of
from inpars_plus.foundation import (
    ConfigurationError,
    Run,
    Summary,
    say,
    write_summary,
    write_text,
)
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery

__all__ = ["SIZES", "equal_share", "main", "measure_growth"]

SIZES = (250, 500, 1_000, 2_000, 4_000)

_ROUGHLY = 0.001
"""Of nDCG@10: as good as."""


def measure_growth(
    collections: Mapping[str, Path],
    queries: Mapping[str, Mapping[str, Path]],
    out: Path,
    *,
    sizes: Sequence[int] = SIZES,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 120,
    unchecked: bool = False,
) -> Summary:
    """Train a ranker on each number of queries of each generator.

    Args:
        collections: name → directory in BEIR's layout.
        queries: name of the collection → name of the generator → directory of ``generate-queries``.
        out: directory; each collection has a folder in it.
        sizes: numbers of queries; those that a generator has not are left out.
        seeds: of the draw and the training.
        steps: of tuning the query encoder.
        unchecked: the first that was written for each document counts, kept or dropped, not only what was kept.

    Returns:
        The summary that was written: under the collection and the generator, a row a size with its gain over the
        untrained system that ``choose-ranker`` picks, smoothed as trained ones are.

    Raises:
        ConfigurationError: queries are given for a collection that is not, or a number of queries is too small.
    """
    unknown = next((name for name in queries if name not in collections), None)
    if unknown is not None:
        raise ConfigurationError(
            f"there are queries for '{unknown}', but no such collection",
            place="--queries",
            remedy="Give it with --collection",
        )
    if min(sizes, default=0) < FEWEST_QUERIES:
        raise ConfigurationError(
            f"a ranker is not trained on {min(sizes, default=0)} queries",
            place="--sizes",
            remedy=f"Give {FEWEST_QUERIES} or more",
        )
    results, done = dict[str, Any](), list[Steps]()
    for name, directory in collections.items():
        with Run(out / name) as run:
            bench = JudgedBench(name, directory, steps=Steps(run), seed=seeds[0])
            done.append(bench.steps)
            plain, before = (bench.untrained(share)[bench.chosen.name] for share in (0.0, bench.smoothing))
            results[name] = {"chosen": bench.chosen.name, "untrained": _mean(plain), "smoothed": _mean(before)}
            results[name]["generators"] = {}
            for generator, folder in queries.get(name, {}).items():
                known = bench.queries_of(folder, unchecked=unchecked)
                label = f"{generator}, unchecked" if unchecked else generator
                rows = _rows(bench, label, known, before, sizes, seeds, steps)
                results[name]["generators"][label] = rows
    summary = summary_of(
        *done,
        settings={"sizes": list(sizes), "seeds": list(seeds), "steps": steps, "unchecked": unchecked},
        seed=seeds[0],
        results={"collections": results},
    )
    write_summary(out, summary)
    write_text(out / "report.html", _report(results))
    return summary


def _rows(
    bench: JudgedBench,
    generator: str,
    known: Sequence[TrainingQuery],
    before: Mapping[str, float],
    sizes: Sequence[int],
    seeds: Sequence[int],
    steps: int,
) -> list[dict[str, Any]]:
    """One row a number of queries: nDCG@10 and its gain, queries' values being means over the seeds."""
    rows = []
    for size in sizes:
        if size > len(known):
            say(f"{bench.name}, {generator}: there are {len(known):,} queries, so {size:,} are left out")
            continue
        runs = [_trained(bench, generator, known, size, seed, steps) for seed in seeds]
        values = {query: sum(one[query] for one in runs) / len(runs) for query in before}
        gain = paired_bootstrap(list(before.values()), [values[query] for query in before], seed=seeds[0])
        rows.append({"queries": size, "ndcg@10": _mean(values), "gain": gain.as_dict(), "seeds": [*map(_mean, runs)]})
    return rows


def _trained(
    bench: JudgedBench, generator: str, known: Sequence[TrainingQuery], size: int, seed: int, steps: int
) -> dict[str, float]:
    shuffled = list(known)
    random.Random(seed).shuffle(shuffled)
    say(f"{bench.name}: {size:,} queries of {generator}, seed {seed}")
    return bench.learned(generator, shuffled[:size], seed=seed, steps=steps)


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def equal_share(better: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> float | None:
    """At what share of the other's largest number of queries the better generator's rankers are as good.

    Args:
        better: rows of one generator, by number of queries.
        other: those of another one.

    Returns:
        The share; ``None`` where none of the numbers is enough.
    """
    if not better or not other:
        return None
    goal = other[-1]["ndcg@10"] - _ROUGHLY
    enough = next((row["queries"] for row in better if row["ndcg@10"] >= goal), None)
    return None if enough is None else float(enough) / float(other[-1]["queries"])


def _said(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """For each generator but the first, at what share of the first one's queries its own equal them."""
    if len(generators) < 2:
        return []
    first, *others = generators
    found = []
    for name in others:
        share = equal_share(generators[name], generators[first])
        most = generators[first][-1]["queries"] if generators[first] else 0
        found.append(
            f"No number of queries of {name} is as good as {most:,} of {first}."
            if share is None
            else f"{share:.0%} as many queries of {name} are as good as {most:,} of {first}."
        )
    return found


def _report(results: Mapping[str, Any]) -> str:
    body = []
    for name, one in results.items():
        generators = one["generators"]
        lines = [
            Series(generator, [(row["queries"], row["ndcg@10"] - one["smoothed"]) for row in rows])
            for generator, rows in generators.items()
            if rows
        ]
        title = f"Gain over {one['chosen']}, untrained and smoothed, by number of queries"
        parts = [series(lines, title=title)] if lines else []
        rows = [
            [generator, f"{row['queries']:,}", number(row["ndcg@10"]), f"{row['gain']['score']:+.3f}"]
            for generator, found in generators.items()
            for row in found
        ]
        parts.append(table(["generator", "queries", MEASURE, "gain"], rows, numbers={1, 2, 3}))
        body.append(section(name, [*parts, *(paragraph(said) for said in _said(generators))]))
    return page("Growth", "Rankers trained on generated queries alone, judged by people.", body)


def _table(results: Mapping[str, Any]) -> str:
    said = []
    for name, one in results.items():
        rows = []
        for generator, found in one["generators"].items():
            for row in found:
                rows.append([generator, f"{row['queries']:,}", number(row["ndcg@10"]), interval(row["gain"])])
        head = ["generator", "queries", MEASURE, f"less {one['chosen']}, smoothed, {number(one['smoothed'])}"]
        said += [name, text_table(head, rows, numbers={1, 2, 3}), *_said(one["generators"]), ""]
    return "\n".join(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--collection",
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="documents, queries and judgments in BEIR's layout; repeatable",
    )
    parser.add_argument(
        "--queries",
        action="append",
        required=True,
        metavar="NAME/GENERATOR=DIR",
        help="queries of generate-queries for a collection; repeatable, the weakest generator first",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help="numbers of queries")
    parser.add_argument("--seeds", type=int, default=3, help="of draw and training (default %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of tuning the query encoder (default %(default)s)")
    parser.add_argument(
        "--unchecked", action="store_true", help="take the first that was written for each document, kept or dropped"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/growth"), help="directory (default %(default)s)")
    given = parser.parse_args(arguments)
    queries: dict[str, dict[str, Path]] = {}
    for one, path in named_paths(given.queries, "--queries").items():
        collection, slash, generator = one.partition("/")
        if not (slash and generator):
            raise ConfigurationError(f"'{one}' is not of the form COLLECTION/GENERATOR", place="--queries")
        queries.setdefault(collection, {})[generator] = path
    summary = measure_growth(
        named_paths(given.collection, "--collection"),
        queries,
        given.out,
        sizes=sorted(given.sizes),
        seeds=run_seeds(given.seeds),
        steps=given.steps,
        unchecked=given.unchecked,
    )
    print(_table(summary.results["collections"]))
    print(f"Picture: {given.out / 'report.html'}\nAll figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
