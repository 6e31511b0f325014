"""Every Python example of ``docs/programs.md`` runs as it stands, in a directory of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "programs.md"


def _examples() -> list[tuple[str, str]]:
    """Each heading with the code of its blocks, which build on one another."""
    sections = re.split(r"^## +", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = []
    for section in sections:
        heading, _, body = section.partition("\n")
        blocks = re.findall(r"^```python\n(.*?)^```", body, flags=re.MULTILINE | re.DOTALL)
        found.append((heading.strip(), "\n".join(blocks)))
    return found


EXAMPLES = _examples()


def test_every_heading_has_an_example() -> None:
    assert EXAMPLES
    assert [heading for heading, code in EXAMPLES if not code.strip()] == []


@pytest.mark.parametrize(("heading", "code"), EXAMPLES, ids=[heading for heading, _ in EXAMPLES])
def test_an_example_runs_as_it_stands(heading: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"{PAGE.name}: {heading}", "exec"), {"__name__": "example"})
