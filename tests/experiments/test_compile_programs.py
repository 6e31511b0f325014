from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inpars_plus.corpora import open_corpus, split_of, write_documents
from inpars_plus.experiments.analysts import ANALYST
from inpars_plus.experiments.compile_programs import EARLIER, compile_programs, tell
from inpars_plus.foundation import ConfigurationError, CorpusError, InputError, Summary, digest_file
from inpars_plus.lms import scripted_lm
from inpars_plus.programs import SentenceQueryGenerator, list_programs, load_program, programs_of
from inpars_plus.retrieval import Ranking, build_retriever
from inpars_plus.retrieval.hashing import HashingEncoder

MEASURES = {"score", "accepted", "hit@10", "copy4", "top_opening", "documents"}


@pytest.mark.slow
def test_a_compile_writes_a_program_that_beats_the_uncompiled_one(corpus: Path, tmp_path: Path, small: Any) -> None:
    world, out = small.World(), tmp_path / "run"
    settings = small.compile_settings(corpus, out)
    summary = compile_programs(settings, **world.parts)
    assert summary is not None
    written = json.loads((out / "summary.json").read_text())
    assert Summary.model_validate(written).results == summary.results

    test = written["results"]["manual"]["test"]
    for row in ("before", "best_pool_prompt", "after"):
        assert set(test[row]) >= MEASURES
        assert test[row]["documents"] == 24
    assert set(test["difference"]) == set(test["difference_best_pool"]) == {"score", "low", "high"}
    assert test["difference"]["score"] == pytest.approx(test["after"]["score"] - test["before"]["score"], abs=1e-5)
    assert test["difference"]["low"] > 0
    assert set(test["cheats"]["title"]) >= MEASURES
    assert "other_programs" not in test

    program = load_program(out / "compiled" / "manual.json")
    card = program.card
    assert (card.document_type, card.lm, card.seed, card.optimizer.name) == ("manual", "scripted", 0, "miprov2")
    assert card.adapter == "CompletionAdapter"
    assert card.metric.test.before == test["before"]["score"]
    assert card.metric.test.after == test["after"]["score"]
    assert card.metric.validation.after is not None
    assert program.generate.demos
    assert written["hashes"]["compiled/manual.json"] == digest_file(out / "compiled" / "manual.json")
    assert written["lm"]["calls"] == world.calls > 0

    trials = (out / "trials" / "manual.jsonl").read_text().splitlines()
    assert len(trials) > 5
    after = [json.loads(line) for line in (out / "scores" / "manual" / "after.jsonl").read_text().splitlines()]
    assert sum(line["score"] for line in after) / 24 == pytest.approx(test["after"]["score"], abs=1e-5)
    told = tell(settings, summary)
    assert "before" in told
    assert str(out / "report.html") in told


@pytest.mark.slow
def test_queries_of_people_for_train_documents_are_demonstrations_too(corpus: Path, tmp_path: Path, small: Any) -> None:
    documents = list(open_corpus(str(corpus)).documents())[:40]
    human = small.write_generated(documents, tmp_path / "human", text="which seal did people ask {} for")
    settings = small.compile_settings(corpus, tmp_path / "run", human=human)
    world = small.World()
    summary = compile_programs(settings, **world.parts)
    assert summary is not None
    train = {one.id for one in documents if split_of(one.id) == "train"}
    assert summary.results["manual"]["human"] == len(train) < 40
    prompts = "\n".join(prompt for model in world.models for prompt in model.engine.prompts)
    shown = set(re.findall(r"which seal did people ask (\S+) that (\d+) for", prompts))
    assert {"-".join(one) for one in shown} <= train
    assert shown
    calls = world.calls
    assert compile_programs(settings, **world.parts) is not None
    assert world.calls == calls


def test_queries_of_people_are_checked_before_anything_is_paid_for(corpus: Path, tmp_path: Path, small: Any) -> None:
    world = small.World()
    with pytest.raises(CorpusError, match=r"queries\.jsonl"):
        compile_programs(small.compile_settings(corpus, tmp_path / "run", human=tmp_path), **world.parts)
    settings = small.compile_settings(corpus, tmp_path / "run", human=tmp_path, granularity="sentence")
    with pytest.raises(ConfigurationError, match=r"--human: people's queries are of whole documents"):
        compile_programs(settings, **world.parts)
    assert world.calls == 0


@pytest.mark.slow
def test_a_finished_compile_runs_again_without_a_call_and_tells_the_same(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "run"
    settings = small.compile_settings(corpus, out)
    compile_programs(settings, **small.World().parts)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.suffix in (".json", ".jsonl", ".html")}
    world = small.World()
    compile_programs(settings, **world.parts)
    assert world.calls == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_a_program_for_sentences_is_compiled_and_its_demonstrations_show_sentences(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "run"
    settings = small.compile_settings(corpus, out, granularity="sentence", test_documents=8)
    first = compile_programs(settings, **small.World().parts)
    program: Any = load_program(out / "compiled" / "manual.json")
    assert type(program) is SentenceQueryGenerator
    own = [demo.document for demo in program.generate.demos if " of unit " in demo.document]
    assert own
    assert not any("A worn seal" in one for one in own)  # which is how the document goes on
    world = small.World()
    again = compile_programs(settings, **world.parts)
    assert world.calls == 0
    assert first is not None
    assert again is not None
    assert again.results == first.results


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_program_for_constraints_is_not_compiled_on_documents_without_metadata(
    corpus: Path, tmp_path: Path, small: Any, dry_run: bool
) -> None:
    world, out = small.World(), tmp_path / "run"
    with pytest.raises(InputError, match=r"0 documents of type 'manual' with a source, author, date or topic make"):
        compile_programs(small.compile_settings(corpus, out, granularity="constraint", dry_run=dry_run), **world.parts)
    assert world.calls == 0
    assert not (out / "compiled").exists()


@pytest.mark.slow
def test_another_checkpoint_behind_the_name_of_the_prompt_model_compiles_again(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    def asked(checkpoint: str) -> int:
        world = small.World()
        thought = {"reasoning": "x", "diagnosis": {"patterns": ["Vague."], "missed_aspects": []}}
        reply = json.dumps({**thought, "revision": {"text": f"Ask what {checkpoint} would ask."}})

        def make_lm(name: str, store: Any) -> Any:
            if name != "writer":
                return world.make_lm(name, store)
            world.models.append(scripted_lm(lambda _: reply, name=f"writer@{checkpoint}", chat=True, store=store))
            return world.models[-1]

        settings = small.compile_settings(
            corpus, tmp_path / "run", optimizer="adapt", prompt_lm="writer", budget=300, test_documents=4
        )
        compile_programs(settings, **{**world.parts, "make_lm": make_lm})
        return sum(len(lm.engine.prompts) for lm in world.models if lm.model.startswith("writer"))

    assert asked("first") > 0
    assert asked("first") == 0
    assert asked("second") > 0
    assert "Ask what second would ask." in (tmp_path / "run" / "trials" / "manual.jsonl").read_text()


def test_a_prompt_model_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 70, "manual", "faq")
    world, made = small.World(), []

    def make_lm(name: str, store: Any) -> Any:
        if name == "writer":
            made.append(name)
            if len(made) > 1:
                raise ConfigurationError("the file of 'writer' is gone")
        return world.make_lm(name, store)

    settings = small.compile_settings(
        corpus, tmp_path / "run", by_type=True, optimizer="adapt", prompt_lm="writer", budget=300, test_documents=8
    )
    with pytest.raises(ConfigurationError, match="is gone"):
        compile_programs(settings, **{**world.parts, "make_lm": make_lm})
    assert world.calls == 0


@pytest.mark.slow
def test_a_lost_file_is_made_again_from_kept_replies(corpus: Path, tmp_path: Path, small: Any) -> None:
    out = tmp_path / "run"
    settings = small.compile_settings(corpus, out)
    compile_programs(settings, **small.World().parts)
    program = (out / "compiled" / "manual.json").read_bytes()
    (out / "work" / "manual" / "compiled.json").unlink()
    (out / "scores" / "manual" / "before.jsonl").unlink()
    world = small.World()
    compile_programs(settings, **world.parts)
    assert world.calls == 0
    assert (out / "compiled" / "manual.json").read_bytes() == program


@pytest.mark.slow
def test_by_type_compiles_each_and_compares_it_with_the_programs_of_the_others(tmp_path: Path, small: Any) -> None:
    corpus = small.write_corpus(tmp_path / "c.jsonl", 70, "manual", "../faq")
    settings = small.compile_settings(corpus, tmp_path / "run", by_type=True, test_documents=8)
    summary = compile_programs(settings, **small.World().parts)
    assert summary is not None
    assert set(summary.results) == {"manual", "../faq"}
    other = summary.results["manual"]["test"]["other_programs"]
    assert set(other) == {"../faq"}
    assert MEASURES | {"difference"} <= set(other["../faq"])
    files = sorted((tmp_path / "run" / "compiled").iterdir())
    assert len(files) == 2
    assert {load_program(file).card.document_type for file in files} == {"manual", "../faq"}

    alone = small.compile_settings(corpus, tmp_path / "run", by_type=True, test_documents=8, cross_types=False)
    world = small.World()
    summary = compile_programs(alone, **world.parts)
    assert summary is not None
    assert "other_programs" not in summary.results["manual"]["test"]
    assert world.calls == 0


@pytest.mark.slow
def test_programs_of_an_earlier_corpus_are_moved_aside_and_those_of_the_same_corpus_stay(
    tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    caplog.set_level("INFO", logger="inpars_plus")

    def compiled(*types: str, **settings: Any) -> dict[str, str]:
        corpus = small.write_corpus(tmp_path / f"{'-'.join(types)}.jsonl", 60, *types)
        given = small.compile_settings(corpus, out, test_documents=4, cross_types=False, **settings)
        compile_programs(given, **small.World().parts)
        return {name: card.digest for name, card in programs_of(out).items()}

    first = compiled("code", "talk", by_type=True)
    assert set(first) == {"code", "talk"}
    assert compiled("code", "talk", doc_type=("talk",)) == first
    assert not (out / EARLIER).exists()

    assert set(compiled("memo", "talk", doc_type=("memo",))) == {"memo", "talk"}
    assert set(compiled("memo", "note", by_type=True)) == {"memo", "note"}
    kept = {card.document_type: card.digest for card in list_programs(out / EARLIER)}
    assert kept == first
    assert "code.json is moved to" in caplog.text
    assert compiled("code", "talk", by_type=True) == first
    assert {card.document_type for card in list_programs(out / EARLIER)} == {"code", "talk", "memo", "note"}


@pytest.mark.slow
def test_several_queries_a_document_are_scored_by_document(corpus: Path, tmp_path: Path, small: Any) -> None:
    settings = small.compile_settings(corpus, tmp_path / "run", queries_per_document=2, budget=300, test_documents=10)
    summary = compile_programs(settings, **small.World().parts)
    assert summary is not None
    result = summary.results["manual"]
    assert result["documents"]["test"] == 10
    assert result["test"]["after"]["documents"] == 20
    assert result["test"]["cheats"]["title"]["documents"] == 10


def test_a_dry_run_calls_no_model_and_writes_nothing(
    corpus: Path, tmp_path: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world, out = small.World(), tmp_path / "run"
    assert compile_programs(small.compile_settings(corpus, out, dry_run=True), **world.parts) is None
    assert world.calls == 0
    assert not out.exists()
    told = capsys.readouterr().out
    for word in ("calls", "prompt tokens", "minutes", "cost", "compile manual", "score manual", "No model was called"):
        assert word in told


def test_a_dry_run_refuses_what_the_run_would_refuse(corpus: Path, tmp_path: Path, small: Any) -> None:
    settings = small.compile_settings(corpus, tmp_path / "run", dry_run=True, budget=20)
    with pytest.raises(ConfigurationError, match="budget"):
        compile_programs(settings, **small.World().parts)


def test_too_small_a_budget_is_refused_before_the_documents_are_indexed(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.compile_settings(corpus, tmp_path / "run", budget=20, retriever="no.such:index")
    with pytest.raises(ConfigurationError, match="budget"):
        compile_programs(settings, **small.World().parts)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["bootstrap", "bootstrap-random-search", "gepa"])
def test_every_optimizer_runs_from_end_to_end(corpus: Path, tmp_path: Path, small: Any, optimizer: str) -> None:
    settings = small.compile_settings(corpus, tmp_path / "run", optimizer=optimizer, test_documents=8)
    summary = compile_programs(settings, **small.World().parts)
    assert summary is not None
    assert load_program(tmp_path / "run" / "compiled" / "manual.json").card.optimizer.name == optimizer


@pytest.mark.slow
def test_an_analyst_is_fitted_beside_the_programs_of_several_types(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch, typed: Any
) -> None:
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inpars_plus.experiments.analysts.load_encoder", HashingEncoder)
    write_documents(tmp_path / "c.jsonl", typed.some(60, "code", "talk"))
    settings = small.compile_settings(
        tmp_path / "c.jsonl", tmp_path / "run", by_type=True, test_documents=4, cross_types=False, analyst=True
    )
    summary = compile_programs(settings, **small.World().parts)
    assert summary is not None
    assert summary.hashes[ANALYST] == digest_file(settings.out / ANALYST)
    assert str(settings.out / ANALYST) in tell(settings, summary)
    analyst: Any = load_program(settings.out / ANALYST)
    assert analyst.types == ("code", "talk")
    assert sorted(programs_of(settings.out)) == ["code", "talk"]
    assert {card.program for card in list_programs(settings.out / "compiled")} == {"QueryGenerator", "TypeRouter"}

    monkeypatch.setattr(HashingEncoder, "encode", lambda *_: 1 / 0)  # a finished step encodes nothing
    again = compile_programs(settings, **small.World().parts)
    assert again is not None
    assert again.hashes == summary.hashes

    without = compile_programs(settings.model_copy(update={"analyst": False}), **small.World().parts)
    assert without is not None
    assert ANALYST not in without.hashes
    assert not (settings.out / ANALYST).exists()  # --adaptive would have used it


def test_what_is_wrong_with_the_analyst_shows_before_a_compile_is_paid_for(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch, typed: Any
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConfigurationError("no analyst today")

    monkeypatch.setattr("inpars_plus.experiments.analysts.load_encoder", HashingEncoder)
    monkeypatch.setattr("inpars_plus.experiments.analysts.fit_type_router", refuse)
    write_documents(tmp_path / "c.jsonl", typed.some(60, "code", "talk"))
    world = small.World()
    settings = small.compile_settings(tmp_path / "c.jsonl", tmp_path / "run", by_type=True, analyst=True)
    with pytest.raises(ConfigurationError, match="no analyst today"):
        compile_programs(settings, **world.parts)
    assert world.calls == 0


class _Engine:
    """Somebody's own search engine, with what it does at the moment."""

    unknown = failing = False

    def __init__(self, documents: Any) -> None:
        self.inner = build_retriever("bm25", documents)

    def search(self, queries: Any, k: int) -> list[Ranking]:
        if self.failing:
            raise ConnectionError("nobody answers")
        return [Ranking(("nope",), (1.0,)) for _ in queries] if self.unknown else self.inner.search(queries, k)


def test_an_engine_that_finds_what_is_not_there_ends_the_job_at_once(
    corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "own_engine", SimpleNamespace(Engine=_Engine))
    monkeypatch.setattr(_Engine, "unknown", True)
    world, settings = small.World(), small.compile_settings(corpus, tmp_path / "run", retriever="own_engine:Engine")
    with pytest.raises(ConfigurationError, match="the id 'nope', which no document of the corpus has"):
        compile_programs(settings, **world.parts)
    assert world.calls < 10


@pytest.mark.slow
def test_programs_are_compiled_anew_when_an_engine_states_another_digest(
    corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "own_engine", SimpleNamespace(Engine=_Engine))
    monkeypatch.setattr(_Engine, "digest", "1", raising=False)
    settings = small.compile_settings(corpus, tmp_path / "run", retriever="own_engine:Engine", test_documents=8)
    first = compile_programs(settings, **small.World().parts)
    monkeypatch.setattr(_Engine, "failing", True)
    again = compile_programs(settings, **small.World().parts)
    assert first is not None
    assert again is not None
    assert again.results == first.results
    monkeypatch.setattr(_Engine, "digest", "2")
    with pytest.raises(ConfigurationError, match=r"own_engine:Engine.*search failed .*nobody answers"):
        compile_programs(settings, **small.World().parts)
