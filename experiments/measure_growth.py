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
from inpars_plus.experiments.flags import at_least, named_paths, run_seeds
from inpars_plus.experiments.judged_bench import JudgedBench, PerQuery
from inpars_plus.experiments.measure_granularity import against_first
from inpars_plus.experiments.reports.growth_report import SHARES, TEMPLATES, growth_picture, growth_report, growth_table
from inpars_plus.experiments.train_ranker import FEWEST_QUERIES
from inpars_plus.experiments.workbench import Steps, summary_of
from inpars_plus.foundation import (
    JSON,
    ConfigurationError,
    Run,
    Summary,
    say,
    write_summary,
    write_text,
)
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.optimizers.rankers.recipes import usable_query
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["SIZES", "growth_rows", "main", "measure_growth"]

SIZES = (250, 500, 1_000, 2_000, 4_000)

_PICTURE = "growth.svg"


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
        The summary that was written: for each collection, under ``systems``, ``fusion`` (where documents have lines to
        learn its weights from) or ``dense``, and ``generators``, a row a size with its gain over the same without
        queries, and its difference from the first generator with as many. Intervals and tests are over the judged
        queries, of means over the seeds; p is adjusted for the generators of one number of queries.

    Raises:
        ConfigurationError: queries are given for a collection that is not, a generator has the name of the cheat, or a
            number of queries is too small.
    """
    sizes = sorted(set(sizes))
    unknown = next((name for name in queries if name not in collections), None)
    if unknown is not None:
        raise ConfigurationError(
            f"there are queries for '{unknown}', but no such collection",
            place="--queries",
            remedy="Give it with --collection",
        )
    if any(TEMPLATES in generators for generators in queries.values()):
        raise ConfigurationError(
            f"'{TEMPLATES}' are the queries that stand beside the generators anyway",
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
    hashes: dict[str, JSON] = {"encoder": load_encoder().digest}
    for name, directory in collections.items():
        with Run(out / name) as run:
            bench = JudgedBench(name, directory, steps=Steps(run), seed=seeds[0])
            done.append(bench.steps)
            known = {
                generator: bench.queries_of(folder, unchecked=unchecked)
                for generator, folder in queries.get(name, {}).items()
            }
            known[TEMPLATES] = _templates(bench)
            hashes |= {f"{name}: corpus": bench.corpus.digest(), f"{name}: judgments": bench.judged.digest}
            hashes |= {f"{name}: queries of {generator}": queries_digest(found) for generator, found in known.items()}
            # Those that are checked and those that are not have folders of their own.
            labels = {one: f"{one}, unchecked" if unchecked and one != TEMPLATES else one for one in known}
            runs = {
                size: {
                    generator: [_trained(bench, labels[generator], found, size, seed, steps) for seed in seeds]
                    for generator, found in known.items()
                    if size <= len(found)
                }
                for size in sizes
            }
            results[name] = _collection(bench, list(known), runs, seeds[0])
            results[name]["numbers"] = {generator: len(found) for generator, found in known.items()}
    summary = summary_of(
        *done,
        settings={"sizes": list(sizes), "seeds": list(seeds), "steps": steps, "unchecked": unchecked},
        seed=seeds[0],
        hashes=hashes,
        results={"collections": results},
    )
    write_summary(out, summary)
    write_text(out / "report.html", growth_report(results, unchecked=unchecked))
    write_text(out / _PICTURE, growth_picture(results))
    return summary


def _templates(bench: JudgedBench) -> list[TrainingQuery]:
    texts = zip(bench.eligible, bench.templates(bench.eligible), strict=True)
    return bench.unseen(
        [TrainingQuery(f"template {one.id}", query, (one.id,)) for one, text in texts if (query := usable_query(text))]
    )


def _collection(
    bench: JudgedBench, generators: Sequence[str], runs: Mapping[int, Mapping[str, Sequence[PerQuery]]], seed: int
) -> dict[str, Any]:
    """A collection's part of the summary."""
    plain, smoothed = (bench.untrained(share)[bench.chosen.name] for share in (0.0, bench.smoothing))
    fusion = bench.weighed
    return {
        "chosen": bench.chosen.name,
        "untrained": mean(plain.values()),
        "smoothed": mean(smoothed.values()),
        "fusion": None if fusion is None else fusion.model_dump(mode="json", include={"components", *SHARES}),
        "systems": {
            system: {
                "without_queries": mean(before.values()),
                "generators": growth_rows(
                    before,
                    {
                        size: {generator: [one[system] for one in trained] for generator, trained in found.items()}
                        for size, found in runs.items()
                    },
                    generators,
                    seed=seed,
                ),
            }
            for system, before in bench.without_queries().items()
        },
    }


def growth_rows(
    before: Mapping[str, float],
    runs: Mapping[int, Mapping[str, Sequence[Mapping[str, float]]]],
    generators: Sequence[str],
    *,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """A row a generator and number of queries.

    Args:
        before: judged query → what it has without generated queries.
        runs: number of queries → generator → what each judged query has, for each seed of training.
        generators: all of them; what the first one's rows have is the measure of the others.
        seed: of intervals and tests.

    Returns:
        Generator → rows with nDCG@10 (a judged query's value is its mean over the seeds), the gain, the seeds' means,
        and, where the first generator has as many queries, what
        :func:`~inpars_plus.experiments.measure_granularity.against_first` tells.
    """
    rows: dict[str, list[dict[str, Any]]] = {generator: [] for generator in generators}
    for size, found in runs.items():
        values = {
            generator: [mean(one[query] for one in trained) for query in before] for generator, trained in found.items()
        }
        compared = against_first(values, seed=seed) if generators[0] in values else {}
        for generator, after in values.items():
            rows[generator].append(
                {
                    "queries": size,
                    "ndcg@10": mean(after),
                    "gain": paired_bootstrap(list(before.values()), after, seed=seed).as_dict(),
                    "seeds": [mean(one.values()) for one in found[generator]],
                    **compared.get(generator, {}),
                }
            )
    return rows


def _trained(
    bench: JudgedBench, generator: str, known: Sequence[TrainingQuery], size: int, seed: int, steps: int
) -> PerQuery:
    shuffled = list(known)
    random.Random(seed).shuffle(shuffled)
    say(f"{bench.name}: {size:,} queries of {generator}, seed {seed}")
    return bench.encoder_learned(generator, shuffled[:size], seed=seed, steps=steps)


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
        sizes=[at_least(size, "--sizes") for size in given.sizes],
        seeds=run_seeds(given.seeds),
        steps=at_least(given.steps, "--steps"),
        unchecked=given.unchecked,
    )
    print(growth_table(summary.results["collections"], unchecked=given.unchecked))
    for what, file in (("Picture", _PICTURE), ("Report", "report.html"), ("All figures", "summary.json")):
        print(f"{what}: {given.out / file}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
