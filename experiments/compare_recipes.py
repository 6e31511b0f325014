r"""This project's way to train rankers without labels beside those of published recipes, by people's judgments.

    python -m inpars_plus.experiments.compare_recipes --collection scifact=BEIR/scifact --ours scifact=runs/queries \
        --out runs/recipes

Each recipe writes one query for the same documents (none of the test split) and trains the same encoder for the same
number of steps; the others' queries are of one model, ours of the generator that wrote them. Our own ranker is
another thing besides: it tunes queries alone, 32 a step where the others take 16 rows, also learns from held-out
lines, sums vectors of sentences and titles too, has feedback, and smooths scores over documents that are alike, where
the others are fused with BM25 as the chosen system is. Smoothing needs no training, so there are rows of the others
and of untrained systems with it (``bm25``, which knows no vectors, stays as it is). What our queries are worth in the
training of the others is a row of its own. Figures are nDCG@10 on ``test.tsv``, or on the half of it that is for
reports where a collection has no other judgments. ``--gold 10`` gives every recipe ten judged queries of the others: to
show as examples (not where an example needs a second question), to train on, and to weigh retrievers by. The queries of
ours are written before, so ``--write-gold`` comes first: it writes the ten of each collection to
``<out>/<collection>/gold``, which compile-programs and tune-generator take with ``--human``. Stopped or killed, the
same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.flags import at_least, named_paths, run_seeds
from inpars_plus.experiments.judged_bench import JudgedBench, PerQuery
from inpars_plus.experiments.recipe_bench import OUR_QUERIES, OURS, CollectionBench, RecipeSettings
from inpars_plus.experiments.tables import interval, number, text_table
from inpars_plus.experiments.workbench import Steps, summary_of
from inpars_plus.foundation import ConfigurationError, Run, Summary, write_summary
from inpars_plus.lms import ReplyStore, Scorer, load_lm, load_scorer
from inpars_plus.metrics.evaluation import compare_values
from inpars_plus.optimizers.rankers.recipes import RECIPES
from inpars_plus.optimizers.rankers.training_queries import write_training_queries

__all__ = ["compare_recipes", "main", "write_gold"]

_ALONE = ", alone"
"""Rows of an encoder that searches by itself."""


def compare_recipes(
    collections: Mapping[str, Path],
    ours: Mapping[str, Path],
    out: Path,
    *,
    settings: RecipeSettings | None = None,
    only: Sequence[str] = (),
    lm: str = "embedded",
    make_lm: dspy.BaseLM | None = None,
    scorer: Scorer | None = None,
) -> Summary:
    """Train and judge all recipes.

    Args:
        collections: name → directory in BEIR's layout.
        ours: name → queries that ``generate-queries`` wrote.
        out: directory; each collection has a folder in it.
        settings: what all recipes share.
        only: names of recipes, all by default.
        lm: writes the queries of the other recipes.
        make_lm: it, instead of its name.
        scorer: of its queries' likelihood, instead of the same model.

    Returns:
        The summary that was written: ``results.collections`` and ``results.mean``.

    Raises:
        ConfigurationError: a collection has no queries of ours.
    """
    settings, done = settings or RecipeSettings(), list[Steps]()
    without = next((name for name in collections if name not in ours), None)
    if without is not None:
        raise ConfigurationError(
            f"there are no queries of ours for '{without}'", place="--ours", remedy="Make some with generate-queries"
        )
    values: dict[str, PerQuery] = {}
    results: dict[str, Any] = {}
    names = [name for name in [*RECIPES, OUR_QUERIES, OURS] if not only or name in only]
    for name, directory in collections.items():
        with Run(out / name) as run:
            store = ReplyStore(out / name / "replies.sqlite")
            try:
                bench = CollectionBench(
                    name,
                    directory,
                    ours[name],
                    settings,
                    steps=Steps(run),
                    lm=make_lm or load_lm(lm, store=store),
                    scorer=scorer or load_scorer(lm),
                )
                done.append(bench.steps)
                values[name], results[name] = _collection(bench, names, settings)
            finally:
                store.close()
        write_summary(out / name, summary_of(done[-1], settings={}, seed=settings.seed, results=results[name]))
    summary = summary_of(
        *done,
        settings={"collections": list(collections), **{key: _plain(one) for key, one in vars(settings).items()}},
        seed=settings.seed,
        results={"collections": results, "mean": _over_all(values, settings.seed)},
    )
    write_summary(out, summary)
    return summary


def write_gold(collections: Mapping[str, Path], out: Path, *, count: int, seed: int = 0) -> list[Path]:
    """Write the judged queries that all recipes get, for those who write our queries with them.

    Args:
        collections: name → directory in BEIR's layout.
        out: directory of the comparison.
        count: of queries.
        seed: of the draw.

    Returns:
        The directory of each collection, in BEIR's layout.

    Raises:
        ConfigurationError: no query is asked for.
    """
    if count < 1:
        raise ConfigurationError("there is nothing to write", place="--gold", remedy="Give 1 or more")
    written = []
    for name, directory in collections.items():
        with Run(out / name) as run:
            gold = JudgedBench(name, directory, steps=Steps(run), seed=seed).gold(count)
        write_training_queries(out / name / "gold", gold)
        written.append(out / name / "gold")
    return written


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _collection(
    bench: CollectionBench, names: Sequence[str], settings: RecipeSettings
) -> tuple[PerQuery, dict[str, Any]]:
    """Values of all systems, means of a query over the seeds, and the collection's part of the summary."""
    untrained = bench.untrained()
    best = max(untrained, key=lambda one: _mean(untrained[one]))
    smooth = bench.untrained(bench.smoothing)
    best_smooth = max(smooth, key=lambda one: _mean(smooth[one]))
    values = {
        "dense": untrained["dense"],
        "chosen": untrained[bench.chosen.name],
        "chosen, smoothed": smooth[bench.chosen.name],
        "best untrained": untrained[best],
        "best untrained, smoothed": smooth[best_smooth],
    }
    seeds: dict[str, list[float]] = {}
    counts = {}
    for name in names:
        runs = [bench.trained(name, seed) for seed in settings.seeds]
        counts[name] = len(bench.queries(name))
        for kind in runs[0]:
            label = name if name == OURS else f"{name}, {kind}"
            values[label] = {query: sum(one[kind][query] for one in runs) / len(runs) for query in runs[0][kind]}
            seeds[label] = [_mean(one[kind]) for one in runs]
    return values, {
        "chosen": bench.chosen.name,
        "best_untrained": best,
        "best_smoothed": best_smooth,
        "queries": counts,
        "gold": len(bench.gold_queries),
        "weight": bench.weight,
        "judged": len(values["dense"]),
        "systems": {name: {"ndcg@10": _mean(one), "seeds": seeds.get(name, [])} for name, one in values.items()},
        "less": {"chosen": _less(values, "chosen", settings.seed), "ours": _less(values, OURS, settings.seed)},
    }


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _less(values: PerQuery, baseline: str, seed: int) -> dict[str, Any]:
    """Each system less the baseline, with a paired randomisation test and Holm's correction."""
    if baseline not in values:
        return {}
    queries = sorted(values[baseline])
    table = {name: [one[query] for query in queries] for name, one in values.items()}
    return {
        name: {**one.difference.as_dict(), "p": one.p, "p_holm": one.p_holm, "wins": one.wins, "losses": one.losses}
        for name, one in compare_values(table, baseline, seed=seed).items()
    }


def _over_all(values: Mapping[str, PerQuery], seed: int) -> dict[str, Any]:
    """Means over collections, each counting alike, and tests over all queries.

    Our ranker is compared with each system, and an encoder that the others' training makes of our queries with those
    that it makes of theirs.
    """
    first = next(iter(values.values()))
    means = {name: sum(_mean(one[name]) for one in values.values()) / len(values) for name in first}
    total = sum(len(one["dense"]) for one in values.values())

    def weighted(name: str) -> list[float]:
        # So that the mean over all queries is the mean of the collections' means.
        return [
            one[name][query] * total / (len(values) * len(one[name]))
            for one in values.values()
            for query in sorted(one[name])
        ]

    def less(ours: str, systems: Sequence[str]) -> dict[str, Any]:
        if ours not in systems:
            return {}
        # Each of them less ours; the test has two sides, so that its p is also that of ours less it.
        compared = compare_values({name: weighted(name) for name in systems}, ours, seed=seed)
        return {
            name: {"score": means[ours] - means[name], "p": one.p, "p_holm": one.p_holm}
            for name, one in compared.items()
        }

    encoders = [name for name in first if name.endswith(_ALONE)]
    return {
        "ndcg@10": means,
        "ours_less": less(OURS, list(first)),
        "queries_less": less(f"{OUR_QUERIES}{_ALONE}", encoders),
    }


def _table(results: Mapping[str, Any]) -> str:
    collections, mean = results["collections"], results["mean"]
    names = list(mean["ndcg@10"])
    rows = []
    for name in names:
        cells = [number(one["systems"][name]["ndcg@10"]) for one in collections.values()]
        less = mean["ours_less"].get(name)
        ahead = "" if less is None else f"{less['score']:+.3f} (p = {less['p_holm']:.3f})"
        rows.append([name, *cells, number(mean["ndcg@10"][name]), ahead])
    head = ["nDCG@10", *collections, "mean", f"{OURS} less it"]
    said = [text_table(head, rows, numbers=set(range(1, len(head))))]
    for name, one in collections.items():
        less = one["less"]["chosen"].get(OURS)
        if less is not None:
            said.append(
                f"{name}: {OURS} less {one['chosen']}, which is chosen without labels: {interval(less)}, "
                f"p = {less['p']:.3f}; best untrained is {one['best_untrained']}"
            )
    for name, less in mean["queries_less"].items():
        said.append(f"{OUR_QUERIES} less {name}: {less['score']:+.3f} (p = {less['p_holm']:.3f})")
    return "\n".join(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--collection",
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="documents, queries and judgments in BEIR's layout; repeatable",
    )
    parser.add_argument(
        "--ours", action="append", default=[], metavar="NAME=DIR", help="queries of generate-queries; repeatable"
    )
    parser.add_argument(
        "--lm",
        default="embedded",
        help="writes the other recipes' queries: embedded or gguf:PATH (default %(default)s)",
    )
    parser.add_argument("--documents", type=int, default=500, help="to write queries for (default %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of the optimizer (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of training (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of documents and tests (default %(default)s)")
    parser.add_argument("--gold", type=int, default=0, metavar="N", help="judged queries that all get (default 0)")
    parser.add_argument("--write-gold", action="store_true", help="only write these, for --human of other jobs")
    parser.add_argument(
        "--only", nargs="+", choices=[*RECIPES, OUR_QUERIES, OURS], default=[], metavar="RECIPE", help="these alone"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="directory (default %(default)s)")
    given = parser.parse_args(arguments)
    collections = named_paths(given.collection, "--collection")
    settings = RecipeSettings(
        documents=at_least(given.documents, "--documents"),
        steps=at_least(given.steps, "--steps"),
        seeds=run_seeds(given.seeds, given.seed),
        seed=given.seed,
        gold=at_least(given.gold, "--gold", 0),
    )
    if given.write_gold:
        written = write_gold(collections, given.out, count=given.gold, seed=given.seed)
        print("\n".join(map(str, written)))
        return 0
    summary = compare_recipes(
        collections,
        named_paths(given.ours, "--ours"),
        given.out,
        settings=settings,
        only=given.only,
        lm=given.lm,
    )
    print(_table(summary.results))
    print(f"\nAll figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
