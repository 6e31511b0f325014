"""What a query asks for: a sentence of a document, or the document with a constraint on its metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Ledger
from inpars_plus.experiments.generate_queries import RECORD, generate_queries
from inpars_plus.foundation import ConfigurationError
from inpars_plus.programs import ConstrainedQueryGenerator, SentenceQueryGenerator


def test_queries_are_about_sentences_or_state_constraints_where_that_is_asked_for(
    compiled: Path, corpus: Path, tagged: Path, tmp_path: Path, small: Any
) -> None:
    out = tmp_path / "sentences"
    world = small.World()
    generate_queries(small.generate_settings(corpus, compiled, out, limit=10, granularity="sentence"), **world.parts)
    shown = [prompt.rpartition("Document: ")[2].splitlines()[0] for prompt in world.models[0].engine.prompts]
    assert shown
    assert not any("worn seal" in one and "no other care" in one for one in shown)
    with pytest.raises(ConfigurationError, match="another granularity: sentence, not document"):
        generate_queries(small.generate_settings(corpus, compiled, out, limit=10), **small.World().parts)

    out = tmp_path / "constraints"
    generate_queries(small.generate_settings(tagged, compiled, out, granularity="constraint"), **small.World().parts)
    entries = list(Ledger(out / "ledger.jsonl").entries())
    for entry in entries:
        stated = f"Plant {'AB'[int(entry.document_id.removeprefix('manual-')) % 2]} article about"
        assert entry.candidate.startswith(stated) or not entry.accepted
    assert any(entry.accepted for entry in entries)
    assert len({entry.document_id for entry in entries}) == 10


@pytest.fixture
def tagged(tmp_path: Path, small: Any) -> Path:
    """Documents of two sources."""
    rows = [{**small.row(number), "metadata": {"source": f"Plant {'AB'[number % 2]}"}} for number in range(10)]
    (tmp_path / "tagged.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    return tmp_path / "tagged.jsonl"


@pytest.mark.parametrize("asked", [{}, {"granularity": "constraint"}])
def test_a_program_for_constraints_knows_every_name_of_the_corpus_whether_or_not_its_kind_is_named(
    compiled_as: Any, tagged: Path, tmp_path: Path, small: Any, asked: dict[str, Any]
) -> None:
    def boast(prompt: str) -> str:
        return f"{small.write_candidate(prompt)} by night, from Plant {'BA'['Plant B article' in prompt[-80:]]}"

    program = compiled_as(ConstrainedQueryGenerator)
    out = tmp_path / "out"
    generate_queries(small.generate_settings(tagged, program, out, **asked), **small.World(replies=boast).parts)
    entries = list(Ledger(out / "ledger.jsonl").entries())
    assert len({entry.document_id for entry in entries}) == 10
    assert not any(entry.accepted for entry in entries)
    assert "constraint_not_met" in {entry.reason for entry in entries}
    assert json.loads((out / RECORD).read_text())["made_with"]["granularity"] == "constraint"


def test_a_program_for_sentences_writes_about_documents_only_where_that_is_asked_for(
    compiled_as: Any, corpus: Path, tmp_path: Path, small: Any
) -> None:
    program = compiled_as(SentenceQueryGenerator)
    shown = {}
    for kind, asked in (("sentence", {}), ("document", {"granularity": "document"})):
        world, out = small.World(), tmp_path / kind
        generate_queries(small.generate_settings(corpus, program, out, limit=5, **asked), **world.parts)
        assert json.loads((out / RECORD).read_text())["made_with"]["granularity"] == kind
        last = [prompt.rpartition("Document: ")[2].splitlines()[0] for prompt in world.models[0].engine.prompts]
        shown[kind] = any("worn seal" in one and "no other care" in one for one in last)
    assert shown == {"sentence": False, "document": True}
