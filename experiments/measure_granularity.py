r"""Are queries about single sentences worth more to a ranker than queries about documents, by people's judgments?

    python -m inpars_plus.experiments.measure_granularity --collection scifact=BEIR/scifact \
        --queries document=runs/queries --queries sentence=runs/sentence-queries --out runs/granularity

Each directory is one of ``generate-queries``, with ``--granularity document``, ``passage`` or ``sentence``. Rankers
learn from generated queries alone, from the same number of them: of the first kind, of each other kind, and of the
first and the other in equal parts. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.flags import at_least, named_paths, run_seeds
from inpars_plus.experiments.judged_bench import MEASURE, JudgedBench
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.train_ranker import FEWEST_QUERIES
from inpars_plus.experiments.workbench import Steps, summary_of
from inpars_plus.foundation import ConfigurationError, InputError, Run, Summary, say, write_summary
from inpars_plus.metrics.evaluation import compare_values
from inpars_plus.metrics.significance import Difference, paired_bootstrap
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery, queries_digest
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["against_first", "main", "measure_granularity", "mixed"]


def measure_granularity(
    collections: Mapping[str, Path],
    queries: Mapping[str, Path],
    out: Path,
    *,
    size: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 120,
) -> Summary:
    """Train rankers on each kind of queries and on mixtures with the first kind.

    Args:
        collections: one name → directory in BEIR's layout.
        queries: kind → directory of ``generate-queries``; at least two, the first is what others are compared with.
        out: directory of the run.
        size: queries to learn from; by default as many as the kind with the fewest has.
        seeds: of the draw and the training.
        steps: of tuning the query encoder.

    Returns:
        The summary that was written: a row for the untrained system and one a kind and mixture.

    Raises:
        ConfigurationError: there is not one collection, or there are not two kinds, or too few queries.
    """
    if len(collections) != 1:
        raise ConfigurationError(f"there are {len(collections)} collections", place="--collection", remedy="Give one")
    if len(queries) < 2:
        raise ConfigurationError(
            "one kind of queries has nothing to be compared with", place="--queries", remedy="Give two or more"
        )
    ((name, directory),) = collections.items()
    with Run(out) as run:
        bench = JudgedBench(name, directory, steps=Steps(run), seed=seeds[0])
        known = {kind: bench.queries_of(folder) for kind, folder in queries.items()}
        most = min(map(len, known.values()))
        size = most if size is None else size
        _check(size, known, queries)
        results = _compared(bench, known, size, seeds, steps)
        summary = summary_of(
            bench.steps,
            settings={
                "collection": {name: str(directory)},
                "queries": {kind: str(folder) for kind, folder in queries.items()},
                "size": size,
                "seeds": list(seeds),
                "steps": steps,
                "retriever": bench.chosen.name,
            },
            seed=seeds[0],
            hashes={
                "corpus": bench.corpus.digest(),
                "judgments": bench.judged.digest,
                "encoder": load_encoder().digest,
                **{f"queries {kind}": queries_digest(found) for kind, found in known.items()},
            },
            results=results,
        )
        write_summary(out, summary)
    return summary


def _compared(
    bench: JudgedBench, known: Mapping[str, Sequence[TrainingQuery]], size: int, seeds: Sequence[int], steps: int
) -> dict[str, Any]:
    """The rows of the table; a query's value is its mean over the seeds."""
    first, *others = known
    kinds = {one: [one] for one in known} | {f"{first} + {one}": [first, one] for one in others}
    untrained = bench.untrained()[bench.chosen.name]
    values, rows = dict[str, list[float]](), dict[str, Any]()
    for label, parts in kinds.items():
        say(f"{bench.name}: {size:,} queries, {label}")
        runs = []
        for seed in seeds:
            queries = mixed([known[part] for part in parts], size, seed)
            runs.append(bench.learned("-".join(parts), queries, seed=seed, steps=steps))
        values[label] = [sum(one[query] for one in runs) / len(runs) for query in untrained]
        rows[label] = {MEASURE: _mean(values[label]), "seeds": [_mean([*one.values()]) for one in runs]}
    before = [*untrained.values()]
    for label, row in rows.items():
        row["less_untrained"] = paired_bootstrap(before, values[label], seed=seeds[0]).as_dict()
    for label, compared in against_first(values, seed=seeds[0]).items():
        rows[label] |= compared
    return {"queries": size, "untrained": {"name": bench.chosen.name, MEASURE: _mean(before)}, "rows": rows}


def against_first(values: Mapping[str, Sequence[float]], *, seed: int) -> dict[str, dict[str, Any]]:
    """Each row beside the first one, paired by query.

    Args:
        values: row → a value a query.
        seed: of the tests.

    Returns:
        Row → ``less_first``, the difference with its interval; ``p`` of a paired randomisation test; and ``p_holm``,
        adjusted for all rows that are compared. Both are ``None`` for the first row.
    """
    first = next(iter(values))
    nothing = {"less_first": Difference(0.0, 0.0, 0.0).as_dict(), "p": None, "p_holm": None}
    return {first: nothing} | {
        label: {"less_first": one.difference.as_dict(), "p": one.p, "p_holm": one.p_holm}
        for label, one in compare_values(values, first, seed=seed).items()
    }


def mixed(kinds: Sequence[Sequence[TrainingQuery]], size: int, seed: int) -> list[TrainingQuery]:
    """So many queries in equal parts of each kind, drawn by the seed.

    What one kind lacks the others fill up; a query that two kinds have counts once.
    """
    drawn: list[list[TrainingQuery]] = []
    for place, queries in enumerate(kinds):
        shuffled = [replace(one, id=f"{place} {one.id}") for one in queries]
        random.Random(seed).shuffle(shuffled)
        drawn.append(shuffled)
    share = -(-size // len(drawn))
    in_order = [one for queries in drawn for one in queries[:share]]
    in_order += [one for queries in drawn for one in queries[share:]]
    first: dict[tuple[str, tuple[str, ...]], TrainingQuery] = {}
    for one in in_order:
        first.setdefault((one.text, tuple(one.document_ids)), one)
    return list(first.values())[:size]


def _check(size: int, known: Mapping[str, Sequence[TrainingQuery]], queries: Mapping[str, Path]) -> None:
    for kind, found in known.items():
        if size > len(found):
            raise InputError(
                f"there are {len(found):,} queries of the kind '{kind}' to learn from, not {size:,}",
                place=str(queries[kind]),
                remedy="Generate more, or give a smaller --size",
            )
    if size < FEWEST_QUERIES:
        raise ConfigurationError(
            f"a ranker is not trained on {size} queries", place="--size", remedy=f"Give {FEWEST_QUERIES} or more"
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _table(results: Mapping[str, Any]) -> str:
    rows = [[results["untrained"]["name"] + ", untrained", number(results["untrained"][MEASURE]), "", "", ""]]
    for label, row in results["rows"].items():
        p = "" if row["p"] is None else f"{row['p_holm']:.3f}"
        less = "" if row["p"] is None else interval(row["less_first"])
        rows.append([label, number(row[MEASURE]), interval(row["less_untrained"]), less, p])
    first = next(iter(results["rows"]))
    head = [f"{results['queries']:,} queries", MEASURE, "less untrained", f"less {first}", "p (Holm)"]
    return text_table(head, rows, numbers={1, 2, 3, 4})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", required=True, metavar="NAME=DIR", help="judged, in BEIR's layout")
    parser.add_argument(
        "--queries", action="append", required=True, metavar="KIND=DIR", help="queries of generate-queries; repeatable"
    )
    parser.add_argument("--size", type=int, metavar="N", help="queries to learn from (default: as many as all have)")
    parser.add_argument("--seeds", type=int, default=3, help="of draw and training (default %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of tuning the query encoder (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/granularity"), help="directory (default %(default)s)")
    given = parser.parse_args(arguments)
    summary = measure_granularity(
        named_paths([given.collection], "--collection"),
        named_paths(given.queries, "--queries"),
        given.out,
        size=None if given.size is None else at_least(given.size, "--size"),
        seeds=run_seeds(given.seeds),
        steps=at_least(given.steps, "--steps"),
    )
    print(_table(summary.results))
    print(f"All figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
