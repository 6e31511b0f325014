"""``build-training-set``, small: what it writes, what it leaves out, how it goes on, and what can be trained on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, split_of, write_beir
from inpars_plus.experiments.build_training_set import TrainingSetSettings, build_training_set, tell
from inpars_plus.experiments.cli import main
from inpars_plus.experiments.leaks import seen_queries, trained_on
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.train_ranker import TrainSettings, train_ranker
from inpars_plus.foundation.errors import ConfigurationError, InParsError, InputError
from inpars_plus.lms import CompletionScore
from inpars_plus.optimizers.rankers.training_queries import read_training_queries
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.rankers import load_ranker
from inpars_plus.retrieval.runs import read_run

pytestmark = pytest.mark.model


class LikesPumps:
    """Finds queries about pumps likelier than others."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        assert all(prompt.endswith("\nRelevant Query:") for prompt, _ in pairs)
        return [CompletionScore((-1.0 if "pump" in query else -2.0,)) for _, query in pairs]


@pytest.fixture
def generated(titled: list[Document], small: Any, tmp_path: Path) -> Path:
    return Path(small.write_generated(titled, tmp_path / "queries"))


@pytest.fixture
def lost(titled: list[Document], small: Any, tmp_path: Path) -> Path:
    """Queries with words that no document has."""
    return Path(small.write_generated(titled, tmp_path / "lost", text="glimp frosk zorp"))


def settings(corpus: Path, queries: Path, /, **changes: Any) -> TrainingSetSettings:
    given = {"corpus": str(corpus), "queries": queries, "out": corpus.parent / "set", "retriever": "bm25"}
    quick = {"negatives": ("bm25",), "steps": 2, "batch": 4, "max_tokens": 32}
    return make_settings(TrainingSetSettings, "build-training-set", **{**given, **quick, **changes})


def test_the_set_is_filtered_mined_and_written_in_all_forms(
    titled_corpus: Path, generated: Path, titled: list[Document]
) -> None:
    given = settings(
        titled_corpus,
        generated,
        filter=("round-trip:3", "log-probability:5"),
        negatives=("bm25", "dense"),
        per_query=4,
    )
    summary = build_training_set(given, scorer=LikesPumps())
    out, results = given.out, summary.results
    test_documents = sum(split_of(one.id) == "test" for one in titled)
    assert results["queries"] == {"read": 120, "of_test_documents": test_documents, "kept": 5}
    assert [one["filter"] for one in results["filters"]] == ["round trip", "mean log-probability"]
    assert results["filters"][0]["settings"] == {"k": 3, "retriever": "bm25"}
    assert results["filters"][1]["settings"] == {"keep": 5, "lm": "embedded"}
    assert json.loads((out / "filters.json").read_text()) == results["filters"]

    queries = read_training_queries(out, titled)
    assert all("pump" in one.text and split_of(one.document_ids[0]) != "test" for one in queries)
    rows = [json.loads(line) for line in (out / "triplets.jsonl").read_text().splitlines()]
    answers = {one.text: one.document_ids[0] for one in queries}
    by_text = {one.full_text: one.id for one in titled}
    assert len(rows) == results["negatives"]["triplets"] == 5 * 4
    assert all(by_text[row["positive"]] == answers[row["anchor"]] != by_text[row["negative"]] for row in rows)
    assert set(results["negatives"]["origins"]) == {"bm25", "dense"}
    assert set(read_run(out / "negatives" / "dense.trec")) <= {one.id for one in queries}
    assert "mean log-probability" in tell(given, summary)

    again = build_training_set(settings(titled_corpus, generated, per_query=4), scorer=LikesPumps())
    assert again.results["queries"]["kept"] == 120 - test_documents
    assert [path.name for path in (out / "negatives").iterdir()] == ["bm25.trec"]  # the other one would be of no query


def test_the_same_command_again_does_nothing_twice_and_another_seed_does(
    titled_corpus: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"filter": "round-trip:1", "per_query": 2}
    first = build_training_set(settings(titled_corpus, generated, **changes))
    before = (settings(titled_corpus, generated).out / "triplets.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("inpars_plus.experiments.build_training_set.mine_negatives", lambda *_, **__: 1 / 0)
        patch.setattr("inpars_plus.experiments.training_filters.keep_round_trip", lambda *_, **__: 1 / 0)
        assert build_training_set(settings(titled_corpus, generated, **changes)).results == first.results
        with pytest.raises(ZeroDivisionError):
            build_training_set(settings(titled_corpus, generated, **changes, seed=1))
    build_training_set(settings(titled_corpus, generated, **changes, seed=1))
    assert (settings(titled_corpus, generated).out / "triplets.jsonl").read_bytes() != before


def test_queries_without_a_hard_negative_are_told_and_get_random_ones_where_asked(
    titled_corpus: Path, lost: Path
) -> None:
    bare, filled = (settings(titled_corpus, lost, negatives=one) for one in (("bm25",), ("bm25", "random")))
    summary = build_training_set(bare)
    kept = summary.results["queries"]["kept"]
    assert summary.results["negatives"] == {"triplets": 0, "without": kept, "origins": {}}
    assert f"{kept} queries have no hard negative and have no triplet; --negatives random" in tell(bare, summary)
    summary = build_training_set(filled)
    assert summary.results["negatives"]["origins"] == {"random": kept * 8}
    assert f"{kept} queries have no hard negative and get random ones" in tell(filled, summary)


def test_when_no_query_is_left_it_is_said(titled_corpus: Path, lost: Path) -> None:
    with pytest.raises(InputError, match=r"no query is left to train on"):
        build_training_set(settings(titled_corpus, lost, filter="round-trip:1"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"filter": "reranker:5"}, r"--reranker: there is no re-ranker to grade with"),
        ({"loss": "margin-mse", "fine_tune": "bi-encoder"}, r"--reranker: there is no re-ranker"),
        ({"loss": "lists", "fine_tune": "bi-encoder"}, r"--loss: 'lists' is no loss of what is fine-tuned, bi-encoder"),
        ({"filter": "reranker:5", "reranker": "some/model"}, r"'some/model' is neither a directory nor"),
        ({"loss": "pairs"}, r"--loss: 'pairs' is no loss of what is fine-tuned, nothing"),
        ({"base": "some/model"}, r"--base: there is a base, but nothing to fine-tune"),
        (
            {"base": "some/model", "fine_tune": "cross-encoder"},
            r"'some/model' is neither a directory nor .* hf download",
        ),
        ({"filter": "reranker:5", "reranker": "{encoder}"}, r"here is no cross-encoder that gives a pair one grade"),
    ],
)
def test_what_cannot_come_to_an_end_is_refused_before_anything_is_computed(
    titled_corpus: Path, generated: Path, changes: dict[str, Any], told: str
) -> None:
    here = {name: str(value).format(encoder=load_encoder().directory) for name, value in changes.items()}
    given = settings(titled_corpus, generated, **here)
    with pytest.raises(InParsError, match=told):
        build_training_set(given)
    assert not given.out.exists()


@pytest.mark.parametrize("inside", [".", "deeper"])
def test_a_base_that_what_is_tuned_would_replace_is_refused(titled_corpus: Path, generated: Path, inside: str) -> None:
    base = titled_corpus.parent / "set" / "encoder" / inside
    base.mkdir(parents=True)
    with pytest.raises(InParsError, match=r"--base, --out: the base would be replaced by what is tuned from it"):
        build_training_set(settings(titled_corpus, generated, fine_tune="bi-encoder", base=str(base)))


def test_the_queries_are_not_replaced_and_filters_have_a_form(titled_corpus: Path, generated: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--out: the training set would replace the queries"):
        build_training_set(settings(titled_corpus, generated, out=generated))
    for wrong in ("round-trip", "round-trip:0", "best:3", "reranker:x"):
        with pytest.raises(ConfigurationError, match=r"write a filter as NAME:N, with one of round-trip, log-prob"):
            settings(titled_corpus, generated, filter=wrong)


def test_the_command_takes_a_flag_several_times(
    titled_corpus: Path, generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filters = ["--filter", "round-trip:5", "--filter", "round-trip:1"]
    paths = ["--corpus", str(titled_corpus), "--queries", str(generated), "--out", str(titled_corpus.parent / "set")]
    assert main(["build-training-set", *paths, *filters, "--retriever", "bm25", "--negatives", "bm25"]) == 0
    assert capsys.readouterr().out.count("round trip") == 2


@pytest.mark.slow
def test_the_embedded_model_finds_what_people_would_type_likelier_than_bare_words(
    titled_corpus: Path, titled: list[Document], tmp_path: Path
) -> None:
    asked = [one for one in titled if split_of(one.id) != "test"][:12]
    texts = [
        f"why does the {one.id.replace('-', ' that ')} at night" if at % 2 else f"night forgets seal {at} trouble the"
        for at, one in enumerate(asked)
    ]
    write_beir(
        tmp_path / "mixed",
        queries=[Query(id=one.id, text=text) for one, text in zip(asked, texts, strict=True)],
        judgments=[Judgment(query_id=one.id, document_id=one.id) for one in asked],
    )
    given = settings(titled_corpus, tmp_path / "mixed", filter="log-probability:6")
    build_training_set(given)
    assert {one.text for one in read_training_queries(given.out, titled)} == set(texts[1::2])


@pytest.mark.slow
def test_an_encoder_is_tuned_that_a_ranker_is_made_of(
    titled_corpus: Path, generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(titled_corpus, generated, fine_tune="bi-encoder")
    summary = build_training_set(given)
    assert summary.results["fine_tuned"]["loss"] == "ranking"
    assert "train-ranker --base" in tell(given, summary)
    training = make_settings(
        TrainSettings,
        "train-ranker",
        corpus=str(titled_corpus),
        base=str(given.out / "encoder"),
        steps=0,
        passages=0,
        out=titled_corpus.parent / "ranker",
    )
    train_ranker(training)
    dense = next(one for one in load_ranker(training.out).components if one.kind == "dense")
    assert (Path(dense.encoder) / "modules.json").is_file()
    rows = [json.loads(line) for line in (given.out / "triplets.jsonl").read_text().splitlines()]
    tuned_on = {row["anchor"] for row in rows}
    assert set(trained_on(given.out / "encoder")) == tuned_on
    assert {text.lower() for text in tuned_on} <= set(seen_queries([training.out]))
    # Where a machine trains in another precision, it is another encoder.
    place = "inpars_plus.experiments.build_training_set"
    monkeypatch.setattr(f"{place}.tune_bi_encoder", lambda *_, **__: 1 / 0)
    assert build_training_set(given).results == summary.results
    monkeypatch.setattr(f"{place}.training_precision", lambda: "another")
    with pytest.raises(ZeroDivisionError):
        build_training_set(given)


@pytest.mark.slow
def test_a_cross_encoder_is_tuned_that_grades_and_teaches(titled_corpus: Path, generated: Path) -> None:
    build_training_set(settings(titled_corpus, generated, fine_tune="cross-encoder"))
    grader = str(titled_corpus.parent / "set" / "cross-encoder")
    given = settings(
        titled_corpus,
        generated,
        out=titled_corpus.parent / "graded",
        filter="reranker:6",
        reranker=grader,
        fine_tune="bi-encoder",
        loss="margin-mse",
    )
    results = build_training_set(given).results
    assert results["filters"][0]["settings"] == {"keep": 6, "reranker": grader}
    assert (results["queries"]["kept"], results["fine_tuned"]["loss"]) == (6, "margin-mse")
    assert (given.out / "encoder" / "model.safetensors").is_file()
    with pytest.raises(ConfigurationError, match="no cross-encoder that gives a pair one grade"):
        build_training_set(settings(titled_corpus, generated, filter="reranker:6", reranker=str(given.out / "encoder")))
