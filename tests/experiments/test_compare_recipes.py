"""Recipes on a small judged collection, with a scripted generator and the real encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, split_of, write_beir
from inpars_plus.experiments.compare_recipes import compare_recipes, main
from inpars_plus.experiments.recipe_bench import OUR_QUERIES, OURS, CollectionBench, RecipeSettings
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import Run, read_json
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms import scripted_lm
from inpars_plus.optimizers.rankers.choosing import System
from inpars_plus.optimizers.rankers.training_queries import read_training_queries
from inpars_plus.retrieval.rankers import RankerSpec, SharedIndexes

pytestmark = [pytest.mark.model, pytest.mark.slow]

QUICK = RecipeSettings(documents=40, steps=2, batch=4, seeds=(0,), gold=3)


@pytest.fixture
def collection(titled: list[Document], titled_corpus: Path) -> Path:
    for split, chosen in (("train", titled[:20]), ("test", titled[20:60])):
        queries = [Query(id=f"p-{one.id}", text=f"{one.id.replace('-', ' that ')} at night") for one in titled[:60]]
        judgments = [Judgment(query_id=f"p-{one.id}", document_id=one.id) for one in chosen]
        asked = {judgment.query_id for judgment in judgments}
        write_beir(
            titled_corpus,
            queries=queries if split == "test" else [one for one in queries if one.id in asked],
            judgments=judgments,
            split=split,
        )
    return titled_corpus


@pytest.fixture
def ours(titled: list[Document], small: Any, tmp_path: Path) -> Path:
    return Path(small.write_generated(titled, tmp_path / "ours"))


def write_query(prompt: str) -> str:
    machine, trouble = prompt.rsplit("Document: ", 1)[1].split()[2:4]
    return f" what about the {machine} that {trouble}"


def test_all_recipes_are_trained_and_judged_and_a_second_call_finds_them_done(
    collection: Path, ours: Path, titled: list[Document], tmp_path: Path, small: Any
) -> None:
    lm = scripted_lm(write_query)
    names = ["Promptagator", "GPL", OURS]
    parts: dict[str, Any] = {"settings": QUICK, "make_lm": lm, "scorer": small.FlatScorer()}
    summary = compare_recipes({"mend": collection}, {"mend": ours}, tmp_path / "out", only=names, **parts)

    told = summary.results["collections"]["mend"]
    assert (told["judged"], told["gold"]) == (40, 3)
    people = read_training_queries(tmp_path / "out" / "mend" / "ours-0" / "human", titled)
    assert len(people) == 3
    trained_with = read_json(tmp_path / "out" / "mend" / "ours-0" / "ranker" / "summary.json", kind="summary")
    assert trained_with["results"]["queries"]["human"] == 3
    trained = {name for name, one in told["systems"].items() if one["seeds"]}
    assert trained == {OURS} | {f"{name}, {kind}" for name in names[:2] for kind in ("alone", "fused", "smoothed")}
    assert all(0 <= one["ndcg@10"] <= 1 for one in told["systems"].values())
    assert set(told["queries"].values()) == {40 + 3}
    assert set(summary.results["mean"]["ours_less"]) == {*told["systems"]} - {OURS}
    assert summary.results["mean"]["queries_less"] == {}  # our queries were not in the others' training

    assert {one["kwargs"].get("top_k") for one in lm.history} == {None, 25}

    prompts = list(lm.engine.prompts)
    assert any("at night\n" in one for one in prompts)  # a gold query, shown as an example
    again = compare_recipes({"mend": collection}, {"mend": ours}, tmp_path / "out", only=names, **parts)
    assert lm.engine.prompts == prompts
    assert again.results == summary.results


def test_our_queries_are_compared_with_those_of_others_in_the_same_training(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worth = {"GPL": 0.25, OUR_QUERIES: 0.5}

    def trained(self: CollectionBench, name: str, seed: int) -> Any:
        asked = self.untrained()["dense"]
        return {kind: dict.fromkeys(asked, worth[name]) for kind in ("alone", "fused")}

    monkeypatch.setattr(CollectionBench, "trained", trained)
    monkeypatch.setattr(CollectionBench, "queries", lambda *_: [])
    main([
        *("--collection", f"mend={collection}", "--ours", f"mend={collection}", "--only", "GPL", OUR_QUERIES),
        *("--out", str(tmp_path / "out"), "--seeds", "1"),
    ])  # fmt: skip
    assert "InPars+ queries less GPL, alone: +0.250 (p = 0.000)" in capsys.readouterr().out
    mean = read_json(tmp_path / "out" / "summary.json", kind="summary")["results"]["mean"]
    assert list(mean["queries_less"]) == ["GPL, alone"]
    assert mean["ours_less"] == {}  # our own training was not run


def test_only_rows_that_are_called_smoothed_are_smoothed_and_ours(
    collection: Path, ours: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []
    build = SharedIndexes.ranker

    def ranker(self: SharedIndexes, spec: RankerSpec) -> Any:
        made.append(spec.smoothing)
        return build(self, spec)

    monkeypatch.setattr(SharedIndexes, "ranker", ranker)
    with Run(tmp_path / "out") as run:
        bench = CollectionBench(
            "mend",
            collection,
            ours,
            RecipeSettings(documents=40, steps=1, batch=4),
            steps=Steps(run),
            lm=scripted_lm(write_query),
            scorer=small.FlatScorer(),
        )
        assert bench.smoothing == 0.5
        bench.untrained()
        assert set(made) == {0.0}
        made.clear()
        bench.untrained(bench.smoothing)
        assert set(made) == {0.5}
        assert bench.weight  # chosen, which searches
        made.clear()
        bench.trained("templates", 0)
        assert made[-3:] == [0.0, 0.0, 0.5]


def test_queries_are_filtered_and_never_of_test_documents(
    collection: Path, ours: Path, titled: list[Document], tmp_path: Path, small: Any
) -> None:
    tried, learned = (
        next(one.id for one in titled if (split_of(one.id) == "test") is is_test) for is_test in (True, False)
    )
    with (ours / "qrels" / "train.tsv").open("a") as file:
        file.write(f"q-{learned}\t{tried}\t1\n")  # a query with an answer that must not be learned from
    with Run(tmp_path / "out") as run:
        bench = CollectionBench(
            "mend",
            collection,
            ours,
            RecipeSettings(documents=1_000),
            steps=Steps(run),
            lm=scripted_lm(write_query),
            scorer=small.FlatScorer(),
        )
        found = {name: bench.queries(name) for name in ("templates", "InPars", "GPL", OUR_QUERIES)}
    count = len(found["GPL"])
    assert 60 < count < 120
    assert {name: len(queries) for name, queries in found.items()} == {
        "templates": count,
        "InPars": round(count / 2),  # the likelier half
        "GPL": count,
        OUR_QUERIES: count - 1,
    }
    answers = {name for queries in found.values() for one in queries for name in one.document_ids}
    assert all(split_of(name) != "test" for name in answers)


def test_queries_that_nothing_is_found_for_are_trained_on_too_and_it_is_said(
    collection: Path, ours: Path, tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "inpars_plus")
    with Run(tmp_path / "out") as run:
        bench = CollectionBench(
            "mend",
            collection,
            ours,
            RecipeSettings(documents=12, steps=1, batch=4),
            steps=Steps(run),
            lm=scripted_lm(lambda prompt: " glimp frosk zorp hask"),
            scorer=small.FlatScorer(),
        )
        assert set(bench.trained("InPars", 0)) == {"alone", "fused", "smoothed"}
    assert "InPars: 6 of 6 queries have no hard negative and get random ones" in caplog.text


def test_judged_queries_have_a_word_in_the_weight_of_the_others_and_are_written_for_ours(
    collection: Path,
    ours: Path,
    titled: list[Document],
    tmp_path: Path,
    small: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str] = []

    def score(name: str, rankings: Any, queries: Any) -> System:
        asked[:] = sorted(query.text for query in queries)
        return System(name, (float(name == "hybrid:0.3"),))

    monkeypatch.setattr("inpars_plus.experiments.recipe_bench.score_system", score)
    parts: dict[str, Any] = {"lm": scripted_lm(write_query), "scorer": small.FlatScorer()}
    with Run(tmp_path / "out" / "mend") as run:
        without, with_gold = (
            CollectionBench("mend", collection, ours, RecipeSettings(gold=gold), steps=Steps(run), **parts)
            for gold in (0, 10)
        )
        assert without.weight == min(max(without.chosen.dense_weight, 0.1), 0.9)
        assert not asked
        monkeypatch.setattr("inpars_plus.experiments.recipe_bench.judged_share", lambda count: count / 10)
        assert with_gold.weight == 0.3
    arguments = ["--collection", f"mend={collection}", "--gold", "10", "--write-gold", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    directory = tmp_path / "out" / "mend" / "gold"
    assert capsys.readouterr().out == f"{directory}\n"
    assert sorted(one.text for one in read_training_queries(directory, titled)) == asked
    with pytest.raises(ConfigurationError, match="--gold: there is nothing to write"):
        main([one for one in arguments if one not in ("--gold", "10")])


def test_a_collection_without_queries_of_ours_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no queries of ours for 'mend'"):
        compare_recipes({"mend": collection}, {}, tmp_path / "out")


def test_a_flag_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--ours: 'runs' is not of the form NAME=DIR"):
        main(["--collection", f"a={tmp_path}", "--ours", "runs"])


@pytest.mark.parametrize("flags", ["--steps 0", "--documents 0", "--steps -3", "--gold -1", "--steps 0 --write-gold"])
def test_numbers_that_nothing_can_be_done_with_are_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str
) -> None:
    for work in ("compare_recipes", "write_gold"):
        monkeypatch.setattr(f"inpars_plus.experiments.compare_recipes.{work}", lambda *_, **__: pytest.fail("it began"))
    flag, value = flags.split()[:2]
    with pytest.raises(ConfigurationError, match=f"{flag}: {value} is too few"):
        main(["--collection", f"a={tmp_path}", "--ours", f"a={tmp_path}", *flags.split()])
