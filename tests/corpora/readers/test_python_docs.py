from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inpars_plus.corpora import open_corpus
from inpars_plus.corpora.readers import ReadingOptions
from inpars_plus.corpora.readers.python_docs import read_python_docs
from inpars_plus.foundation.errors import CorpusError

LONG = "This sentence stands here to make the docstring as long as it has to be. " * 3


def _documents(library: Path) -> dict[str, str]:
    return {record.document.id: record.place for record in read_python_docs(ReadingOptions(), library=library)}


@pytest.mark.slow
def test_the_standard_library_is_a_corpus_of_its_own():
    corpus = open_corpus("python-docs")
    documents = {document.id: document for document in corpus}
    assert 1200 < len(corpus) < 3000
    assert corpus.types() == {"api-reference": len(corpus)}
    assert list(documents) == sorted(documents)
    assert documents["textwrap.wrap"].title == "textwrap.wrap"
    assert documents["textwrap.wrap"].text.startswith(
        "Wrap a single paragraph of text, returning a list of wrapped lines."
    )
    assert all(len(document.text) >= 200 for document in documents.values())
    assert {"collections.abc.Set", "decimal.Decimal.fma", "io.FileIO.seek", "json"} <= set(documents)
    parts = {part for name in documents for part in name.split(".")}
    assert not [part for part in parts if part.startswith("_")]
    assert not parts & {"idlelib", "turtledemo", "lib2to3"}


def test_another_type_may_be_given():
    assert set(open_corpus("python-docs:docs").types()) == {"docs"}


@pytest.mark.slow
def test_nothing_is_imported():
    code = (
        "import sys; from inpars_plus.corpora import open_corpus; before = set(sys.modules); "
        "open_corpus('python-docs'); sys.exit('tkinter' in sys.modules or 'antigravity' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_definitions_of_all_depths_are_read_and_private_ones_are_not(tmp_path: Path):
    doc = f'"""{LONG}"""'
    (tmp_path / "mod.py").write_text(
        f"{doc}\n"
        f"class A:\n    {doc}\n    def m(self):\n        {doc}\n        def inner(): {doc}\n"
        f"    def _private(self): {doc}\n    def __init__(self): {doc}\n"
        f"class _B:\n    {doc}\n    def m(self): {doc}\n"
        f"try:\n    import x\nexcept ImportError:\n    async def f(): {doc}\n"
        f"if True:\n    def g(): {doc}\nelse:\n    def g(): {doc}\n"
        f"def short(): 'Short.'\n"
    )
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text(doc)
    (tmp_path / "pkg" / "tests").mkdir()
    (tmp_path / "pkg" / "tests" / "test_x.py").write_text(doc)
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "other.py").write_text(doc)
    (tmp_path / "_hidden.py").write_text(doc)
    (tmp_path / "_pydecimal.py").write_text(f"class Decimal:\n    {doc}\n")
    (tmp_path / "broken.py").write_text("def (")
    documents = _documents(tmp_path)
    assert list(documents) == ["decimal.Decimal", "mod", "mod.A", "mod.A.m", "mod.f", "mod.g", "pkg"]
    assert documents["mod.A.m"] == f"{tmp_path / 'mod.py'}, line 4"
    assert documents["mod.g"] == f"{tmp_path / 'mod.py'}, line 17"


def test_docstrings_are_cleaned_of_their_indentation(tmp_path: Path):
    (tmp_path / "mod.py").write_text(f'def f():\n    """Head.\n\n        {LONG}\n    Tail.\n    """\n')
    (record,) = read_python_docs(ReadingOptions(), library=tmp_path)
    assert record.document.text == f"Head.\n\n    {LONG}\nTail."


def test_a_python_without_sources_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"without the source.*or give a corpus of your own"):
        _documents(tmp_path)
