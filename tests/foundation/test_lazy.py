"""Names of packages that are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from inpars_plus.foundation.lazy import lazy_attributes


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package with one lazy name, on the path and imported."""
    folder = tmp_path / "lazy_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("__all__ = ['late', 'early']\nearly = 1\n")
    (folder / "home.py").write_text("late = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("lazy_package")
    module.__getattr__, module.__dir__ = lazy_attributes("lazy_package", {"late": "home"})  # type: ignore[method-assign]
    yield module
    for name in ("lazy_package", "lazy_package.home"):
        sys.modules.pop(name, None)


def test_a_name_is_imported_when_it_is_asked_for(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lazy_package.home" not in sys.modules
    assert (package.early, package.late) == (1, 2)
    monkeypatch.setattr(sys.modules["lazy_package.home"], "late", 3)
    assert package.late == 3


def test_the_public_names_are_listed_and_another_is_an_attribute_error(package: ModuleType) -> None:
    assert dir(package) == ["early", "late"]
    with pytest.raises(AttributeError, match="module 'lazy_package' has no attribute 'nothing'"):
        _ = package.nothing
