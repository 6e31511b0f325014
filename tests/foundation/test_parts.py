from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inpars_plus.foundation.errors import MissingPartError
from inpars_plus.foundation.parts import require


def test_an_installed_module_is_returned() -> None:
    import json.decoder

    assert require("json.decoder", install="-", purpose="This") is json.decoder


def test_a_missing_package_is_named_with_the_one_command() -> None:
    with pytest.raises(MissingPartError) as caught:
        require("no_such_part.inner", install="pip install no-such-part", purpose="Reading ir_datasets")
    assert str(caught.value) == (
        "Reading ir_datasets needs the Python package 'no_such_part', which is not installed. "
        "Install it with: pip install no-such-part"
    )


def test_a_package_whose_own_dependency_is_missing_names_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPartError, match=r"'no_such_dependency' \(imported by 'half_installed'\)"):
        require("half_installed", install="pip install half-installed", purpose="This")
    sys.modules.pop("half_installed", None)


def test_a_package_that_is_broken_in_another_way_fails_with_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_part.py").write_text("raise ZeroDivisionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        require("broken_part", install="-", purpose="This")
