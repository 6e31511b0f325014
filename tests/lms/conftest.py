"""What the tests of language models share: signatures, a loopback server, the embedded model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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


@pytest.fixture(scope="session")
def loopback() -> ModuleType:
    """The module ``loopback`` beside this file: tests are not a package."""
    path = Path(__file__).with_name("loopback.py")
    spec = importlib.util.spec_from_file_location("inpars_plus_loopback", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def embedded() -> EngineLM:
    """The embedded model with an engine of its own; the weights are loaded once a process."""
    return load_lm("embedded")
