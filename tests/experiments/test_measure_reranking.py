"""Re-ranking measured on a small judged collection, with models that know the answer, learn it or know nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, read_queries, write_beir
from inpars_plus.experiments.cli import main
from inpars_plus.experiments.leaks import as_seen, leaked, seen_queries
from inpars_plus.experiments.measure_reranking import MeasureSettings, measure_reranking, tell
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation import LmUsage
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.lms import CompletionScore
from inpars_plus.programs import list_programs, load_program
from inpars_plus.programs.rerank_reports import listwise_calls, pairwise_calls


@pytest.fixture
def collection(titled: Sequence[Document], titled_corpus: Path) -> Path:
    """Queries whose first word finds many documents, and whose second one only a model can read."""
    for split, asked, name in (("train", titled[:90], "t"), ("test", titled[90:], "p")):
        queries = [
            Query(id=f"{name}-{one.id}", text=f"{one.id.split('-')[0]} {name}{one.id.replace('-', '0')}")
            for one in asked
        ]
        judgments = [Judgment(query_id=f"{name}-{one.id}", document_id=one.id) for one in asked]
        known = list(read_queries(titled_corpus / "queries.jsonl")) if split == "test" else []
        write_beir(titled_corpus, queries=[*known, *queries], judgments=judgments, split=split)
    return titled_corpus


def _field(prompt: str, name: str) -> str:
    return prompt.rpartition(f"[[ ## {name} ## ]]\n")[2].partition("\n\n")[0]


def _answers(prompt: str, passage: str) -> bool:
    machine, trouble = _field(prompt, "query").split()[1][1:].split("0")
    return f"the {machine} {trouble} " in passage.casefold()


def knows(prompt: str) -> str:
    if "[[ ## numbered_passages ## ]]" in prompt:
        lines = _field(prompt, "numbered_passages").splitlines()
        order = sorted(range(len(lines)), key=lambda at: not _answers(prompt, lines[at]))
        return json.dumps({"ranking": {"order": [at + 1 for at in order]}})
    if "[[ ## first_passage ## ]]" in prompt:
        first, second = (_answers(prompt, _field(prompt, f"{at}_passage")) for at in ("first", "second"))
        return json.dumps({"preference": {"better": "tie" if first == second else "first" if first else "second"}})
    if "expansion" in prompt:
        _, trouble = _field(prompt, "query").split()[1][1:].split("0")
        return json.dumps({"expansion": {"terms": [trouble]}})
    return json.dumps({"judgment": {"grade": 3 if _answers(prompt, _field(prompt, "passage")) else 0}})


def learns(prompt: str) -> str:
    return knows(prompt) if prompt.count("[[ ## query ## ]]") > 3 else "nothing to say"


def dies_after(count: int, replies: Callable[[str], str]) -> Callable[[str], str]:
    left = iter(range(count))

    def reply(prompt: str) -> str:
        if next(left, None) is None:
            raise DeadModelError("the model is gone")
        return replies(prompt)

    return reply


def _settings(collection: Path, out: Path, **values: Any) -> MeasureSettings:
    small = {"retriever": "bm25", "lm": "scripted", "threads": 4, "depth": 8, "queries": 12, "window": 5, "step": 2}
    small |= {"train_queries": 4, "validation_queries": 4, "validation_passages": 10, "passes": 2}
    return make_settings(MeasureSettings, "measure-reranking", corpus=str(collection), out=out, **{**small, **values})


@pytest.mark.slow
def test_a_model_that_knows_the_answer_gains_and_the_calls_are_those_of_the_formula(
    collection: Path, tmp_path: Path, small: Any
) -> None:
    world = small.World(replies=knows)
    settings = _settings(collection, tmp_path / "out", compiled=False, forms=["pointwise", "pairwise", "listwise"])
    summary = measure_reranking(settings, make_lm=world.make_lm)
    assert summary is not None
    systems = summary.results["systems"]
    gains = {name: row["difference"]["score"] for name, row in systems.items() if "difference" in row}
    assert gains["pointwise"] == pytest.approx(gains["pairwise"]) == pytest.approx(gains["listwise"])
    assert gains["pointwise"] > 0.05
    assert systems["pointwise"]["nDCG@10"] == pytest.approx(systems["first stage"]["nDCG@10"] + gains["pointwise"])
    asked = {name: systems[name]["report"]["calls"] for name in gains}
    assert asked == {
        "pointwise": 12 * 8,
        "pairwise": 12 * pairwise_calls(8, 2),
        "listwise": 12 * listwise_calls(8, 5, 2),
    }
    # A later pass may compare two passages again, and that reply is kept already.
    assert {name: systems[name]["paid_calls"] + systems[name]["replayed_calls"] for name in gains} == asked
    assert [systems[name]["replayed_calls"] > 0 for name in gains] == [False, True, False]
    assert [systems[name]["earlier_calls"] for name in gains] == [0, 0, 0]
    assert summary.lm.calls == world.calls
    shown = tell(settings, summary)
    assert "12 judged queries" in shown
    assert f"{8:.1f}" in shown
    assert " – " not in shown  # seconds are told also where replies of this very run were used again

    again = small.World(replies=lambda prompt: 1 / 0)
    other = measure_reranking(settings, make_lm=again.make_lm)
    assert other is not None
    assert other.results == summary.results
    assert again.calls == 0


@pytest.mark.slow
def test_what_is_compiled_on_train_queries_is_saved_with_scores_and_shows_no_judged_query(
    collection: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = small.World(replies=learns)
    settings = _settings(collection, tmp_path / "out", forms=["pointwise", "listwise"])
    summary = measure_reranking(settings, make_lm=world.make_lm)
    assert summary is not None
    systems = summary.results["systems"]
    for form in ("pointwise", "listwise"):
        assert systems[form]["difference"]["score"] == 0
        assert systems[form]["report"]["unreadable"] == systems[form]["report"]["calls"]
        assert systems[f"{form} compiled"]["difference"]["score"] > 0.05
        assert summary.results["compiling"][form]["origin"] != "none"
    cards = list_programs(settings.out / "compiled")
    assert [card.program for card in cards] == ["ListwiseReranker", "PointwiseReranker"]
    assert cards[0].metric.test.before == pytest.approx(systems["listwise"]["nDCG@10"])
    assert cards[0].metric.test.after == pytest.approx(systems["listwise compiled"]["nDCG@10"])
    assert load_program(settings.out / "compiled" / "listwise.json").predictors()[0].demos
    judged = [one for one in read_queries(collection / "queries.jsonl") if one.id.startswith("p-")]
    seen = seen_queries([settings.out])
    assert seen
    assert leaked(judged, seen) == {}
    assert as_seen((one.text for one in judged), "x").keys().isdisjoint(seen)
    assert "was kept" in tell(settings, summary)

    # Finished, it loads no index and asks nothing.
    monkeypatch.setattr("inpars_plus.experiments.workbench.build_retriever", lambda *_: 1 / 0)
    again = measure_reranking(settings, make_lm=small.World(replies=lambda prompt: 1 / 0).make_lm)
    assert again is not None
    assert again.results == summary.results


@pytest.mark.slow
def test_where_nothing_is_better_the_compiled_row_is_left_out(collection: Path, tmp_path: Path, small: Any) -> None:
    settings = _settings(collection, tmp_path / "out", forms=["pointwise"], queries=5)
    summary = measure_reranking(settings, make_lm=small.World(replies=knows).make_lm)
    assert summary is not None
    assert list(summary.results["systems"]) == ["first stage", "pointwise"]
    assert "nothing was better than none" in tell(settings, summary)


def test_expansions_are_measured_too(collection: Path, tmp_path: Path, small: Any, caplog: Any) -> None:
    def replies(prompt: str) -> str:
        logging.getLogger("dspy.clients.lm").warning("LM response was truncated")
        return knows(prompt)

    settings = _settings(collection, tmp_path / "out", forms=["expansion"])
    summary = measure_reranking(settings, make_lm=small.World(replies=replies).make_lm)
    assert summary is not None
    assert "truncated" not in caplog.text
    row = summary.results["systems"]["expansion"]
    assert row["difference"]["score"] > 0.05
    assert row["report"] == {"queries": 12, "unreadable": 0, "unchanged": 0, "texts": 12}
    assert "expansion" in tell(settings, summary)


class Guesser:
    """Finds the query likely behind the passage that answers it."""

    def __init__(self) -> None:
        self.usage = LmUsage()

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        self.usage += LmUsage(calls=len(pairs), prompt_tokens=9 * len(pairs))
        found = []
        for prompt, query in pairs:
            machine, trouble = query.split()[1][1:].split("0")
            found.append(CompletionScore((-1.0 if f"the {machine} {trouble} " in prompt.casefold() else -2.0,)))
        return found


def test_likelihood_is_measured_too_and_its_cost_is_the_scorer_s(collection: Path, tmp_path: Path, small: Any) -> None:
    settings = _settings(collection, tmp_path / "out", forms=["likelihood"])
    world = small.World(replies=knows)
    summary = measure_reranking(settings, make_lm=world.make_lm, scorer=Guesser())
    assert summary is not None
    row = summary.results["systems"]["likelihood"]
    assert row["difference"]["score"] > 0.05
    assert (row["paid_calls"], row["prompt_tokens"], row["report"]["calls"]) == (96, 864, 96)
    assert world.calls == 0


@pytest.mark.slow
def test_a_hosted_model_is_asked_through_its_server(
    collection: Path, tmp_path: Path, loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-7319")
    with loopback.LoopbackServer(lambda text: f"Here you are: {knows(text)}") as server:
        hosted = {"lm": "openai/local-model", "api_base": server.address}
        settings = _settings(collection, tmp_path / "out", forms=["listwise"], compiled=False, queries=4, **hosted)
        summary = measure_reranking(settings)
        assert summary is not None
        row = summary.results["systems"]["listwise"]
        assert server.requests == row["report"]["calls"] == 4 * listwise_calls(8, 5, 2)
    assert row["report"]["unreadable"] == row["report"]["repaired"] == 0
    assert row["prompt_tokens"] > 0
    assert not [one for one in settings.out.rglob("*") if one.is_file() and b"very-secret" in one.read_bytes()]


@pytest.mark.slow
def test_generated_queries_can_take_the_place_of_train_judgments(
    collection: Path, tmp_path: Path, small: Any, titled: Sequence[Document]
) -> None:
    at = tmp_path / "generated"
    queries = [Query(id=f"g-{one.id}", text=f"{one.id.split('-')[0]} g{one.id.replace('-', '0')}") for one in titled]
    write_beir(at, queries=queries, judgments=[Judgment(query_id=f"g-{one.id}", document_id=one.id) for one in titled])
    (collection / "qrels" / "train.tsv").unlink()
    settings = _settings(collection, tmp_path / "out", forms=["listwise"], synthetic=at)
    summary = measure_reranking(settings, make_lm=small.World(replies=learns).make_lm)
    assert summary is not None
    assert summary.results["compiling"]["listwise"]["origin"] != "none"


def test_generated_queries_that_figures_are_reported_on_are_not_learned_from(
    collection: Path, tmp_path: Path, small: Any, titled: Sequence[Document]
) -> None:
    at = tmp_path / "generated"
    reported = [one.text for one in read_queries(collection / "queries.jsonl") if one.id.startswith("p-")]
    queries = [
        Query(id=f"g-{one.id}", text=reported[number % len(reported)].upper()) for number, one in enumerate(titled)
    ]
    write_beir(at, queries=queries, judgments=[Judgment(query_id=f"g-{one.id}", document_id=one.id) for one in titled])
    settings = _settings(collection, tmp_path / "out", forms=["pointwise"], synthetic=at)
    world = small.World(replies=knows)
    with pytest.raises(ConfigurationError, match=r"--synthetic: there are 0 queries with"):
        measure_reranking(settings, make_lm=world.make_lm)
    assert world.calls == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("forms", "changed", "calls"),
    [
        (["pointwise"], {"calls": 3}, 12 * 3),
        (["pointwise"], {"depth": 4}, 12 * 4),
        (["pointwise"], {"queries": 5}, 5 * 8),
        (["pairwise"], {"passes": 1}, 12 * pairwise_calls(8, 1)),
        (["listwise"], {"window": 6}, 12 * listwise_calls(8, 6, 2)),
        (["listwise"], {"step": 1}, 12 * listwise_calls(8, 5, 1)),
    ],
)
def test_what_was_measured_with_another_setting_is_measured_again(
    forms: list[str], changed: dict[str, Any], calls: int, collection: Path, tmp_path: Path, small: Any
) -> None:
    found = []
    for settings in ({}, changed, {}):
        summary = measure_reranking(
            _settings(collection, tmp_path / "out", forms=forms, compiled=False, **settings),
            make_lm=small.World(replies=knows).make_lm,
        )
        assert summary is not None
        found.append(summary.results["systems"][forms[0]]["report"])
    assert found[1]["calls"] == calls != found[0]["calls"]
    assert found[2] == found[0]


def test_a_ranking_with_single_stream_added_is_made_again(collection: Path, tmp_path: Path, small: Any) -> None:
    settings = _settings(collection, tmp_path / "out", forms=["pointwise"], compiled=False, queries=2)
    for single, calls in ((False, 16), (True, 16), (True, 0)):
        for kept in (tmp_path / "out").glob("replies.sqlite*"):
            kept.unlink()  # where a scripted model keeps its replies under one name
        world = small.World(replies=knows)
        measure_reranking(settings.model_copy(update={"single_stream": single}), make_lm=world.make_lm)
        assert world.calls == calls


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_asks_nothing_twice(collection: Path, tmp_path: Path, small: Any) -> None:
    settings = _settings(collection, tmp_path / "out", forms=["pointwise", "listwise"])
    first, second, whole = (small.World(replies=one) for one in (dies_after(150, learns), learns, learns))
    with pytest.raises(DeadModelError, match="gone"):
        measure_reranking(settings, make_lm=first.make_lm)
    summary = measure_reranking(settings, make_lm=second.make_lm)
    expected = measure_reranking(settings.model_copy(update={"out": tmp_path / "2"}), make_lm=whole.make_lm)
    assert summary is not None
    assert expected is not None
    assert 150 + second.calls == whole.calls
    for name, row in expected.results["systems"].items():
        assert summary.results["systems"][name]["nDCG@10"] == row["nDCG@10"]


def test_a_ranking_that_was_stopped_halfway_has_no_seconds_to_tell(
    collection: Path, tmp_path: Path, small: Any
) -> None:
    settings = _settings(collection, tmp_path / "out", forms=["pointwise"], compiled=False)
    with pytest.raises(DeadModelError, match="gone"):
        measure_reranking(settings, make_lm=small.World(replies=dies_after(50, knows)).make_lm)
    summary = measure_reranking(settings, make_lm=small.World(replies=knows).make_lm)
    assert summary is not None
    assert summary.results["systems"]["pointwise"]["earlier_calls"] == 50
    assert " – " in tell(settings, summary)


@pytest.mark.parametrize(
    ("form", "calls"), [("pointwise", 3 * 8), ("listwise", 3 * listwise_calls(8, 5, 2)), ("expansion", 3)]
)
def test_progress_counts_calls_because_queries_end_together(
    form: str,
    calls: int,
    collection: Path,
    tmp_path: Path,
    small: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("inpars_plus.foundation.progress._QUIET_SECONDS", 0)
    monkeypatch.setattr("inpars_plus.foundation.progress._SECONDS_BETWEEN_LINES", 0)
    caplog.set_level("INFO", logger="inpars_plus")
    settings = _settings(collection, tmp_path / "out", forms=[form], compiled=False, queries=3)
    measure_reranking(settings, make_lm=small.World(replies=knows).make_lm)
    label = f"Ranking with {form}, calls: "
    told = [line.removeprefix(label).partition(" after")[0] for line in caplog.messages if line.startswith(label)]
    assert set(told) == {f"{one} of {calls}" for one in range(1, calls + 1)}
    assert told[-1] == f"{calls} of {calls}"


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["{}", "machines={}:manual"])
def test_a_dry_run_tells_calls_tokens_and_cost_and_writes_nothing(
    spec: str, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--corpus", spec.format(collection), "--out", str(tmp_path / "out"), "--queries", "7", "--dry-run"]
    assert main(["measure-reranking", *arguments, "--lm", "openai/gpt-4o-mini", "--forms", "pairwise"]) == 0
    shown = capsys.readouterr().out
    assert "380" in shown
    assert f"{7 * 380 * 2:,}" in shown
    assert "cost in US dollars" in shown
    assert "unknown" not in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"corpus": "python-docs"}, r"--corpus: re-ranking is measured on one collection"),
        ({"forms": ["sideways"]}, r"forms.*'pointwise'"),
        ({"step": 5}, r"windows of 5 that move up by 5"),
        ({"max_characters": 200}, r"--max-characters: people judged whole documents"),
        (
            {"forms": ["pointwise", "likelihood"], "lm": "openai/gpt-4o-mini"},
            r"--forms likelihood: .*local model in GGUF form",
        ),
        ({"forms": ["likelihood"], "lm": "openai/gpt-4o-mini", "dry_run": True}, r"--forms likelihood"),
    ],
)
def test_wrong_settings_are_told(values: dict[str, Any], told: str, collection: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        measure_reranking(_settings(values.pop("corpus", collection), tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("split", "line", "told"),
    [
        ("train", "t-pump-leaks\tfan-jams\t1", r"too few to compile on.*--no-compiled"),
        ("test", "p-fan-jams\tfan-jams\t0", r"qrels: none of the judged queries has a document with a grade"),
    ],
)
def test_without_anything_to_compile_on_or_to_rank_that_is_said_before_a_call_is_paid_for(
    split: str, line: str, told: str, dry_run: bool, collection: Path, tmp_path: Path, small: Any
) -> None:
    (collection / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{line}\n")
    settings = _settings(collection, tmp_path / "out", forms=["likelihood", "pointwise"], queries=2, dry_run=dry_run)
    world, scorer = small.World(replies=knows), Guesser()
    with pytest.raises(ConfigurationError, match=told):
        measure_reranking(settings, make_lm=world.make_lm, scorer=scorer)
    assert world.calls == scorer.usage.calls == 0


def test_queries_whose_answers_search_does_not_find_are_none_to_compile_on(
    collection: Path, tmp_path: Path, small: Any, titled: Sequence[Document]
) -> None:
    # The right answers to other queries, so that search has something else in front.
    judged = [f"t-{one.id}\t{other.id}\t1\n" for one, other in zip(titled[:80], titled[40:120], strict=True)]
    (collection / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    world = small.World(replies=knows)
    with pytest.raises(ConfigurationError, match=r"0 queries with an answer among the first 10 .*too few to compile"):
        measure_reranking(_settings(collection, tmp_path / "out", forms=["pointwise"]), make_lm=world.make_lm)
    assert world.calls == 0
