from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.foundation import secrets
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import append_lines, write_bytes, write_json, write_lines, write_text
from inpars_plus.foundation.secrets import HIDDEN, contains_secret, hide_secrets, redact, register_secret

KEY = 'sk-"quoted"-and-ünicode-1234'


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_registered", set())


@pytest.mark.parametrize(
    "name", ["api_key", "API-KEY", "openai_api_key", "Authorization", "headers", "extra_headers", "token", "password"]
)
def test_the_value_of_a_key_that_names_a_secret_is_blanked(name: str) -> None:
    assert redact({"lm": [{name: {"any": "thing"}}]}) == {"lm": [{name: HIDDEN}]}


@pytest.mark.parametrize("name", ["prompt_tokens", "max_tokens", "key_terms", "tokens", "temperature", "authority"])
def test_other_keys_keep_their_values(name: str) -> None:
    assert redact({name: 7}) == {name: 7}


def test_a_secret_that_was_not_given_stays_none() -> None:
    assert redact({"api_key": None}) == {"api_key": None}


def test_a_registered_secret_is_blanked_in_keys_and_nested_strings() -> None:
    register_secret(KEY)
    assert hide_secrets({f"a {KEY}": [(f"b {KEY} c", 1)]}) == {f"a {HIDDEN}": [(f"b {HIDDEN} c", 1)]}


def test_a_password_in_an_address_is_blanked_however_short_it_is() -> None:
    settings = {"api_base": "http://me:pw@host/v1", "other": ["https://host/a@b"]}
    assert redact(settings) == {"api_base": f"http://{HIDDEN}@host/v1", "other": ["https://host/a@b"]}


def test_a_secret_that_begins_with_another_leaves_no_tail() -> None:
    register_secret("12345678")
    register_secret("12345678-and-more")
    assert hide_secrets("12345678-and-more 12345678") == f"{HIDDEN} {HIDDEN}"


def test_a_short_placeholder_is_not_taken_for_a_secret() -> None:
    register_secret("EMPTY")
    register_secret(None)
    assert hide_secrets("EMPTY") == "EMPTY"


def test_keys_in_the_environment_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-environment")
    monkeypatch.setenv("SOME_KEY_COUNT", "not-a-secret")
    assert hide_secrets("sk-environment not-a-secret") == f"{HIDDEN} not-a-secret"


def test_no_writer_lets_a_secret_through(tmp_path: Path) -> None:
    register_secret(KEY)
    write_text(tmp_path / "a.txt", f"key {KEY}")
    write_json(tmp_path / "b.json", {"x": [KEY]})
    append_lines(tmp_path / "c.jsonl", [{"x": {"y": KEY}}])
    write_lines(tmp_path / "e.jsonl", [{"x": {"y": KEY}}])
    with pytest.raises(ConfigurationError, match="a secret such as an API key"):
        write_bytes(tmp_path / "d.bin", b"\x00" + KEY.encode() + b"\xff")

    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["a.txt", "b.json", "c.jsonl", "e.jsonl"]
    for path in tmp_path.iterdir():
        assert HIDDEN in path.read_text(encoding="utf-8")
        assert "1234" not in path.read_text(encoding="utf-8")
        assert not contains_secret(path.read_bytes())
