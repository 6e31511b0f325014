from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import inpars_plus.lms as lms


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(lms.__path__)))
def test_every_module_declares_what_is_public(name: str) -> None:
    module = importlib.import_module(f"inpars_plus.lms.{name}")
    assert module.__doc__
    assert all(hasattr(module, public) for public in module.__all__)


def test_every_public_name_of_the_folder_can_be_had() -> None:
    assert len(set(lms.__all__)) == len(lms.__all__)
    assert set(lms.__all__) == set(lms._HOMES)
    for name in lms.__all__:
        assert getattr(lms, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = lms.nothing


def test_making_an_adapter_and_a_scripted_model_imports_no_engine_and_no_torch() -> None:
    script = (
        "import sys, json\n"
        "from inpars_plus.lms import adapter_for, load_lm, scripted_lm, usage_of\n"
        "adapter_for(scripted_lm(['x']))\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    assert not imported & {"torch", "faiss", "sentence_transformers", "transformers", "openvino", "bm25s", "litellm"}
