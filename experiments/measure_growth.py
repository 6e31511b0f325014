r"""How a ranker gains with the number of generated queries, and with who wrote them, by people's judgments.

    python -m inpars_plus.experiments.measure_growth --collection stackfaq=BEIR/stackfaq \
        --queries stackfaq/untuned=runs/plain --queries stackfaq/tuned=runs/queries --out runs/growth

The query encoder learns from these queries alone; the weights by which retrievers are summed come from held-out lines,
because weights that are learned from generated queries lean on BM25, as the queries do. Gains are over the same fusion
whose query encoder learned nothing, which is what is there at 0 queries, and so for dense retrieval alone. Template
queries, the cheat of the quality tables, stand beside the generators. A larger number of queries of one generator holds
the smaller ones. ``--unchecked`` takes the first query that was written for each document, kept or dropped: what the
checks drop is most of what a weak generator writes, and what they leave is much alike. Stopped or killed, the same
command goes on.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean as mean
from typing import Any

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.judged_bench import MEASURE, JudgedBench, PerQuery, named_paths, run_seeds
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
from inpars_plus.metrics.evaluation import compare_values
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery

__all__ = ["SIZES", "equal_share", "main", "measure_growth"]

SIZES = (250, 500, 1_000, 2_000, 4_000)

_TEMPLATES = "templates"
_SYSTEMS = {"fusion": "In the fusion", "dense": "Dense retrieval alone"}
"""What a query encoder is part of, as :meth:`JudgedBench.encoder_learned` names it, and in words."""

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
        The summary that was written: under the collection, ``fusion`` or ``dense``, and the generator, a row a size
        with its gain over the same without queries, and its difference from the first generator with as many.

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
    if any(_TEMPLATES in generators for generators in queries.values()):
        raise ConfigurationError(
            f"'{_TEMPLATES}' are the queries that stand beside the generators anyway",
            place="--queries",
            remedy="Give these another name",
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
            known = {
                f"{generator}, unchecked" if unchecked else generator: bench.queries_of(folder, unchecked=unchecked)
                for generator, folder in queries.get(name, {}).items()
            }
            results[name] = _grown(bench, {**known, _TEMPLATES: _templates(bench)}, sizes, seeds, steps)
    summary = summary_of(
        *done,
        settings={"sizes": list(sizes), "seeds": list(seeds), "steps": steps, "unchecked": unchecked},
        seed=seeds[0],
        results={"collections": results},
    )
    write_summary(out, summary)
    write_text(out / "report.html", _report(results))
    return summary


def _templates(bench: JudgedBench) -> list[TrainingQuery]:
    texts = zip(bench.eligible, bench.templates(bench.eligible), strict=True)
    return bench.unseen([TrainingQuery(f"template {one.id}", text, (one.id,)) for one, text in texts if text.strip()])


def _grown(
    bench: JudgedBench,
    known: Mapping[str, Sequence[TrainingQuery]],
    sizes: Sequence[int],
    seeds: Sequence[int],
    steps: int,
) -> dict[str, Any]:
    """A collection's part of the summary."""
    none = bench.without_queries()
    runs: dict[int, dict[str, list[PerQuery]]] = {}
    for size in sizes:
        runs[size] = {}
        for generator, queries in known.items():
            if size > len(queries):
                say(f"{bench.name}, {generator}: there are {len(queries):,} queries, so {size:,} are left out")
                continue
            runs[size][generator] = [_trained(bench, generator, queries, size, seed, steps) for seed in seeds]
    plain, smoothed = (bench.untrained(share)[bench.chosen.name] for share in (0.0, bench.smoothing))
    return {
        "chosen": bench.chosen.name,
        "untrained": mean(plain.values()),
        "smoothed": mean(smoothed.values()),
        "systems": {
            system: {
                "without_queries": mean(before.values()),
                "generators": _rows(list(known), system, before, runs, seed=seeds[0]),
            }
            for system, before in none.items()
        },
    }


def _rows(
    generators: Sequence[str],
    system: str,
    before: Mapping[str, float],
    runs: Mapping[int, Mapping[str, Sequence[PerQuery]]],
    *,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Rows of each generator; a query's value is its mean over the seeds."""
    rows: dict[str, list[dict[str, Any]]] = {generator: [] for generator in generators}
    for size, trained in runs.items():
        values = {
            generator: [mean(one[system][query] for one in seeds) for query in before]
            for generator, seeds in trained.items()
        }
        for generator, after in values.items():
            row = {
                "queries": size,
                "ndcg@10": mean(after),
                "gain": paired_bootstrap(list(before.values()), after, seed=seed).as_dict(),
                "seeds": [mean(one[system].values()) for one in trained[generator]],
            }
            rows[generator].append(row)
        if generators[0] in values:
            for generator, compared in compare_values(values, generators[0], seed=seed).items():
                rows[generator][-1]["less_first"] = {**compared.difference.as_dict(), "p_holm": compared.p_holm}
    return rows


def _trained(
    bench: JudgedBench, generator: str, known: Sequence[TrainingQuery], size: int, seed: int, steps: int
) -> PerQuery:
    shuffled = list(known)
    random.Random(seed).shuffle(shuffled)
    say(f"{bench.name}: {size:,} queries of {generator}, seed {seed}")
    return bench.encoder_learned(generator, shuffled[:size], seed=seed, steps=steps)


def equal_share(better: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> float | None:
    """At what share of the other's largest number of queries the better generator's rankers are as good.

    Args:
        better: rows of one generator, by number of queries.
        other: those of another one.

    Returns:
        The share; ``None`` where none of the numbers is enough, or where the other's gain is none.
    """
    if not better or not other or other[-1]["gain"]["score"] <= 0:
        return None
    goal = other[-1]["ndcg@10"] - _ROUGHLY
    enough = next((row["queries"] for row in better if row["ndcg@10"] >= goal), None)
    return None if enough is None else float(enough) / float(other[-1]["queries"])


def _said(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """For each generator but the first, at what share of the first one's queries its own equal them."""
    first, *others = (name for name in generators if name != _TEMPLATES or len(generators) == 1)
    rows = generators[first]
    if not rows or not others:
        return []
    most = rows[-1]["queries"]
    if rows[-1]["gain"]["score"] <= 0:
        return [f"{most:,} queries of {first} are no better than none, so there is no share of them to tell."]
    found = []
    for name in others:
        share = equal_share(generators[name], rows)
        found.append(
            f"No number of queries of {name} is as good as {most:,} of {first}."
            if share is None
            else f"{share:.0%} as many queries of {name} are as good as {most:,} of {first}."
        )
    return found


def _report(results: Mapping[str, Any]) -> str:
    body = []
    for name, one in results.items():
        parts = [paragraph(_untrained(one))]
        for system, found in one["systems"].items():
            generators = found["generators"]
            lines = [
                Series(generator, [(row["queries"], row["gain"]["score"]) for row in rows])
                for generator, rows in generators.items()
                if rows
            ]
            title = f"{_SYSTEMS[system]}: gain over the same without queries, by number of queries"
            parts += [series(lines, title=title)] if lines else []
            parts.append(table(_head(found), _cells(generators), numbers={1, 2, 3, 4}))
            parts += [paragraph(said) for said in _said(generators)]
        body.append(section(name, parts))
    return page("Growth", "Query encoders that learned from generated queries alone, judged by people.", body)


def _table(results: Mapping[str, Any]) -> str:
    said = []
    for name, one in results.items():
        said += [f"{name}: {_untrained(one)}", ""]
        for system, found in one["systems"].items():
            rows = text_table(_head(found), _cells(found["generators"]), numbers={1, 2, 3, 4})
            said += [_SYSTEMS[system], rows, *_said(found["generators"]), ""]
    return "\n".join(said)


def _untrained(one: Mapping[str, Any]) -> str:
    return (
        f"the untrained system that choose-ranker picks, {one['chosen']}, has {number(one['untrained'])}, and "
        f"{number(one['smoothed'])} smoothed"
    )


def _head(found: Mapping[str, Any]) -> list[str]:
    first = next(iter(found["generators"]))
    return [
        "generator",
        "queries",
        MEASURE,
        f"less none, {number(found['without_queries'])}",
        f"less {first}, p (Holm)",
    ]


def _cells(generators: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    cells = []
    for generator, rows in generators.items():
        for row in rows:
            less = row.get("less_first")
            compared = "" if less is None else f"{interval(less)}, {less['p_holm']:.3f}"
            cells.append([generator, f"{row['queries']:,}", number(row["ndcg@10"]), interval(row["gain"]), compared])
    return cells


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
