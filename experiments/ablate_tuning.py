"""What each part of tuning is worth: one table of variants, resumable, with shared samples.

    python -m inpars_plus.experiments.ablate_tuning --corpus DOCS --programs runs/docs --out runs/ablation

Every variant is a run of ``tune-generator`` in a directory of its own, begun as a copy of the variant whose stages it
shares: what was sampled, trained or scored there is not done again. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.tables import MEASURES, interval, number, text_table
from inpars_plus.experiments.tune_generator import TuneSettings, tune_generator
from inpars_plus.experiments.workbench import MakeLm
from inpars_plus.foundation import LmUsage, Summary, copy_folder, read_lines, replacing_folder, say, write_summary
from inpars_plus.lms.scoring import Scorer
from inpars_plus.metrics.significance import paired_bootstrap

__all__ = ["SEEDS", "VARIANTS", "ablate_tuning", "main"]

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "cpo": {"loss": "cpo", "rounds": 1},
    "sft": {"loss": "sft", "rounds": 1},
    "sft-cpo": {"loss": "sft-cpo", "rounds": 2},
    "cpo, 2 rounds": {"loss": "cpo", "rounds": 2},
    "cpo, 3 rounds": {"loss": "cpo", "rounds": 3},
    "random pairs": {"loss": "cpo", "rounds": 1, "pairs_rule": "random"},
    "cheats offered": {"loss": "cpo", "rounds": 1, "offer_cheats": True},
    # Validation would stop the cheating that this variant is there to show.
    "cheats offered, no guards": {
        "loss": "cpo",
        "rounds": 1,
        "offer_cheats": True,
        "guarded": False,
        "validation_documents": 0,
    },
}
"""Variant → the settings in which it differs."""

_SHARED: Mapping[str, tuple[str, ...]] = {
    "sft": ("cpo",),
    "sft-cpo": ("sft", "cpo"),
    "cpo, 2 rounds": ("cpo",),
    "cpo, 3 rounds": ("cpo, 2 rounds", "cpo"),
    "random pairs": ("cpo",),
    "cheats offered": ("cpo",),
    "cheats offered, no guards": ("cheats offered", "cpo"),
}
"""Variant → those that it may begin as a copy of, the nearest first. Steps whose inputs differ are done again."""

SEEDS = {"cpo": 3, "sft-cpo": 3}
"""How many seeds a variant has, if not one."""


def ablate_tuning(
    shared: Mapping[str, Any],
    out: Path,
    *,
    only: Sequence[str] = (),
    make_lm: MakeLm | None = None,
    scorer: Scorer | None = None,
) -> Summary:
    """Run the variants and compare them.

    Args:
        shared: settings of ``tune-generator`` that all variants have; ``seed`` is the first seed.
        out: directory; each variant and seed has a folder in it.
        only: names of variants; all by default.
        make_lm: makes the language models instead of their names.
        scorer: of naturalness, instead of the embedded model.

    Returns:
        The summary that was written, with ``results.rows``. Seconds are those that each variant would take alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    memory, usage = 0, dict[int, LmUsage]()
    chosen = [name for name in VARIANTS if not only or name in only]
    first = shared.get("seed", 0)
    # Seed by seed, so that one of each variant is there early.
    jobs = [(first + nth, name) for name in chosen for nth in range(SEEDS.get(name, 1))]
    for seed, name in sorted(jobs, key=lambda job: job[0]):
        say(f"Variant '{name}', seed {seed}")
        folder = _begin(out, name, seed)
        settings = make_settings(
            TuneSettings, "tune-generator", **{**shared, **VARIANTS[name], "seed": seed, "out": folder}
        )
        summary = tune_generator(settings, make_lm=make_lm, scorer=scorer, replies=out / f"replies-{seed}.sqlite")
        assert summary is not None
        ((_, result),) = summary.results.items()
        rows.append({"variant": name, "seed": seed, "folder": folder.name, "test": result["test"]})
        rows[-1]["seconds"] = summary.seconds
        memory = max(memory, summary.peak_memory_mb)
        usage[seed] = summary.lm  # of the store that the variants of a seed share
    rows.sort(key=lambda row: chosen.index(row["variant"]))
    _compare(out, rows)
    summary = Summary(
        settings={name: str(value) for name, value in shared.items()},
        seed=first,
        seconds=round(sum(row["seconds"] for row in rows), 1),
        peak_memory_mb=memory,
        lm=sum(usage.values(), LmUsage()),
        results={"rows": rows},
    )
    write_summary(out, summary)
    return summary


def _folder(out: Path, name: str, seed: int) -> Path:
    return out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def _begin(out: Path, name: str, seed: int) -> Path:
    """The folder of a variant, with the stages that another has finished."""
    folder = _folder(out, name, seed)
    finished = (_folder(out, other, seed) for other in _SHARED.get(name, ()))
    source = next((other for other in finished if (other / "summary.json").is_file()), None)
    if source is not None and not folder.exists():
        with replacing_folder(folder) as half:
            copy_folder(source, half, without=("summary.json", "report.html", ".lock", "replies*"))
    return folder


def _compare(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add to each row its score less that of CPO with the same seed, paired by document."""
    scores = {
        (row["variant"], row["seed"]): {
            line["document_id"]: float(line["score"])
            for _, line in read_lines(out / row["folder"] / "scores/after.jsonl")
        }
        for row in rows
    }
    for row in rows:
        own, other = scores[row["variant"], row["seed"]], scores.get(("cpo", row["seed"]))
        if other is not None and row["variant"] != "cpo":
            both = sorted(own.keys() & other.keys())
            row["less_cpo"] = paired_bootstrap(
                [other[name] for name in both], [own[name] for name in both], seed=row["seed"]
            ).as_dict()


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "seed", *(f"{name.replace('_', ' ')}" for name in MEASURES), "sampled", "score less before", "less cpo"]
    cells = []
    for row in rows:
        test = row["test"]
        cells.append(
            [
                row["variant"],
                str(row["seed"]),
                *(number(test["after"][name]) for name in MEASURES),
                number(test["after_sampled"]["accepted"]),
                interval(test["difference"]),
                interval(row["less_cpo"]) if "less_cpo" in row else "",
            ]
        )
        if "first_try" in test:
            first = [number(test["first_try"][name]) for name in MEASURES]
            cells.append([f"{row['variant']}: first tries", str(row["seed"]), *first, "", "", ""])
    test = rows[0]["test"]
    for label, one in [
        ("before", test["before"]),
        *((f"cheat: {name}", cheat) for name, cheat in test["cheats"].items()),
    ]:
        cells.append([label.replace("_", " "), "", *(number(one[name]) for name in MEASURES), "", "", ""])
    return text_table(head, cells, numbers=set(range(1, len(MEASURES) + 3)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="as for tune-generator")
    parser.add_argument("--programs", type=Path, required=True, help="as for tune-generator")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="directory (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--train-documents", type=int, default=200, help="a round (default %(default)s)")
    parser.add_argument("--test-documents", type=int, default=256, help="(default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=[], help="these variants alone")
    given = parser.parse_args(arguments)
    shared = {
        "corpus": given.corpus,
        "programs": given.programs,
        "seed": given.seed,
        "train_documents": given.train_documents,
        "test_documents": given.test_documents,
    }
    summary = ablate_tuning(shared, given.out, only=given.only)
    print(_table(summary.results["rows"]))
    print(f"\nAll figures: {given.out / 'summary.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
