"""``train-ranker`` with the embedded encoder, small: what it writes, what it leaves out, how it goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, split_of
from inpars_plus.experiments.choose_ranker import ChooseSettings, choose_ranker
from inpars_plus.experiments.leaks import seen_queries, trained_on, write_trained_on
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.train_ranker import TrainSettings, tell, train_ranker
from inpars_plus.foundation.errors import InParsError
from inpars_plus.metrics.significance import Difference
from inpars_plus.optimizers.rankers.fusion_weights import learn_weights
from inpars_plus.optimizers.rankers.query_side import tune_query_encoder
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.rankers import load_ranker
from inpars_plus.retrieval.stack import build_stack, load_stack

pytestmark = pytest.mark.model


@pytest.fixture
def generated(titled: list[Document], small: Any, tmp_path: Path) -> Path:
    return Path(small.write_generated(titled, tmp_path / "queries"))


def settings(at: Path, /, **changes: Any) -> TrainSettings:
    given = {"corpus": str(at), "out": at.parent / "ranker", "steps": 2}
    return make_settings(TrainSettings, "train-ranker", **{**given, **changes})


def test_a_ranker_comes_out_that_searches_and_takes_part_in_the_choice(
    titled_corpus: Path, generated: Path, titled: list[Document]
) -> None:
    given = settings(titled_corpus, queries=generated)
    summary = train_ranker(given)
    test_documents = sum(split_of(one.id) == "test" for one in titled)
    assert summary.results["queries"] == {"held_out": 120 - test_documents, "generated": 120 - test_documents}
    assert sum(summary.results["weights"]["weights"]) == pytest.approx(1.0, abs=1e-5)
    assert "one vector a sentence" in tell(given, summary)

    spec = load_ranker(given.out)
    assert spec.trained
    seen = seen_queries([given.out])
    learned = [one for one in titled if split_of(one.id) != "test"]
    asked = [text for one in learned for text in (one.title, f"how to mend a {one.id.replace('-', ' that ')}")]
    assert set(seen) == {text.lower() for text in asked}
    assert trained_on(given.out / "query-encoder") == sorted(asked)
    assert [one.kind for one in spec.components] == ["bm25", "dense", "passages", "titles"]
    weights = {one.kind: one.weight for one in spec.components}
    assert weights["titles"] / (weights["titles"] + weights["bm25"]) == pytest.approx(0.2)
    assert [one.parts for one in spec.components] == [True, False, False, True]
    assert "BM25, 20% of it over titles alone" in tell(given, summary)
    build_stack(titled_corpus.parent / "stack", spec, titled)
    assert load_stack(titled_corpus.parent / "stack").search(["the kiln freezes"], 1)[0].ids == ("kiln-freezes",)

    choosing = make_settings(
        ChooseSettings,
        "choose-ranker",
        corpus=str(titled_corpus),
        ranker=given.out,
        queries=generated,
        kind="generated",
        out=titled_corpus.parent / "choice",
    )
    results = choose_ranker(choosing).results
    assert "trained" in results["systems"]
    assert results["queries"] == test_documents


def test_the_same_command_again_does_nothing_twice_and_another_seed_does(
    titled_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_ranker(settings(titled_corpus))
    with monkeypatch.context() as patch:
        patch.setattr("inpars_plus.experiments.train_ranker.tune_query_encoder", lambda *_, **__: 1 / 0)
        patch.setattr("inpars_plus.experiments.train_ranker.learn_weights", lambda *_, **__: 1 / 0)
        assert train_ranker(settings(titled_corpus)).results == first.results
        with pytest.raises(ZeroDivisionError):
            train_ranker(settings(titled_corpus, seed=1))


def test_other_smoothing_is_weighed_anew_and_the_query_encoder_is_not_tuned_again(
    titled_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_ranker(settings(titled_corpus))
    monkeypatch.setattr("inpars_plus.experiments.train_ranker.tune_query_encoder", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("inpars_plus.experiments.train_ranker.search_difference", lambda *_, **__: UNSURE)
    train_ranker(settings(titled_corpus, smoothing=0.25))
    assert load_ranker(settings(titled_corpus).out).smoothing == 0.25


def test_without_steps_the_encoder_stays_as_it_is(titled_corpus: Path) -> None:
    train_ranker(settings(titled_corpus, steps=0, passages=0, titles=0))
    spec = load_ranker(settings(titled_corpus).out)
    assert [one.kind for one in spec.components] == ["bm25", "dense"]
    assert all(one.query_encoder is None for one in spec.components)
    assert spec.trained  # its weights are learned, so it must not be tried on what they were learned from


WORSE, UNSURE, BETTER = (
    Difference((low + high) / 2, low, high) for low, high in ((-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2))
)


@pytest.mark.parametrize(
    ("feedback", "smoothing", "shares"),
    [(WORSE, UNSURE, (0.0, 0.5)), (UNSURE, WORSE, (0.2, 0.0)), (BETTER, BETTER, (0.2, 0.5))],
)
def test_feedback_and_smoothing_are_each_kept_unless_training_queries_say_that_it_is_worse(
    titled_corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    feedback: Difference,
    smoothing: Difference,
    shares: tuple[float, float],
) -> None:
    compared = []

    def found(*_: Any, without: Any, having: Any, **__: Any) -> Difference:
        compared.append((without, having))
        return smoothing if "smoothing" in having else feedback

    monkeypatch.setattr("inpars_plus.experiments.train_ranker.search_difference", found)
    given = settings(titled_corpus, steps=0)
    said = tell(given, train_ranker(given))
    spec = load_ranker(given.out)
    assert (spec.feedback, spec.smoothing) == shares
    kept = {"feedback": 0.2} if shares[0] else {}
    assert compared == [({}, {"feedback": 0.2}), (kept, {**kept, "smoothing": 0.5})]
    lines = {line.split(":")[0]: line for line in said.splitlines()}
    for name, share in zip(
        ("feedback of the first document", "smoothing over the nearest documents"), shares, strict=True
    ):
        assert ("kept" if share else "left out, because it is worse") in lines[name]


def test_what_is_not_asked_for_is_not_tried(titled_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inpars_plus.experiments.train_ranker.search_difference", lambda *_, **__: 1 / 0)
    given = settings(titled_corpus, steps=0, feedback=0, smoothing=0)
    said = tell(given, train_ranker(given))
    assert "feedback" not in said
    assert "smoothing" not in said
    assert (load_ranker(given.out).feedback, load_ranker(given.out).smoothing) == (0.0, 0.0)


@pytest.fixture
def human(titled: list[Document], small: Any, tmp_path: Path) -> Path:
    return Path(small.write_generated(titled[:30], tmp_path / "human", text="what to do with the {}"))


def test_people_s_queries_are_learned_from_and_those_of_test_documents_are_not(
    titled_corpus: Path, human: Path, titled: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    usable = sum(split_of(one.id) != "test" for one in titled[:30])
    asked: list[Any] = []
    learned: list[str] = []

    def weights(*given: Any, judged: Any, **named: Any) -> Any:
        asked.append(judged)
        return learn_weights(*given, judged=judged, **named)

    def tuned(base: Any, targets: Any, *given: Any, **named: Any) -> Any:
        learned.extend(target.text for target in targets)
        return tune_query_encoder(base, targets, *given, **named)

    monkeypatch.setattr("inpars_plus.experiments.train_ranker.learn_weights", weights)
    monkeypatch.setattr("inpars_plus.experiments.train_ranker.tune_query_encoder", tuned)
    given = settings(titled_corpus, human=human)
    summary = train_ranker(given)
    assert summary.results["queries"]["human"] == usable < 30
    assert len(asked[0].queries) == usable
    assert sum(text.startswith("what to do with") for text in learned) == usable
    assert f"0 generated and {usable} people's queries" in tell(given, summary)
    assert sum(text.startswith("what to do with") for text in seen_queries([given.out])) == usable
    train_ranker(settings(titled_corpus))
    assert asked[1] is None


def test_what_the_base_was_tuned_on_counts_as_learned_from(
    titled_corpus: Path, generated: Path, titled: list[Document], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(load_encoder().directory, tmp_path / "mine")
    mine = {"base": str(tmp_path / "mine"), "steps": 0, "passages": 0}
    learned = [f"how to mend a {one.id.replace('-', ' that ')}" for one in titled if split_of(one.id) != "test"]
    write_trained_on(tmp_path / "mine", [*learned[:7], "What nobody else asks?"])
    given = settings(titled_corpus, **mine)
    with caplog.at_level("INFO", "inpars_plus"):
        train_ranker(given)
        assert "The base was tuned on" not in caplog.text  # the weights are learned from lines that it does not know
        seen = seen_queries([given.out])
        assert {*learned[:7], "what nobody else asks"} <= set(seen)
        assert learned[7] not in seen
        train_ranker(settings(titled_corpus, **mine, queries=generated, held_out=0))
    assert f"The base was tuned on 7 of the {len(learned)} queries that weights are learned from" in caplog.text


def test_people_s_queries_go_by_the_ids_of_the_collection_also_where_documents_are_cut(
    titled_corpus: Path, human: Path, titled: list[Document]
) -> None:
    with (human / "qrels/train.tsv").open("a") as file:
        file.write(f"q-{titled[0].id}\telsewhere\t1\n")
    summary = train_ranker(settings(titled_corpus, human=human, steps=0, passages=0, max_characters=60))
    assert summary.results["queries"]["human"] == sum(split_of(one.id) != "test" for one in titled[:30])


@pytest.mark.parametrize(
    ("lines", "people", "kept"),
    [(WORSE, BETTER, True), (BETTER, WORSE, False), (WORSE, UNSURE, False), (BETTER, UNSURE, True)],
)
def test_people_s_queries_decide_on_feedback_and_smoothing_where_they_can_tell(
    titled_corpus: Path,
    human: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: Difference,
    people: Difference,
    kept: bool,
) -> None:
    def found(components: Any, weights: Any, queries: Any, **_: Any) -> Difference:
        return people if queries[0].text.startswith("what to do") else lines

    monkeypatch.setattr("inpars_plus.experiments.train_ranker.search_difference", found)
    given = settings(titled_corpus, human=human, steps=0)
    train_ranker(given)
    spec = load_ranker(given.out)
    assert (spec.feedback, spec.smoothing) == ((0.2, 0.5) if kept else (0.0, 0.0))


def test_too_few_queries_are_told_with_the_way_out(titled_corpus: Path) -> None:
    with pytest.raises(InParsError, match=r"0 queries to learn from, but 30 are needed.*--queries DIR"):
        train_ranker(settings(titled_corpus, held_out=0))


def test_a_base_that_is_no_encoder_is_told_before_anything_is_computed(
    titled_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inpars_plus.experiments.train_ranker.learn_weights", lambda *_, **__: 1 / 0)
    with pytest.raises(InParsError, match="no sentence-transformers model with safetensors weights"):
        train_ranker(settings(titled_corpus, base=str(tmp_path)))
