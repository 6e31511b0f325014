from __future__ import annotations

import importlib
import pkgutil

import pytest

import inpars_plus.retrieval


def test_every_public_name_of_the_folder_exists():
    for name in inpars_plus.retrieval.__all__:
        assert getattr(inpars_plus.retrieval, name) is not None
    assert set(dir(inpars_plus.retrieval)) == set(inpars_plus.retrieval.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = inpars_plus.retrieval.nothing


def test_every_module_says_which_names_are_public():
    for module in pkgutil.iter_modules(inpars_plus.retrieval.__path__):
        loaded = importlib.import_module(f"inpars_plus.retrieval.{module.name}")
        assert all(hasattr(loaded, name) for name in loaded.__all__)
        assert loaded.__doc__
