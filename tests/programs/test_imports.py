"""The package stays light: an application that loads a program pays for nothing that only compiling needs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "faiss", "sentence_transformers", "transformers", "openvino", "openvino_genai", "bm25s", "litellm")


def _loaded_after(code: str) -> tuple[list[str], float]:
    script = (
        f"import json, sys, time; start = time.perf_counter(); {code}; seconds = time.perf_counter() - start; "
        f"print(json.dumps([[name for name in {(*HEAVY, 'dspy')!r} if name in sys.modules], seconds]))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, seconds = json.loads(result.stdout)
    return loaded, seconds


def test_importing_the_package_takes_under_a_second_and_loads_nothing_heavy() -> None:
    runs = [_loaded_after("import inpars_plus.programs") for _ in range(3)]
    assert [loaded for loaded, _ in runs] == [[], [], []]
    assert min(seconds for _, seconds in runs) <= 1.0


def test_the_store_itself_waits_with_dspy_until_a_program_is_loaded() -> None:
    loaded, _ = _loaded_after("from inpars_plus.programs import load_program, list_programs, ProgramCard")
    assert loaded == []


def test_a_program_brings_dspy_and_still_nothing_heavy() -> None:
    loaded, _ = _loaded_after("from inpars_plus.programs import QueryGenerator, DocumentAnalyst; QueryGenerator()")
    assert loaded == ["dspy"]
