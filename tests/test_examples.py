"""The examples of ``docs/programs.md`` run, and print what the page says they print."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inpars_plus.lms import CompletionScore
from inpars_plus.lms.scripted import scripted_lm
from inpars_plus.programs import REGISTRY
from inpars_plus.retrieval.hashing import HashingEncoder

README = Path(__file__).resolve().parent.parent / "README.md"
PAGE = README.parent / "docs" / "programs.md"


class Example(NamedTuple):
    heading: str
    code: str
    printed: str


def _examples() -> list[Example]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading = section.partition("\n")[0].strip()
        for code, printed in re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", section, re.DOTALL):
            found.append(Example(heading, code, printed))
    return found


def _after(prompt: str, field: str) -> str:
    return prompt.rpartition(f"[[ ## {field} ## ]]\n")[2].partition("\n\n")[0]


def _worth(passage: str) -> int:
    return 3 if "seal" in passage else 1 if "pump" in passage else 0


def _compare(prompt: str) -> str:
    first, second = (_worth(_after(prompt, f"{place}_passage")) for place in ("first", "second"))
    return json.dumps({"preference": {"better": "first" if first > second else "second" if second > first else "tie"}})


def _query(prompt: str) -> str:
    return "how do I stop water dripping from a pump"


_LABELS = {
    "doc_type": "manual",
    "domain": "engineering",
    "topics": ["pumps"],
    "complexity": "introductory",
    "audience": "practitioners",
}


def _adapt(prompt: str) -> str:
    if "[[ ## diagnosis ## ]]" in prompt:
        return json.dumps({"reasoning": "Name it.", "revision": "Write a question about the fault that is named."})
    diagnosis = {"patterns": ["No detail is named."], "missed_aspects": ["error 7"]}
    return json.dumps({"reasoning": "Too general.", "diagnosis": diagnosis})


REPLIES: Mapping[str, Callable[[str], str]] = {
    "QueryGenerator": _query,
    "PassageQueryGenerator": _query,
    "SentenceQueryGenerator": _query,
    "ConstrainedQueryGenerator": lambda prompt: "dripping pumps and what stops them",
    "DocumentAnalyst": lambda prompt: json.dumps({"analysis": _LABELS}),
    "AdaptiveQueryGenerator": lambda prompt: (
        json.dumps({"analysis": _LABELS}) if "document_types" in prompt else _query(prompt)
    ),
    "InstructionAdapter": _adapt,
    "PointwiseReranker": lambda prompt: json.dumps({"judgment": {"grade": _worth(_after(prompt, "passage"))}}),
    "PairwiseReranker": _compare,
    "ListwiseReranker": lambda prompt: "[3] > [2]",
    "QueryExpander": lambda prompt: json.dumps(
        {"expansion": {"terms": ["gasket"], "rephrasings": ["why a gasket drips"]}}
    ),
    "HypotheticalPassageWriter": lambda prompt: json.dumps(
        {"passage": {"text": "It leaks because its gasket is worn."}}
    ),
}
"""What the model says under each heading."""

SCORED = {"LikelihoodReranker", "TypeRouter"}
"""Headings under which nothing is said."""


class Guesser:
    """Finds a query likelier behind a passage that answers it."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        return [CompletionScore((_worth(prompt) - 9.0,)) for prompt, _ in pairs]


ENCODED = "TypeRouter"
"""The heading under which the real encoder is asked, since what is printed there is its own."""


@pytest.mark.parametrize(
    "example",
    [pytest.param(one, marks=[pytest.mark.model] * (one.heading == ENCODED), id=one.heading) for one in _examples()],
)
def test_an_example_prints_what_the_page_says(
    example: Example, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(name: str, **settings: Any) -> Any:
        return scripted_lm(REPLIES[example.heading], name=name)

    monkeypatch.setattr("inpars_plus.lms.names.load_lm", load)
    monkeypatch.setattr("inpars_plus.lms.scoring.load_scorer", lambda name: Guesser())
    if example.heading != ENCODED:
        monkeypatch.setattr("inpars_plus.retrieval.encoders.load_encoder", HashingEncoder)
    exec(compile(example.code, f"{PAGE.name}, {example.heading}", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == example.printed


def test_every_block_of_the_page_is_an_example_of_ten_lines_at_most() -> None:
    examples = _examples()
    assert len(examples) == PAGE.read_text(encoding="utf-8").count("```python")
    assert {one.heading for one in examples} == set(REPLIES) | SCORED
    lines = {one.heading: sum(bool(line.strip()) for line in one.code.splitlines()) for one in examples}
    assert {heading: count for heading, count in lines.items() if count > 10} == {}


def test_every_program_that_can_be_saved_has_an_example_and_stands_in_the_readme() -> None:
    headings = {one.heading for one in _examples()}
    assert set(REGISTRY) <= headings
    linked = set(re.findall(r"docs/programs\.md#(\w+)", README.read_text(encoding="utf-8")))
    assert linked == {heading.lower() for heading in headings}
