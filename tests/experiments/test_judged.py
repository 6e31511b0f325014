"""Judged collections on disk: what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.experiments.judged import read_collection
from inpars_plus.foundation.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "name"), [(".", "corpus"), ("qrels/..", "corpus"), (".:test", "corpus"), ("x=.", "x")]
)
def test_a_collection_is_called_as_its_directory_is_however_that_is_written(
    judged_corpus: Path, monkeypatch: pytest.MonkeyPatch, given: str, name: str
) -> None:
    monkeypatch.chdir(judged_corpus)
    assert read_collection(given).name == name


def test_a_link_to_a_collection_gives_it_its_name(judged_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(judged_corpus, target_is_directory=True)
    assert read_collection(str(tmp_path / "mine")).name == "mine"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".", ".."])
def test_a_name_that_no_file_could_have_is_refused(judged_corpus: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be the name of a collection.* NAME=DIR") as raised:
        read_collection(f"{name}={judged_corpus}")
    assert f"'{name}'" in str(raised.value)


@pytest.mark.parametrize("split", ["", ":test"])
def test_a_path_with_an_equal_sign_is_taken_as_it_is(judged_corpus: Path, tmp_path: Path, split: str) -> None:
    (tmp_path / "x=1").mkdir()
    judged_corpus.rename(tmp_path / "x=1" / "set")
    assert read_collection(f"{tmp_path / 'x=1' / 'set'}{split}").name == "set"
    assert read_collection(f"mine={tmp_path / 'x=1' / 'set'}{split}").name == "mine"
