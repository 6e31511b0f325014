"""The table of variants, with a scripted model and a tiny base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.ablate_tuning import SEEDS, VARIANTS, ablate_tuning
from inpars_plus.foundation import read_json, read_lines
from inpars_plus.metrics.cheats import FINDING_CHEATS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def shared(corpus: Path, compiled: Path, tiny_directory: Path) -> dict[str, Any]:
    small = {"lm": "scripted", "base": str(tiny_directory), "retriever": "bm25", "threads": 4, "samples": 8}
    small |= {"train_documents": 32, "validation_documents": 4, "test_documents": 8, "seed": 0}
    return {**small, "corpus": str(corpus), "programs": compiled}


def test_variants_share_their_samples_and_are_compared_with_cpo(
    corpus: Path, compiled: Path, tiny_directory: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inpars_plus.experiments.ablate_tuning.SEEDS", {"cpo": 2})
    given = shared(corpus, compiled, tiny_directory)
    first, sharing, rest, again = (small.World(replies=small.write_candidate) for _ in range(4))
    ablate_tuning(given, tmp_path, only=["cpo"], **first.parts)
    ablate_tuning(given, tmp_path, only=["sft"], **sharing.parts)
    # What both sample is the same: 32 documents, at least three distinct prompts each.
    assert sharing.calls + 32 * 3 <= first.calls

    names = ["cpo", "sft", "cheats offered, no guards"]
    summary = ablate_tuning(given, tmp_path, only=names, **rest.parts)
    rows = summary.results["rows"]
    assert [(row["variant"], row["seed"]) for row in rows] == [
        ("cpo", 0), ("cpo", 1), ("sft", 0), ("cheats offered, no guards", 0),
    ]  # fmt: skip
    assert rows[-1]["test"]["first_try"]["documents"] == 8
    folder = tmp_path / rows[-1]["folder"]
    candidates = [line for _, line in read_lines(folder / "rounds/1/candidates.jsonl")]
    others = [line for line in candidates if not line["own"]]
    assert {line["origin"] for line in others} == {
        # Titles have two words here, so three of them are the title again.
        f"cheat: {name}"
        for name in FINDING_CHEATS
        if name != "three_title_words"
    }
    (result,) = read_json(folder / "summary.json", kind="summary")["results"].values()
    free = sum(line["own"] and not line["opening"] for line in candidates)
    assert result["rounds"][0]["sampled"]["without_opening"]["documents"] == free
    assert all(set(row["less_cpo"]) == {"score", "low", "high"} for row in rows if row["variant"] != "cpo")
    assert ablate_tuning(given, tmp_path, only=names, **again.parts).results == summary.results
    assert again.calls == 0


def test_every_variant_with_several_seeds_is_one_of_them() -> None:
    assert SEEDS.keys() <= VARIANTS.keys()
