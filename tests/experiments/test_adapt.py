"""``adapt`` from documents to a stack, with a scripted model for writing and the real encoder for searching."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Judgment, Query, write_beir
from inpars_plus.experiments import adapt as adapt_module
from inpars_plus.experiments.adapt import AdaptSettings, adapt, tell
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation import Summary, read_json, write_summary
from inpars_plus.foundation.errors import InParsError
from inpars_plus.programs import load_program, save_program
from inpars_plus.retrieval.stack import load_stack


def settings(corpus: Path, /, **changes: Any) -> AdaptSettings:
    given = {"lm": "scripted", "tune": False, "budget": 200, "test_documents": 16, "documents": 60}
    return make_settings(AdaptSettings, "adapt", corpus=str(corpus), out=corpus.parent / "out", **{**given, **changes})


def test_several_types_are_refused_with_what_to_do_instead(tmp_path: Path, small: Any) -> None:
    world = small.World()
    with pytest.raises(InParsError, match=r"--corpus: the corpus has 2 document types, faq, news,.* a=PATH:notes"):
        adapt(settings(small.write_corpus(tmp_path / "two.jsonl", 20, "faq", "news")), **world.parts)
    assert not world.models


@pytest.mark.parametrize(("judged", "said"), [("nowhere", "no queries.jsonl here"), ("corpus:dev", "qrels/dev.tsv")])
def test_judgments_that_cannot_be_read_are_told_before_anything_is_done(
    judged_corpus: Path, small: Any, judged: str, said: str
) -> None:
    world = small.World()
    with pytest.raises(InParsError, match=said):
        adapt(settings(judged_corpus, judged=str(judged_corpus.parent / judged)), **world.parts)
    assert not world.models


def test_documents_that_are_too_few_to_choose_by_are_told_before_anything_is_done(tmp_path: Path, small: Any) -> None:
    world = small.World()
    few = small.write_corpus(tmp_path / "few.jsonl", 60, "manual")
    with pytest.raises(
        InParsError, match=r"--corpus: of 60 documents, \d+ are kept from training.* 20 are needed.*--stack"
    ):
        adapt(settings(few), **world.parts)
    assert not world.models
    assert not (tmp_path / "out" / "compile").exists()


def test_a_hosted_model_that_cannot_be_tuned_is_told_before_it_is_paid(tmp_path: Path, small: Any) -> None:
    given = settings(small.write_corpus(tmp_path / "corpus.jsonl", 160, "manual"), lm="openai/gpt-4o-mini", tune=True)
    with pytest.raises(InParsError, match=r"--lm: 'openai/gpt-4o-mini' is no model on this machine.* --no-tune"):
        adapt(given)
    assert not (given.out / "compile").exists()


def test_where_the_choice_has_no_unseen_judged_query_nothing_is_evaluated(
    judged_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"chosen": {"name": "bm25", "dense_weight": 0.0, "sureness": 1.0}, "queries": 60, "kind": "held-out"}
    row = {
        "ndcg@10": 0.5,
        "low": 0.4,
        "high": 0.6,
        "best": 1.0,
        "less_chosen": dict.fromkeys(("score", "low", "high"), 0),
    }
    results = {
        **chosen,
        "without_titles": [],
        "feedback_or_smoothing": [],
        "systems": {"bm25": row},
        "accepted": 60,
        "asked": 60,
    }

    def job(given: Any, **_: Any) -> Summary:
        summary = Summary(settings={}, seed=0, hashes={}, seconds=1.0, peak_memory_mb=1, results=results)
        given.out.mkdir(parents=True)
        write_summary(given.out, summary)
        return summary

    for name in ("compile_programs", "generate_queries", "train_ranker", "choose_ranker"):
        monkeypatch.setattr(f"inpars_plus.experiments.adapt.{name}", job)
    monkeypatch.setattr("inpars_plus.experiments.adapt.evaluate_runs", lambda *_, **__: 1 / 0)
    given = settings(judged_corpus, judged=str(judged_corpus))
    summary = adapt(given)
    assert list(summary.results["stages"]) == ["compile", "generate", "train", "choose"]
    assert "By people's judgments" not in tell(given, summary)


def test_judgments_of_other_documents_are_told_before_anything_is_done(judged_corpus: Path, small: Any) -> None:
    judgments = [Judgment(query_id="q", document_id="elsewhere")]
    write_beir(judged_corpus.parent / "other", queries=[Query(id="q", text="a")], judgments=judgments, split="test")
    world = small.World()
    with pytest.raises(InParsError, match="is in the corpus"):
        adapt(settings(judged_corpus, judged=str(judged_corpus.parent / "other")), **world.parts)
    assert not world.models


@pytest.mark.slow
def test_what_other_programs_wrote_is_gone_on_with_where_they_come_back_and_mixed_with_nothing(
    compiled: Path, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grown corpus has its programs compiled again; the real generation, with other stages that do nothing."""
    nothing = Summary(settings={}, seed=0, hashes={}, seconds=1.0, peak_memory_mb=1, results={"chosen": {}})
    for name in ("compile_programs", "train_ranker", "choose_ranker"):
        monkeypatch.setattr(f"inpars_plus.experiments.adapt.{name}", lambda *_, **__: nothing)
    real = adapt_module.generate_queries
    asked: list[Path] = []

    def generated(given: Any, **parts: Any) -> Summary:
        asked.append(given.out)
        return real(given.model_copy(update={"retriever": "bm25"}), **parts)

    monkeypatch.setattr("inpars_plus.experiments.adapt.generate_queries", generated)
    given = settings(small.write_corpus(tmp_path / "corpus.jsonl", 160, "manual"), documents=12)
    first, card = given.out / "compile" / "compiled" / "manual.json", load_program(compiled / "compiled/manual.json")

    def run_with(seed: int) -> int:
        save_program(card, first, card.card.model_copy(update={"seed": seed}))
        world = small.World()
        adapt(given, **world.parts)
        return int(world.calls)

    assert run_with(1) > 0
    assert run_with(2) > 0
    assert run_with(1) == run_with(2) == 0
    one, other, *rest = asked
    assert one == given.out / "queries"
    assert re.fullmatch("queries-[0-9a-f]{8}", other.name)
    assert rest == [one, other]


@pytest.mark.model
@pytest.mark.slow
def test_everything_ends_in_a_stack_and_again_does_only_what_is_missing(tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "corpus.jsonl", 160, "manual")
    asked = [small.row(number) for number in range(0, 160, 4)]
    write_beir(
        tmp_path / "judged",
        queries=[Query(id=f"p-{one['id']}", text=f"{one['text'].split(' after')[0]} again") for one in asked],
        judgments=[Judgment(query_id=f"p-{one['id']}", document_id=one["id"]) for one in asked],
        split="test",
    )
    given = settings(corpus, judged=str(tmp_path / "judged"))
    first, again = small.World(), small.World()
    summary = adapt(given, **first.parts)
    assert list(summary.results["stages"]) == ["compile", "generate", "train", "choose", "evaluate"]
    assert 10 < summary.results["accepted_queries"] <= summary.results["asked_queries"] == 60
    best, trained = read_json(given.out / "evaluation" / "summary.json", kind="summary")["results"]["judged"][
        "systems"
    ].items()
    choice = read_json(given.out / "choice" / "summary.json", kind="summary")["results"]
    for name, row in (best, trained):
        assert row["nDCG@10"] == pytest.approx(choice["judged"]["ndcg@10"][name])
    assert best[0] == next(name for name in choice["systems"] if name != "trained")
    assert trained[1]["compared"]["p"] <= 1
    assert "The queries that were learned from" in (given.out / "evaluation" / "report.html").read_text()
    stack = load_stack(tmp_path / "out" / "choice" / "stack")
    assert len(stack) == 160
    assert len(stack.search(["why does the pump lose its seal"], 5)[0]) == 5
    told = tell(given, summary)
    assert "search:  inpars-plus search" in told
    assert "minutes" in told
    assert "By people's judgments:" in told
    assert f"nDCG@10 less {best[0]}" in told

    assert adapt(given, **again.parts).results["chosen"] == summary.results["chosen"]
    assert again.calls == 0
