"""What the tests of language models share: signatures, the embedded model."""

from __future__ import annotations

import dspy
import pytest

from inpars_plus.lms import EngineLM, load_lm


class WriteQuery(dspy.Signature):
    """Write a search query for the document."""

    document: str = dspy.InputField()
    key_terms: list[str] = dspy.InputField()
    query: str = dspy.OutputField()


@pytest.fixture
def write_query() -> type[dspy.Signature]:
    """A signature with one text as its output."""
    return WriteQuery


@pytest.fixture
def embedded() -> EngineLM:
    """The embedded model with an engine of its own; the weights are loaded once a process."""
    return load_lm("embedded")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between attempts are noted instead of slept."""
    waits: list[float] = []
    monkeypatch.setattr("dspy.clients.execution.time.sleep", waits.append)
    return waits
