"""The examples of the documentation run as they stand, each in a directory of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "programs.md"
_BLOCK = re.compile(r"^## (?P<heading>.+?)$(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(code, id=f"{part['heading'].strip()}-{number}")
    for part in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    for number, code in enumerate(_PYTHON.findall(part["body"]), start=1)
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_as_it_stands(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INPARS_PLUS_CACHE", str(tmp_path / "cache"))
    exec(compile(code, f"an example of {PAGE.name}", "exec"), {"__name__": "__main__"})


def test_no_block_of_the_page_is_passed_over() -> None:
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(EXAMPLES) > 0
