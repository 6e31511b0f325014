from __future__ import annotations

import copy
import sys
import textwrap

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval import Ranking, build_retriever, ranks_of_sources

ENGINE = """
from inpars_plus.retrieval import Ranking

class Engine:
    def __init__(self, documents):
        self.ids = [document.id for document in documents]
        self.asked = []

    def search(self, queries, k):
        self.asked.extend(queries)
        return [Ranking(tuple(self.ids[:k]), tuple(-float(n) for n in range(len(self.ids[:k])))) for _ in queries]

def build(documents):
    return Engine(documents)

def broken(documents):
    raise OSError("the server is down")

def nothing(documents):
    return None

def whole_class(documents):
    return Engine

number = 3

class Returning:
    def __init__(self, result):
        self.search = lambda queries, k: result

def short(documents): return Returning([])
def none(documents): return Returning(None)
def text(documents): return Returning("abc")
def pairs(documents): return Returning([[("a", 1.0)]])
def too_many(documents): return Returning([Ranking(("a", "b", "c"), (3.0, 2.0, 1.0))])
def numbers(documents): return Returning([Ranking((1, 2), (3.0, 2.0))])
"""


@pytest.fixture(autouse=True)
def _engine_module(tmp_path, monkeypatch):
    (tmp_path / "my_engine.py").write_text(textwrap.dedent(ENGINE))
    (tmp_path / "my_broken_engine.py").write_text("import a_package_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_engine", None)


def test_a_module_in_the_working_directory_is_found_and_gets_the_documents(documents):
    path = list(sys.path)
    retriever = build_retriever("my_engine:build", documents)
    assert retriever.search(["q"], 2) == [Ranking(("cells", "bees"), (-0.0, -1.0))]
    assert ranks_of_sources(retriever, ["q", "q"], ["bees", "chess"], 3) == [2, None]
    assert sys.path == path


def test_empty_queries_are_not_passed_on(documents):
    retriever = build_retriever("my_engine:build", documents)
    rankings = retriever.search(["", "q", "  "], 1)
    assert [len(ranking) for ranking in rankings] == [0, 1, 0]
    assert retriever._retriever.asked == ["q"]


def test_a_deep_copy_is_the_retriever_itself(documents):
    retriever = build_retriever("my_engine:build", documents)
    assert copy.deepcopy(retriever) is retriever


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_here:build", r"the module 'no_such_module_here' cannot be imported \(ModuleNotFoundError"),
        ("my_broken_engine:build", "a_package_that_nobody_has"),
        ("my_engine:missing", "the module 'my_engine' has no 'missing'"),
        ("my_engine:number", "has no function 'number'"),
        ("my_engine:broken", r"'broken' failed for 8 documents \(OSError: the server is down\)"),
        ("my_engine:nothing", "'nothing' returned None without a search method"),
        ("my_engine:whole_class", "'whole_class' returned the class Engine without a search method"),
        ("my engine:build", "not of the form package.module:factory"),
        ("my_engine:", "not of the form package.module:factory"),
        (":build", "not of the form package.module:factory"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(documents, name, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        build_retriever(name, documents)
    assert f"retriever '{name}'" in str(caught.value)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("short", "returned 0 rankings for 1 queries"),
        ("none", "returned None instead of a list"),
        ("text", "returned a str instead of a list"),
        ("pairs", "a list with a list in it instead of a Ranking"),
        ("too_many", "returned 3 documents for a query when 2 were asked for"),
        ("numbers", "a document id that is not a string"),
    ],
)
def test_a_wrong_result_of_a_search_is_said_in_a_sentence(documents, factory, message):
    retriever = build_retriever(f"my_engine:{factory}", documents)
    with pytest.raises(ConfigurationError, match=message) as caught:
        retriever.search(["q"], 2)
    assert "search(queries: Sequence[str], k: int) -> list[Ranking]" in str(caught.value)
