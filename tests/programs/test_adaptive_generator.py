"""Adaptive generation: the program of the document's type writes, the base program where there is none, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy import lm15

from inpars_plus.corpora import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ProgramFileError
from inpars_plus.foundation.files import digest
from inpars_plus.optimizers.routing import fit_type_router
from inpars_plus.programs import (
    ROUTE_REASONS,
    AdaptiveQueryGenerator,
    DocumentAnalyst,
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    PassageQueryGenerator,
    ProgramCard,
    ProgramFileWarning,
    QueryGenerator,
    Route,
    Scores,
    SentenceQueryGenerator,
    TypeRouter,
    load_program,
    programs_of,
    save_program,
)
from inpars_plus.retrieval.hashing import HashingEncoder

Make = Callable[..., tuple[dspy.LM, Any]]
MakeProgram = Callable[..., QueryGenerator]

TALK = Document(id="talk/1", text="My valve sticks! What can I do?", doc_type="folder")
EMPTY = Document(id="empty")


class _Told:
    """Says of each document what the test wants."""

    def __init__(self, **routes: Any) -> None:
        self.routes = routes

    def route(self, documents: Sequence[Document]) -> list[Route]:
        return [Route(**self.routes) for _ in documents]


@pytest.fixture
def program() -> MakeProgram:
    """Makes a program whose prompts begin with an instruction."""

    def make(instruction: str, **settings: Any) -> QueryGenerator:
        made = QueryGenerator(**settings)
        made.generate.signature = made.generate.signature.with_instructions(instruction)
        return made

    return make


@pytest.fixture
def programs(program: MakeProgram) -> dict[str, QueryGenerator]:
    return {name: program(f"Write for {name}.", attempts=1) for name in ("talk", "code")}


def _reply(prompt: str) -> str:
    return f"what did the {prompt.partition('.')[0].removeprefix('Write for ')} program write"


def _made(lm: dspy.LM, adaptive: AdaptiveQueryGenerator, source: Document = TALK, **inputs: Any) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return adaptive(source=source, **inputs)


def test_the_program_of_the_type_writes_and_is_named(
    programs: dict[str, QueryGenerator], program: MakeProgram, completion_lm: Make
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("Write for base."), _Told(document_type="talk"))
    made = _made(completion_lm(_reply)[0], adaptive)
    assert made.queries == ["what did the talk program write"]
    assert (made.document_type, made.program, made.route_reason) == ("talk", "talk", None)
    assert (made.attempts, made.rejected, made.shortfall) == ([1], [], 0)


def test_a_chat_model_reads_the_type_that_was_told(
    programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make
) -> None:
    lm, engine = chat_lm(['[[ ## queries ## ]]\n["why does a valve stick"]'])
    _made(lm, AdaptiveQueryGenerator(programs, program("x"), _Told(document_type="talk")))
    assert "talk" in engine.prompts[0]
    assert "folder" not in engine.prompts[0]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"document_type": None, "reason": "unknown_type"}, "unknown_type"),
        ({"document_type": None, "reason": "unreadable_analysis"}, "unreadable_analysis"),
        ({"document_type": "poem"}, "no_program_for_type"),
    ],
)
def test_the_base_program_writes_where_no_other_is_for_the_document(
    programs: dict[str, QueryGenerator], program: MakeProgram, completion_lm: Make, told: dict[str, Any], reason: str
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("Write for base."), _Told(**told))
    made = _made(completion_lm(_reply)[0], adaptive)
    assert made.queries == ["what did the base program write"]
    assert (made.document_type, made.program, made.route_reason) == (told["document_type"], "base", reason)
    assert reason in ROUTE_REASONS


def test_a_base_program_that_is_also_a_type_s_is_named_by_the_type(
    programs: dict[str, QueryGenerator], completion_lm: Make
) -> None:
    told = _Told(document_type=None, reason="unknown_type")
    made = _made(completion_lm(_reply)[0], AdaptiveQueryGenerator(programs, programs["code"], told))
    assert (made.program, made.route_reason) == ("code", "unknown_type")


def test_an_empty_document_is_sent_to_no_model(
    programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make
) -> None:
    lm, engine = chat_lm([])
    made = _made(lm, AdaptiveQueryGenerator(programs, program("x"), DocumentAnalyst(["talk", "code"])), EMPTY)
    assert (made.queries, made.shortfall, made.route_reason) == ([], 1, "empty_document")
    assert made.program is None
    assert [candidate.reason for candidate in made.rejected] == ["empty_document"]
    assert engine.prompts == []


def test_a_language_model_can_be_the_analyst(
    programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make
) -> None:
    labels = {"domain": "software", "topics": ["valves"], "complexity": "advanced", "audience": "developers"}
    replies = [json.dumps({"analysis": {"doc_type": "code", **labels}}), '[[ ## queries ## ]]\n["why do valves stick"]']
    adaptive = AdaptiveQueryGenerator(programs, program("x"), DocumentAnalyst(["talk", "code"]))
    lm, engine = chat_lm(replies)
    made = _made(lm, adaptive)
    assert (made.program, made.route_reason, made.queries) == ("code", None, ["why do valves stick"])
    assert "Write for code." in engine.prompts[1]


@pytest.mark.parametrize("nonsense", ["What a lovely document!", "", '{"analysis": {"doc_type": "poem"}}', "[" * 3000])
def test_an_analyst_that_answers_nonsense_leads_to_the_base_program(
    programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make, nonsense: str
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("Write for base."), DocumentAnalyst(["talk", "code"]))
    lm, engine = chat_lm([nonsense, '[[ ## queries ## ]]\n["why do valves stick"]'])
    made = _made(lm, adaptive)
    assert (made.document_type, made.program, made.route_reason) == (None, "base", "unreadable_analysis")
    assert made.queries == ["why do valves stick"]
    assert "Write for base." in engine.prompts[1]


def test_an_analysis_that_did_not_come_is_no_unknown_type_and_nobody_writes(
    programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("Write for base."), DocumentAnalyst(["talk", "code"]))
    lm, engine = chat_lm([lm15.ServerError("busy"), '[[ ## queries ## ]]\n["why do valves stick"]'])
    made = _made(lm, adaptive, number_of_queries=2)
    assert (made.document_type, made.program, made.route_reason) == (None, None, "no_analysis")
    assert (made.queries, made.attempts, made.shown, made.shortfall) == ([], [], [], 2)
    assert [candidate.reason for candidate in made.rejected] == ["no_reply"]
    assert len(engine.prompts) == 1


def test_a_dead_model_ends_the_call(programs: dict[str, QueryGenerator], program: MakeProgram, chat_lm: Make) -> None:
    lm, _ = chat_lm([DeadModelError("the model is gone")])
    with pytest.raises(DeadModelError, match="gone"):
        _made(lm, AdaptiveQueryGenerator(programs, program("x"), DocumentAnalyst(["talk"])))


def test_without_programs_there_is_nothing_to_choose_from(program: MakeProgram) -> None:
    with pytest.raises(ConfigurationError, match="no programs to choose from"):
        AdaptiveQueryGenerator({}, program("x"), _Told(document_type="talk"))


def test_a_model_is_given_to_compiled_programs_too(
    programs: dict[str, QueryGenerator], program: MakeProgram, completion_lm: Make
) -> None:
    for one in programs.values():
        one._compiled = True
    adaptive = AdaptiveQueryGenerator(programs, program("x"), _Told(document_type="talk"))
    lm, _ = completion_lm(_reply)
    adaptive.set_lm(lm)
    with dspy.context(lm=None):
        assert adaptive(source=TALK).queries == ["what did the talk program write"]


@pytest.fixture(scope="module")
def router(typed: Any) -> TypeRouter:
    return fit_type_router(typed.some(150, "code", "talk"), HashingEncoder(), seed=0).router


def _card(document_type: str, score: float = 0.5) -> ProgramCard:
    return ProgramCard(
        document_type=document_type,
        lm="embedded@00000000",
        optimizer=OptimizerRecord(name="none"),
        seed=0,
        metric=MetricRecord(name="query", validation=Scores(after=score)),
        data_hash="abc",
    )


@pytest.mark.parametrize("own_base", [False, True])
def test_one_file_holds_all_programs_and_the_analyst(
    program: MakeProgram, router: TypeRouter, typed: Any, completion_lm: Make, tmp_path: Path, own_base: bool
) -> None:
    terms = KeyTerms.fit(typed.some(30, "code", "talk"))
    programs = {name: program(f"Write for {name}.", key_terms=terms, last_opening="How") for name in ("talk", "code")}
    programs["talk"].generate.demos = [dspy.Example(document="d", key_terms=["k"], queries=[{"text": "an old query"}])]
    programs["code"]._compiled = True
    base = program("Write for base.", attempts=1) if own_base else programs["code"]
    adaptive = AdaptiveQueryGenerator(programs, base, router)
    path = tmp_path / "adaptive.json"
    save_program(adaptive, path, _card("any"))

    loaded: Any = load_program(path)
    loaded.analyst.use_encoder(HashingEncoder())
    documents = [*typed.some(3, "code", "talk", start=200), EMPTY, Document(id="odd", text="7 8 9 " * 500)]
    results = []
    for one in (adaptive, loaded):
        lm, engine = completion_lm(_reply)
        results.append(([_made(lm, one, document).toDict() for document in documents], engine.prompts))
    assert results[0] == results[1]
    assert {made["program"] for made in results[0][0]} == {"code", "talk", None, *(["base"] if own_base else [])}
    assert len(json.loads(path.read_text())["key_terms"]) == (2 if own_base else 1)
    assert loaded.programs["code"].key_terms is loaded.programs["talk"].key_terms
    assert (loaded.base is loaded.programs["code"]) is not own_base
    save_program(loaded, tmp_path / "again.json", loaded.card)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_programs_of_other_kinds_stay_what_they_are_in_the_one_file(
    program: MakeProgram, router: TypeRouter, typed: Any, tmp_path: Path
) -> None:
    terms = KeyTerms.fit(typed.some(30, "code", "talk"))
    talk = PassageQueryGenerator.from_program(program("Write for talk.", key_terms=terms))
    talk.max_characters = 77
    code = SentenceQueryGenerator.from_program(program("Write for code.", key_terms=terms))
    save_program(AdaptiveQueryGenerator({"talk": talk, "code": code}, code, router), tmp_path / "a.json", _card("any"))
    loaded: Any = load_program(tmp_path / "a.json")
    assert {name: type(one) for name, one in loaded.programs.items()} == {
        "code": SentenceQueryGenerator,
        "talk": PassageQueryGenerator,
    }
    assert loaded.programs["talk"].max_characters == 77
    assert loaded.base is loaded.programs["code"]


def test_a_type_that_reads_like_a_secret_survives_saving(
    program: MakeProgram, router: TypeRouter, tmp_path: Path
) -> None:
    adaptive = AdaptiveQueryGenerator({"token": program("Write for tokens.")}, program("x"), router)
    save_program(adaptive, tmp_path / "a.json", _card("any"))
    loaded: Any = load_program(tmp_path / "a.json")
    assert loaded.programs["token"].generate.signature.instructions == "Write for tokens."


def test_an_analyst_of_one_s_own_cannot_be_saved_and_the_error_says_so(
    programs: dict[str, QueryGenerator], program: MakeProgram, tmp_path: Path
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("x"), _Told(document_type="talk"))
    with pytest.raises(ConfigurationError, match="not registered"):
        save_program(adaptive, tmp_path / "a.json", _card("any"))


@pytest.fixture
def directory(program: MakeProgram, router: TypeRouter, tmp_path: Path) -> Path:
    compiled = tmp_path / "run" / "compiled"
    for name, score in (("talk", 0.7), ("code", 0.4)):
        save_program(program(f"Write for {name}."), compiled / f"{name}.json", _card(name, score))
    save_program(router, compiled / "_analyst.json", _card("any"))
    return tmp_path / "run"


def test_a_directory_of_compiled_programs_becomes_one(directory: Path, completion_lm: Make, typed: Any) -> None:
    adaptive: Any = AdaptiveQueryGenerator.from_directory(directory)
    adaptive.analyst.use_encoder(HashingEncoder())
    assert list(adaptive.programs) == ["code", "talk"]
    assert adaptive.base_name == "talk", "the best on validation documents"
    made = _made(completion_lm(_reply)[0], adaptive, typed.some(1, "code", start=200)[0])
    assert (made.program, made.queries) == ("code", ["what did the code program write"])
    assert AdaptiveQueryGenerator.from_directory(directory / "compiled", base="code").base_name == "code"


def test_two_files_for_one_type_are_named(directory: Path, program: MakeProgram) -> None:
    save_program(program("Again."), directory / "compiled" / "other.json", _card("talk"))
    with pytest.raises(ProgramFileError, match="two programs are for the document type 'talk'") as caught:
        AdaptiveQueryGenerator.from_directory(directory)
    assert "other.json" in str(caught.value)
    assert "talk.json" in str(caught.value)


def test_a_program_of_a_newer_version_is_passed_over_with_a_warning(directory: Path) -> None:
    file = directory / "compiled" / "talk.json"
    envelope = {**json.loads(file.read_text()), "program": "PoemWriter"}
    envelope["digest"] = digest({key: value for key, value in envelope.items() if key != "digest"})
    file.write_text(json.dumps(envelope))
    with pytest.warns(ProgramFileWarning, match=r"talk\.json.*'PoemWriter'"):
        assert list(programs_of(directory)) == ["code"]


def test_an_analyst_that_asks_a_model_gets_that_of_the_programs_unless_it_has_its_own(
    directory: Path, chat_lm: Make
) -> None:
    def joined(analyst: DocumentAnalyst, lm: dspy.LM) -> Any:
        with pytest.warns(ProgramFileWarning, match="compiled with embedded@"):
            return AdaptiveQueryGenerator.from_directory(directory, analyst=analyst, lm=lm)

    lm, other = chat_lm([])[0], chat_lm([])[0]
    analyst, with_own = DocumentAnalyst(["talk", "code"]), DocumentAnalyst(["talk", "code"])
    with_own.set_lm(other)
    adaptive = joined(analyst, lm)
    assert adaptive.programs["talk"].generate.lm is lm
    assert adaptive.analyst.analyze.lm is lm
    assert joined(analyst, other).analyst.analyze.lm is other, "not that of the program before"
    assert analyst.analyze.lm is None
    assert joined(with_own, lm).analyst is with_own
    assert with_own.analyze.lm is other


def test_what_a_directory_lacks_is_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no program is for the document type 'poem'"):
        AdaptiveQueryGenerator.from_directory(directory, base="poem")
    (directory / "compiled" / "_analyst.json").unlink()
    with pytest.raises(ProgramFileError, match="no fitted analyst"):
        AdaptiveQueryGenerator.from_directory(directory)
    assert AdaptiveQueryGenerator.from_directory(directory, analyst=_Told(document_type="talk")).base_name == "talk"
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ProgramFileError, match="no compiled programs"):
        AdaptiveQueryGenerator.from_directory(tmp_path / "nothing")


def test_a_batch_is_assigned_as_single_documents_are(
    programs: dict[str, QueryGenerator], program: MakeProgram, router: TypeRouter, typed: Any
) -> None:
    adaptive = AdaptiveQueryGenerator(programs, program("x"), router)
    documents = [*typed.some(3, "code", "talk", "report", start=200), EMPTY]
    together = adaptive.assign(documents)
    assert [one.name for one in together] == [adaptive.assign([one])[0].name for one in documents]
    assert [one.name for one in together] == ["code"] * 3 + ["talk"] * 3 + ["base"] * 4
    assert [one.reason for one in together] == [None] * 6 + ["unknown_type"] * 3 + ["empty_document"]
