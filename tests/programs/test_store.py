"""The program store: what was compiled comes back the same, and what does not fit is refused in one sentence."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.teleprompt import BootstrapFewShot

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, ProgramFileError
from inpars_plus.foundation.files import digest
from inpars_plus.programs import (
    DocumentAnalyst,
    KeyTerms,
    MetricRecord,
    OptimizerRecord,
    ProgramCard,
    ProgramFileWarning,
    QueryGenerator,
    Scores,
    example_of,
    list_programs,
    load_program,
    save_program,
)
from inpars_plus.programs.fingerprints import fingerprint, predictors_of
from inpars_plus.programs.registry import REGISTRY

Make = Callable[..., tuple[dspy.LM, Any]]

DOCUMENTS = [
    Document(
        id=str(number),
        title=f"Case {number}",
        text=f"Patients of ward {number} who take statins against cholesterol report muscle pain after weeks.",
    )
    for number in range(6)
]
TERMS = KeyTerms.fit(DOCUMENTS)
CARD = ProgramCard(
    document_type="case-report",
    lm="embedded@00000000",
    optimizer=OptimizerRecord(name="BootstrapFewShot", settings={"max_bootstrapped_demos": 3}),
    seed=7,
    metric=MetricRecord(name="query", validation=Scores(before=0.1, after=0.6), test=Scores(before=0.2, after=0.5)),
    data_hash="abc",
    adapter="CompletionAdapter",
)


def _reply(prompt: str) -> str:
    case = prompt.rsplit("Case ", 1)[1].split()[0]
    return f"do cholesterol drugs hurt muscles in case {case}"


@pytest.fixture
def compiled(completion_lm: Make) -> QueryGenerator:
    lm, _ = completion_lm(_reply)
    trainset = [example_of(document, key_terms=TERMS, queries=["are old queries kept"]) for document in DOCUMENTS]
    optimizer = BootstrapFewShot(
        metric=lambda gold, prediction, trace=None: bool(prediction.queries),
        metric_threshold=1,
        max_bootstrapped_demos=2,
        max_labeled_demos=3,
    )
    with dspy.context(lm=lm):
        program: QueryGenerator = optimizer.compile(
            QueryGenerator(key_terms=TERMS, attempts=2, last_opening="How"), trainset=trainset
        )
    program.generate.signature = program.generate.signature.with_instructions("Write what a nurse would type.")
    return program


@pytest.fixture
def saved(compiled: QueryGenerator, tmp_path: Path) -> Path:
    path = tmp_path / "programs" / "case-report.json"
    save_program(compiled, path, CARD)
    return path


def _edit(path: Path, *, sign: bool = True, **changes: Any) -> None:
    envelope = json.loads(path.read_text()) | changes
    if sign:
        envelope["digest"] = digest({key: value for key, value in envelope.items() if key != "digest"})
    path.write_text(json.dumps(envelope))


def _refusal(path: Path) -> str:
    with pytest.raises(ProgramFileError) as caught:
        load_program(path)
    assert caught.value.place is not None
    assert str(path) in caught.value.place
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_loaded_program_asks_and_answers_as_the_one_that_was_saved(
    compiled: QueryGenerator, saved: Path, completion_lm: Make
) -> None:
    results = []
    for program in (compiled, load_program(saved)):
        lm, engine = completion_lm(_reply)
        with dspy.context(lm=lm):
            results.append(([program(source=document).queries for document in DOCUMENTS], engine.prompts))
    assert results[0] == results[1]
    assert len(compiled.generate.demos) == 3
    assert "Write what a nurse would type." in results[0][1][0]


def test_the_settings_of_the_program_come_back(saved: Path) -> None:
    program = load_program(saved)
    assert (program.attempts, program.prompt_form, program.key_terms) == (2, None, TERMS)
    assert program.last_opening == "How"


def test_saving_a_loaded_program_writes_the_same_file_again(saved: Path, tmp_path: Path) -> None:
    program = load_program(saved)
    save_program(program, tmp_path / "again.json", program.card)
    assert (tmp_path / "again.json").read_bytes() == saved.read_bytes()


def test_the_card_comes_back_completed(saved: Path) -> None:
    card = load_program(saved).card
    assert card.model_copy(update={"program": "", "packages": {}, "digest": "", "path": None}) == CARD
    assert card.program == "QueryGenerator"
    assert card.path == saved
    assert card.packages["dspy"] == dspy.__version__
    assert len(card.digest) == 64


def test_a_compiled_program_inside_another_one_is_saved_too(compiled: QueryGenerator) -> None:
    outer = dspy.Module()
    outer.inner = compiled
    assert compiled._compiled
    assert dict(outer.named_predictors()) == {}  # DSPy's own listing misses it
    assert list(predictors_of(outer)) == ["inner.generate"]


def test_demonstrations_hold_the_fields_of_the_signature_only(compiled: QueryGenerator, saved: Path) -> None:
    assert any("source" in demo for demo in compiled.generate.demos)  # the labelled one carries its document
    for demo in json.loads(saved.read_text())["state"]["generate"]["demos"]:
        assert set(demo) == {"document", "key_terms", "document_type", "number_of_queries", "queries"}


def test_no_secret_is_written_and_the_program_keeps_its_model(compiled: QueryGenerator, tmp_path: Path) -> None:
    lm = dspy.LM("openai/x", api_key="sk-very-secret-1", headers={"X-Auth": "very-secret-2"}, cache=False)
    compiled.set_lm(lm)
    card = CARD.model_copy(
        update={"optimizer": OptimizerRecord(name="GEPA", settings={"reflection": {"api_key": "very-secret-3"}})}
    )
    save_program(compiled, tmp_path / "p.json", card)
    text = (tmp_path / "p.json").read_text()
    assert "secret" not in text
    assert "openai/x" not in text
    assert compiled.generate.lm is lm
    assert load_program(tmp_path / "p.json").generate.lm is None


def test_a_registered_secret_is_blanked_even_inside_a_demonstration(
    compiled: QueryGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-abcdefgh12345678")
    compiled.generate.demos[0]["document"] += " sk-abcdefgh12345678"
    save_program(compiled, tmp_path / "p.json", CARD)
    assert "sk-abcdefgh" not in (tmp_path / "p.json").read_text()
    load_program(tmp_path / "p.json")  # the digest is that of what was written


def test_a_program_of_an_unknown_class_is_not_saved(tmp_path: Path) -> None:
    class Foreign(QueryGenerator):
        pass

    with pytest.raises(ConfigurationError, match="not registered"):
        save_program(Foreign(), tmp_path / "p.json", CARD)
    assert list(tmp_path.iterdir()) == []


def test_an_analyst_is_saved_and_loaded_too(tmp_path: Path) -> None:
    save_program(DocumentAnalyst(["faq", "news"], max_characters=500), tmp_path / "a.json", CARD)
    analyst = load_program(tmp_path / "a.json")
    assert (analyst.document_types, analyst.max_characters) == (("faq", "news"), 500)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no compiled program here" in _refusal(tmp_path / "none.json")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "directory" in _refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\x00\xff", b"[" * 100_000, b"PK\x03\x04"])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    assert "compiled program" in _refusal(path)


@pytest.mark.parametrize("content", ["[]", "null", '{"a": 1}', '"text"', '{"format": "other", "format_version": 1}'])
def test_foreign_json_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    assert "not a compiled program of inpars-plus" in _refusal(path)


def test_a_bare_state_of_dspy_is_refused(compiled: QueryGenerator, tmp_path: Path) -> None:
    compiled.generate.demos = []
    compiled.save(str(tmp_path / "p.json"))
    assert "DSPy state" in _refusal(tmp_path / "p.json")


def test_a_newer_format_is_refused_with_both_versions(saved: Path) -> None:
    _edit(saved, format_version=2)
    message = _refusal(saved)
    assert "format version 2" in message
    assert "up to 1" in message
    assert "Upgrade" in message


@pytest.mark.parametrize("version", [None, 0, "1", True, 1.0])
def test_a_format_version_that_is_no_number_is_refused(saved: Path, version: Any) -> None:
    _edit(saved, format_version=version)
    assert "format_version" in _refusal(saved)


@pytest.mark.parametrize(
    "change", [{"document_type": "poem"}, {"seed": 8}, {"digest": "0" * 64}, {"digest": None}, {"x": 1}]
)
def test_a_file_that_was_changed_is_refused(saved: Path, change: dict[str, Any]) -> None:
    _edit(saved, sign=False, **change)
    assert "was changed after it was written" in _refusal(saved)


def test_one_changed_letter_in_a_demonstration_is_noticed(saved: Path) -> None:
    saved.write_text(saved.read_text().replace("cholesterol drugs", "cholesterol bugs", 1))
    assert "was changed after it was written" in _refusal(saved)


def test_another_program_is_refused_by_name(saved: Path) -> None:
    _edit(saved, program="os:system")
    message = _refusal(saved)
    assert "'os:system'" in message
    assert f"knows only {', '.join(sorted(REGISTRY))}" in message


def test_another_signature_is_refused_with_what_differs(saved: Path) -> None:
    signature = json.loads(saved.read_text())["signature"]
    signature["generate"]["inputs"]["keywords"] = signature["generate"]["inputs"].pop("key_terms")
    signature["generate"]["outputs"]["queries"] = "list[str]"
    _edit(saved, signature=signature)
    message = _refusal(saved)
    assert "input 'key_terms' of predictor 'generate' is missing in the file and list[str] in the program" in message
    assert "input 'keywords' of predictor 'generate' is list[str] in the file and missing in the program" in message
    assert "is list[str] in the file and list[SyntheticQuery{text: str}] in the program" in message


def test_another_order_of_fields_is_refused(saved: Path) -> None:
    signature = json.loads(saved.read_text())["signature"]
    signature["generate"]["inputs"] = dict(reversed(signature["generate"]["inputs"].items()))
    _edit(saved, signature=signature)
    assert "another order" in _refusal(saved)


def test_a_missing_predictor_is_refused_by_name(saved: Path) -> None:
    _edit(saved, signature={})
    assert "predictor 'generate' is missing in the file" in _refusal(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"state": {}},
        {"state": {"generate": {"signature": {"instructions": "x", "fields": []}, "demos": []}}},
        {"state": {"generate": 3}},
        {"settings": {}},
        {"settings": None},
        {"settings": {"attempts": "many"}},
        {"settings": {"attempts": 0}},
        {"key_terms": {"encoding": "pickle"}},
        {"key_terms": None},
        {"signature": [1]},
        {"seed": "seven"},
        {"metric": {"name": "m", "test": 3}},
        {"optimizer": None},
    ],
)
def test_a_signed_file_with_wrong_content_is_refused(saved: Path, change: dict[str, Any]) -> None:
    _edit(saved, **change)
    _refusal(saved)


def test_a_demonstration_that_does_not_fit_is_refused_by_its_number(saved: Path) -> None:
    state = json.loads(saved.read_text())["state"]
    state["generate"]["demos"][1]["key_terms"] = 3
    _edit(saved, state=state)
    assert "demonstration 2" in _refusal(saved)


def test_a_state_cannot_plant_attributes_or_a_model(saved: Path) -> None:
    state = json.loads(saved.read_text())["state"]
    state["generate"] |= {"forward": "x", "lm": {"model": "openai/x", "api_base": "http://evil.example"}}
    _edit(saved, state=state)
    program = load_program(saved)
    assert callable(program.generate.forward)
    assert program.generate.lm is None


def test_a_given_model_is_used_and_the_compiled_one_draws_no_warning(saved: Path, completion_lm: Make) -> None:
    lm, engine = completion_lm(_reply)
    program = load_program(saved, lm=lm)
    assert program(source=DOCUMENTS[0]).queries == ["do cholesterol drugs hurt muscles in case 0"]
    assert len(engine.prompts) == 1


def test_another_model_is_a_warning_that_names_both(saved: Path, chat_lm: Make) -> None:
    lm, _ = chat_lm([])
    with pytest.warns(ProgramFileWarning, match=r"compiled with embedded@00000000 and now runs with chat/scripted"):
        program = load_program(saved, lm=lm)
    lm.engine.tuned_for = program.card.digest
    load_program(saved, lm=lm)  # without a warning, which would be an error here


def test_another_version_of_a_package_is_a_warning_that_names_both(saved: Path) -> None:
    packages = json.loads(saved.read_text())["packages"]
    _edit(saved, packages=packages | {"dspy": "3.9.9", "gone": "1"})
    with pytest.warns(ProgramFileWarning, match=rf"dspy 3\.9\.9 \(now {dspy.__version__}\)"):
        load_program(saved)


def test_a_directory_is_listed_by_file_name_and_other_json_is_passed_over(
    compiled: QueryGenerator, tmp_path: Path
) -> None:
    for name in ("b", "a"):
        save_program(compiled, tmp_path / f"{name}.json", CARD.model_copy(update={"document_type": name}))
    (tmp_path / "summary.json").write_text('{"settings": {}}')
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.json").mkdir()
    assert [(card.document_type, card.path) for card in list_programs(tmp_path)] == [
        ("a", tmp_path / "a.json"),
        ("b", tmp_path / "b.json"),
    ]


def test_of_a_run_directory_the_programs_one_folder_down_are_listed(compiled: QueryGenerator, tmp_path: Path) -> None:
    save_program(compiled, tmp_path / "compiled" / "a.json", CARD)
    save_program(compiled, tmp_path / "half-done.json", CARD)
    assert [card.path for card in list_programs(tmp_path)] == [tmp_path / "compiled" / "a.json"]
    assert list_programs(tmp_path / "compiled") == list_programs(tmp_path)


def test_a_damaged_program_is_left_out_of_the_list_with_a_warning(compiled: QueryGenerator, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_program(compiled, tmp_path / f"{name}.json", CARD)
    _edit(tmp_path / "a.json", sign=False, seed=99)
    with pytest.warns(ProgramFileWarning, match=r"a\.json: the file was changed"):
        assert [card.path for card in list_programs(tmp_path)] == [tmp_path / "b.json"]


def test_an_empty_directory_lists_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert list_programs(tmp_path) == []
    with pytest.raises(ProgramFileError, match="no directory"):
        list_programs(tmp_path / "none")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ProgramFileError, match=r"a\.json: this is a file.*Name the directory"):
        list_programs(tmp_path / "a.json")


def test_a_failed_write_leaves_the_old_file(
    saved: Path, compiled: QueryGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match="No space left"):
        save_program(compiled, saved, CARD.model_copy(update={"seed": 8}))
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_instructions_and_demonstrations_are_no_part_of_the_fingerprint(compiled: QueryGenerator) -> None:
    with warnings.catch_warnings():
        assert fingerprint(compiled) == fingerprint(QueryGenerator())
