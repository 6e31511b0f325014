from __future__ import annotations

import importlib
import pkgutil

import pytest

import inpars_plus.retrieval


def test_every_public_name_of_the_folder_exists():
    for name in inpars_plus.retrieval.__all__:
        assert getattr(inpars_plus.retrieval, name) is not None
    assert set(dir(inpars_plus.retrieval)) == set(inpars_plus.retrieval.__all__)


def test_a_stack_is_built_and_loaded_with_the_names_of_the_folder(tmp_path):
    from inpars_plus.corpora import Document
    from inpars_plus.retrieval import RankerSpec, Ranking, Stack, build_stack, load_stack

    documents = [Document(id="1", text="A worn seal lets a pump leak."), Document(id="2", text="Bees make honey.")]
    spec = RankerSpec.model_validate({"name": "plain", "components": [{"kind": "bm25"}]})
    assert isinstance(build_stack(tmp_path / "stack", spec, documents), Stack)
    (found,) = load_stack(tmp_path / "stack").search(["leaking pump"], 1)
    assert isinstance(found, Ranking)
    assert found.ids == ("1",)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = inpars_plus.retrieval.nothing


def test_every_module_says_which_names_are_public():
    for module in pkgutil.iter_modules(inpars_plus.retrieval.__path__):
        loaded = importlib.import_module(f"inpars_plus.retrieval.{module.name}")
        assert all(hasattr(loaded, name) for name in loaded.__all__)
        assert loaded.__doc__
