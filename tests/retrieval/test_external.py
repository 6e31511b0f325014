from __future__ import annotations

import copy
import sys
import textwrap

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval import Ranking, build_retriever, ranks_of_sources
from inpars_plus.retrieval.external import CheckedRetriever, retriever_key
from inpars_plus.retrieval.filtered import MetadataFilter

ENGINE = """
import numpy

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

class Failing:
    def search(self, queries, k):
        raise ConnectionError("nobody answers at 10.0.0.1")

def failing(documents): return Failing()
def unknown(documents): return Returning([Ranking(("nope",), (1.0,))])
def twice(documents): return Returning([Ranking(("bees", "bees"), (1.0, 1.0))])
def no_score(documents): return Returning([Ranking(("bees",), (None,))])
def not_a_number(documents): return Returning([Ranking(("bees",), (float("nan"),))])
def rising(documents): return Returning([Ranking(("cells", "bees"), (1.0, 2.0))])
def short(documents): return Returning([])
def none(documents): return Returning(None)
def text(documents): return Returning("abc")
def pairs(documents): return Returning([[("a", 1.0)]])
def too_many(documents): return Returning([Ranking(("a", "b", "c"), (3.0, 2.0, 1.0))])
def small_floats(documents): return Returning([Ranking(("cells", "bees"), tuple(numpy.array([2, 2], "float32")))])
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
        ("unknown", "the id 'nope', which no document of the corpus has"),
        ("twice", "the document 'bees' twice for one query"),
        ("no_score", "the score None for the document 'bees', not a finite number"),
        ("not_a_number", "the score nan for the document 'bees', not a finite number"),
        ("rising", "the document 'bees' with a better score than the one ranked before it"),
    ],
)
def test_a_wrong_result_of_a_search_is_said_in_a_sentence(documents, factory, message):
    retriever = build_retriever(f"my_engine:{factory}", documents)
    with pytest.raises(ConfigurationError, match=message) as caught:
        retriever.search(["q"], 2)
    assert "search(queries: Sequence[str], k: int) -> list[Ranking]" in str(caught.value)


def test_equal_scores_of_numpy_pass(documents):
    (ranking,) = build_retriever("my_engine:small_floats", documents).search(["q"], 2)
    assert ranking.ids == ("cells", "bees")


def test_a_search_that_fails_is_said_with_the_name_of_the_retriever_and_what_is_kept(documents):
    retriever = build_retriever("my_engine:failing", documents)
    with pytest.raises(ConfigurationError) as caught:
        retriever.search(["q", ""], 2)
    assert caught.value.place == "retriever 'my_engine:failing'"
    assert caught.value.message == "search failed for 1 queries (ConnectionError: nobody answers at 10.0.0.1)"
    assert "what is finished is kept" in str(caught.value)


def test_steps_depend_on_the_digest_that_a_factory_states():
    assert [retriever_key(name) for name in ("bm25", "hybrid:0.7")] == ["bm25", "hybrid:0.7"]
    assert retriever_key("my_engine:build") == "my_engine:build"
    sys.modules["my_engine"].build.digest = "3"
    assert retriever_key("my_engine:build") == "my_engine:build, digest 3"
    sys.modules["my_engine"].build.digest = 3
    with pytest.raises(ConfigurationError, match="the digest of the factory is not a string"):
        retriever_key("my_engine:build")


class Listing:
    """An engine of somebody who read no contract."""

    def __init__(self, result):
        self.result = result

    def search(self, queries, k):
        return [self.result for _ in queries]


def test_an_engine_that_is_given_as_an_object_searches_behind_the_same_checks(documents):
    found = build_retriever(Listing(Ranking(("bees",), (1.0,))), documents)
    assert [one.ids for one in found.search(["q", ""], 2)] == [("bees",), ()]
    with pytest.raises(ConfigurationError, match=r"retriever 'Listing': search returned the id 'nope', which no"):
        build_retriever(Listing(Ranking(("nope",), (1.0,))), documents).search(["q"], 2)
    with pytest.raises(ConfigurationError, match=r"retriever 'Listing': .* a list with a list in it"):
        build_retriever(Listing(["bees"]), documents).search(["q"], 2)


def test_an_engine_that_says_that_its_searches_are_paid_for_says_so_behind_the_checks(documents):
    class Paid(Listing):
        asks_model = True

    with pytest.raises(ConfigurationError, match="would ask its model again"):
        MetadataFilter(CheckedRetriever(Paid(Ranking((), ())), "paid", None), documents)


@pytest.mark.parametrize(("engine", "told"), [(Listing, "the class Listing"), (3, "an int"), (None, "None")])
def test_an_object_that_cannot_search_is_refused(documents, engine, told):
    with pytest.raises(ConfigurationError, match=rf"retriever: {told} has no search method\. It needs a method search"):
        build_retriever(engine, documents)


def test_a_retriever_that_was_built_is_given_back_as_it_is(documents, tmp_path):
    built = build_retriever("bm25", documents, cache_directory=tmp_path)
    assert build_retriever(built, documents) is built
