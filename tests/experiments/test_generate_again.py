"""What a second run of a generation takes for done, and what it asks for again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dspy import lm15

from inpars_plus.corpora import Document, Ledger, open_corpus, read_judgments, read_queries, write_documents
from inpars_plus.experiments.generate_queries import RECORD, GenerateSettings, generate_queries
from inpars_plus.experiments.generating import contents_of
from inpars_plus.foundation import ConfigurationError, DeadModelError, SpendingCapError, Summary
from inpars_plus.lms import SpendingLimits
from inpars_plus.lms.limits import Budget
from inpars_plus.programs import AdaptiveQueryGenerator, DocumentAnalyst, QueryGenerator, load_program, save_program
from inpars_plus.programs.constrained_generator import ConstrainedQueryGenerator


def write(path: Path, small: Any, *numbers: int) -> Path:
    """A corpus whose ids say nothing of what the documents are about."""
    rows = [{**small.row(number), "id": f"{at}"} for at, number in enumerate(numbers, 1)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def units(out: Path) -> dict[str, str]:
    """Document id → the unit that its query names."""
    texts = {query.id: query.text for query in read_queries(out / "queries.jsonl")}
    asked = {one.document_id: texts[one.query_id] for one in read_judgments(out / "qrels" / "train.tsv")}
    return {name: next(word for word in text.split() if word.startswith("manualx")) for name, text in asked.items()}


def good(prompt: str) -> str:
    """A query that passes, about the last document of a prompt."""
    last = prompt.rpartition("Document:")[2]
    words = last.partition("The ")[2].split()
    return f" why does the {words[0]} of {words[3]} lose its seal"


def test_another_corpus_with_the_same_ids_is_generated_for_and_not_taken_for_done(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    for first in (0, 8):
        corpus = write(tmp_path / f"from{first}.jsonl", small, *range(first, first + 4))
        world = small.World(replies=good)
        summary = generate_queries(small.generate_settings(corpus, compiled, out), **world.parts)
        assert world.calls >= 4
        assert units(out) == {f"{at}": f"manualx{first + at - 1}" for at in range(1, 5)}
        assert (summary.results["documents"], summary.results["accepted"]) == (4, 4)


def test_a_document_with_another_text_under_its_id_is_asked_about_again_and_no_other_is(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    asked = []
    for numbers in ((0, 1, 2), (0, 9, 2), (0, 1, 2)):
        corpus = write(tmp_path / "corpus.jsonl", small, *numbers)
        world = small.World(replies=good)
        generate_queries(small.generate_settings(corpus, compiled, out), **world.parts)
        assert units(out) == {f"{at}": f"manualx{number}" for at, number in enumerate(numbers, 1)}
        prompts = [prompt for model in world.models for prompt in model.engine.prompts]
        asked.append({prompt.rpartition("unit ")[2].split()[0] for prompt in prompts})
    assert asked == [{"manualx0", "manualx1", "manualx2"}, {"manualx9"}, set()]  # the first text's reply is kept
    assert {entry.document_id for entry in Ledger(out / "ledger.jsonl").entries()} == {"1", "2", "3"}


def test_metadata_make_another_document_only_for_programs_that_read_them(tmp_path: Path) -> None:
    def contents(program: QueryGenerator, **changed: Any) -> dict[str, str]:
        document = Document(id="d", text="The ferry crews went on strike.", metadata={"source": "Guardian"})
        write_documents(tmp_path / "corpus.jsonl", [document.model_copy(update=changed)])
        return contents_of(open_corpus(str(tmp_path / "corpus.jsonl")), [program])

    other = {"metadata": {"source": "Herald"}}
    assert contents(QueryGenerator()) == contents(QueryGenerator(), **other)
    assert contents(ConstrainedQueryGenerator()) != contents(ConstrainedQueryGenerator(), **other)
    assert contents(QueryGenerator()) != contents(QueryGenerator(), title="Strike")


def test_a_ledger_that_does_not_say_of_what_text_it_is_is_made_again_from_the_kept_replies(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    settings = small.generate_settings(write(tmp_path / "corpus.jsonl", small, *range(4)), compiled, out)
    before = generate_queries(settings, **small.World(replies=good).parts)
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    for line in lines:
        del line["content"]
    (out / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    world = small.World(replies=good)
    assert generate_queries(settings, **world.parts).results == before.results
    assert world.calls == 0


def test_a_directory_does_not_mix_the_queries_of_two_servers(
    compiled: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, out = write(tmp_path / "corpus.jsonl", small, 0, 1), tmp_path / "queries"
    one = small.generate_settings(corpus, compiled, out, api_base="http://me:very-secret-7319@one:1/v1")
    generate_queries(one, **small.World().parts)
    assert json.loads((out / RECORD).read_text())["made_with"]["server"] == "http://one:1/v1"
    generate_queries(one, **small.World().parts)
    told = "another server: http://one:1/v1, not"
    with pytest.raises(ConfigurationError, match=f"{told} default"):
        generate_queries(one.model_copy(update={"api_base": None}), **small.World().parts)
    monkeypatch.setenv("SCRIPTED_API_BASE", "http://two:2/v1")
    with pytest.raises(ConfigurationError, match=f"{told} http://two:2/v1"):
        generate_queries(one.model_copy(update={"api_base": None}), **small.World().parts)


def test_a_document_whose_analysis_failed_waits_for_the_next_run_and_is_no_other_program_s(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    base: Any = load_program(compiled / "compiled" / "manual.json")
    adaptive = AdaptiveQueryGenerator({"manual": base}, base, DocumentAnalyst(["manual", "news"]))
    save_program(adaptive, tmp_path / "adaptive.json", base.card.model_copy(update={"document_type": "any"}))
    corpus, out = write(tmp_path / "corpus.jsonl", small, *range(6)), tmp_path / "queries"
    settings = small.generate_settings(corpus, tmp_path / "adaptive.json", out, adaptive=True)
    labels = {"domain": "software", "topics": ["pumps"], "complexity": "advanced", "audience": "developers"}

    def replies(prompt: str) -> str:
        if "document_types" not in prompt:
            return good(prompt)
        if down and "manualx3" in prompt:
            raise lm15.ServerError("busy")
        if "manualx4" in prompt:
            return "What a lovely document!"
        return json.dumps({"analysis": {"doc_type": "manual", **labels}})

    down = True
    summary = generate_queries(settings, **small.World(replies=replies).parts)
    assert (summary.results["documents"], summary.results["documents_failed"]) == (5, 1)
    assert summary.results["written_by"]["reasons"] == {"unreadable_analysis": 1}
    assert "4" not in Ledger(out / "ledger.jsonl").documents_done()
    down = False
    summary = generate_queries(settings, **small.World(replies=replies).parts)
    assert (summary.results["documents"], summary.results["documents_failed"]) == (6, 0)
    assert summary.results["written_by"]["reasons"] == {"unreadable_analysis": 1}


def test_what_was_finished_when_a_cap_ends_the_run_is_in_the_ledger(compiled: Path, tmp_path: Path, small: Any) -> None:
    settings = small.generate_settings(write(tmp_path / "corpus.jsonl", small, *range(12)), compiled, tmp_path / "q")
    budget = Budget(SpendingLimits(max_tokens=2_000), price=None, label="scripted")
    with pytest.raises(SpendingCapError):
        generate_queries(settings, **small.World(replies=good, budget=budget).parts)
    done = Ledger(tmp_path / "q" / "ledger.jsonl").documents_done()
    assert 0 < len(done) < 12
    assert units(tmp_path / "q").keys() == done.keys()


@pytest.fixture
def passed_over(compiled: Path, tmp_path: Path, small: Any) -> Callable[..., GenerateSettings]:
    """A generation for an empty document alone; gives its settings with others, once the corpus has three more."""
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "queries"
    corpus.write_text(json.dumps({**small.row(0), "id": "0", "title": "", "text": ""}) + "\n")
    world = small.World(replies=good)
    results = generate_queries(small.generate_settings(corpus, compiled, out), **world.parts).results
    assert (world.calls, results["documents"], results["empty_documents"]) == (0, 0, 1)
    more = write(tmp_path / "more.jsonl", small, *range(3)).read_text()
    corpus.write_text(corpus.read_text() + more)
    return lambda **changed: small.generate_settings(corpus, compiled, out, **changed)


def test_where_documents_were_only_passed_over_another_way_of_asking_is_not_refused(
    passed_over: Any, tmp_path: Path, small: Any
) -> None:
    results = generate_queries(passed_over(max_reply_tokens=30), **small.World(replies=good).parts).results
    assert (results["documents"], results["accepted"], results["empty_documents"]) == (3, 3, 1)
    assert json.loads((tmp_path / "queries" / RECORD).read_text())["made_with"]["max_reply_tokens"] == 30
    with pytest.raises(ConfigurationError, match=r"generated with another max_reply_tokens: 30, not default"):
        generate_queries(passed_over(), **small.World(replies=good).parts)


def test_where_documents_were_only_passed_over_a_model_that_answers_nobody_is_still_told_as_gone(
    passed_over: Any, small: Any
) -> None:
    def down(prompt: str) -> str:
        raise lm15.ServerError("busy")

    with pytest.raises(DeadModelError, match=r"answered none of \d+ calls"):
        generate_queries(passed_over(), **small.World(replies=down).parts)


class Served:
    """A chat server that has no answer for some units while it is ill, and runs of a generation with it."""

    def __init__(self, small: Any, loopback: Any, program: Path, corpus: Path, ill: set[str]) -> None:
        self.ill = ill
        self.asked: list[str] = []
        self.nonsense: set[str] = set()
        self.server = loopback.LoopbackServer(self._reply, self._misbehave)
        self._small = small
        self._settings = small.generate_settings(
            corpus, program, corpus.parent / "q", lm="openai/loop", api_base=self.server.address
        )

    def _unit(self, text: str) -> str:
        return str(text.rpartition("of unit ")[2].split()[0])

    def _misbehave(self, number: int) -> int | None:
        unit = self._unit("\n".join(str(turn["content"]) for turn in self.server.bodies[number]["messages"]))
        self.asked.append(unit)
        return 503 if unit in self.ill else None

    def _reply(self, text: str) -> str:
        if self._unit(text) in self.nonsense:
            return "Let me think about pumps."
        query = good(f"Document: The {text.rpartition('The ')[2]}").strip()
        return f'[[ ## queries ## ]]\n[{{"text": "{query}"}}]\n\n[[ ## completed ## ]]'

    def run(self, **changed: Any) -> Summary:
        self.asked.clear()
        return generate_queries(self._settings.model_copy(update=changed), scorer=self._small.FlatScorer())

    @property
    def done(self) -> set[str]:
        return set(Ledger(self._settings.out / "ledger.jsonl").documents_done())


@pytest.fixture
def served(
    compiled: Path, tmp_path: Path, small: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Served]]:
    """Makes a generation with a server that has no answer for some of 40 documents."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-7319")
    monkeypatch.setattr("dspy.clients.execution.time.sleep", lambda seconds: None)
    program: Any = load_program(compiled / "compiled" / "manual.json")
    save_program(program, tmp_path / "program.json", program.card.model_copy(update={"lm": "openai/loop"}))
    made: list[Served] = []

    def make(*ill: int) -> Served:
        corpus = write(tmp_path / "corpus.jsonl", small, *range(40))
        made.append(Served(small, loopback, tmp_path / "program.json", corpus, {f"manualx{number}" for number in ill}))
        return made[-1]

    yield make
    for one in made:
        one.server.close()


def test_a_document_that_the_server_failed_for_is_asked_about_again_once_it_is_well(served: Any) -> None:
    generation = served(7)
    first = generation.run().results
    assert (first["documents"], first["documents_failed"], first["accepted"]) == (39, 1, 39)
    assert "unreadable_reply" not in first["reasons"]
    generation.ill.clear()
    again = generation.run().results
    assert (again["documents"], again["documents_failed"], again["accepted"]) == (40, 0, 40)
    assert generation.asked == ["manualx7"]


def test_a_first_document_that_a_server_never_serves_does_not_end_the_run(served: Any) -> None:
    generation = served(0)
    results = generation.run(threads=1).results
    assert (results["documents"], results["documents_failed"], results["accepted"]) == (39, 1, 39)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_model_that_only_thinks_ends_the_generation_which_goes_on_with_more_tokens(served: Any, threads: int) -> None:
    generation = served()
    generation.server.thinking = True
    told = r"every reply was empty and cut at 1,024 tokens.*--max-reply-tokens"
    asked = []
    for _ in range(2):
        with pytest.raises(DeadModelError, match=told):
            generation.run(threads=threads)
        asked.append(Counter(generation.asked))
        assert generation.done == set()
    first, again = asked
    # Four documents tell it, each asked about three times, while every other thread is at one more.
    assert 3 * 4 <= first.total() <= 3 * (4 + threads - 1)
    # What was kept is read, and not asked for; threads that wait for no reply may begin documents that are new.
    assert again.total() <= 3 * (threads - 1)
    assert not {unit for unit in again if first[unit] == 3}
    generation.server.thinking = False
    results = generation.run(max_reply_tokens=4000).results
    assert (results["documents"], results["accepted"]) == (40, 40)


def test_a_model_none_of_whose_replies_can_be_read_ends_the_generation_and_nothing_counts_as_done(served: Any) -> None:
    generation = served()
    generation.nonsense = {f"manualx{number}" for number in range(40)}
    with pytest.raises(DeadModelError, match=r"none of its \d+ replies could be read; one begins 'Let me think"):
        generation.run()
    assert 20 <= len(set(generation.asked)) <= 26
    assert generation.done == set()


@pytest.mark.parametrize(("nonsense", "limit"), [(False, 3), (True, 19)])
def test_a_small_generation_none_of_whose_replies_can_be_read_is_not_done_and_goes_on_in_another_way(
    served: Any, nonsense: bool, limit: int
) -> None:
    generation = served()
    generation.server.thinking = not nonsense
    generation.nonsense = {f"manualx{number}" for number in range(40)}
    told = rf"none of its {3 * limit} replies could be read" if nonsense else "every reply was empty and cut"
    with pytest.raises(DeadModelError, match=told):
        generation.run(limit=limit)
    assert generation.done == set()
    generation.server.thinking, generation.nonsense = False, set()
    results = generation.run(limit=limit, max_reply_tokens=4000).results
    assert (results["documents"], results["accepted"]) == (limit, limit)


def _choosing(tmp_path: Path) -> dict[str, Any]:
    """What lets the server tell the types of documents too."""
    base: Any = load_program(tmp_path / "program.json")
    adaptive = AdaptiveQueryGenerator({"manual": base}, base, DocumentAnalyst(["manual", "news"]))
    save_program(adaptive, tmp_path / "adaptive.json", base.card.model_copy(update={"document_type": "any"}))
    return {"adaptive": True, "programs": tmp_path / "adaptive.json"}


@pytest.mark.parametrize(("nonsense", "most"), [(False, 8), (True, 24)])
def test_few_documents_are_analysed_by_a_model_none_of_whose_replies_can_be_read(
    served: Any, tmp_path: Path, nonsense: bool, most: int
) -> None:
    generation = served()
    generation.server.thinking = not nonsense
    generation.nonsense = {f"manualx{number}" for number in range(40)}
    choosing = _choosing(tmp_path)
    with pytest.raises(DeadModelError, match="none of its" if nonsense else "every reply was empty and cut"):
        generation.run(**choosing)
    assert len(set(generation.asked)) <= most
    assert generation.done == set()
    generation.server.thinking, generation.nonsense = False, set()
    results = generation.run(**choosing, max_reply_tokens=4000).results
    assert (results["documents"], results["accepted"]) == (40, 40)


def test_replies_that_cannot_be_read_are_data_where_others_can_be(served: Any) -> None:
    generation = served()
    generation.nonsense = {f"manualx{number}" for number in range(40) if number != 12}
    assert generation.run().results["documents"] == 40
    assert generation.run(max_reply_tokens=None).results["accepted"] == 1


def test_a_few_documents_that_a_server_never_serves_do_not_end_the_run(served: Any) -> None:
    generation = served(5, 14, 23, 32, 39)
    results = generation.run().results
    assert (results["documents"], results["documents_failed"], results["accepted"]) == (35, 5, 35)
    assert len(generation.asked) == 35 + 5 * 4
    again = generation.run().results
    assert (again["documents"], again["documents_failed"], again["accepted"]) == (35, 5, 35)
    assert len(generation.asked) == 5 * 4


def test_queries_of_a_ledger_that_does_not_say_of_what_text_it_is_stay_where_the_model_is_gone(
    compiled: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "queries"
    settings = small.generate_settings(write(tmp_path / "corpus.jsonl", small, *range(4)), compiled, out)
    generate_queries(settings, **small.World(replies=good).parts)
    queries = (out / "queries.jsonl").read_bytes()
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    (out / "ledger.jsonl").write_text(
        "".join(json.dumps({key: one for key, one in line.items() if key != "content"}) + "\n" for line in lines)
    )
    (out / "replies.sqlite").unlink()

    def gone(prompt: str) -> str:
        raise DeadModelError("the model is gone")

    with pytest.raises(DeadModelError, match="gone"):
        generate_queries(settings, **small.World(replies=gone).parts)
    assert (out / "queries.jsonl").read_bytes() == queries
