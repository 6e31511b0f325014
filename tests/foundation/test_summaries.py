from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inpars_plus.foundation.summaries import LmUsage, Summary, measured, peak_memory_mb, write_summary


def test_an_empty_summary_has_exactly_the_agreed_shape(tmp_path: Path) -> None:
    path = write_summary(tmp_path, Summary())
    assert path == tmp_path / "summary.json"
    assert json.loads(path.read_text()) == {
        "settings": {},
        "seed": 0,
        "hashes": {},
        "seconds": 0.0,
        "peak_memory_mb": 0,
        "lm": {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": None},
        "results": {},
    }


def test_a_summary_holds_numpy_results_and_no_secret(tmp_path: Path) -> None:
    summary = Summary(settings={"lm": {"api_key": "sk-something", "seed": 3}}, results={"score": np.float32(0.25)})
    content = json.loads(write_summary(tmp_path, summary).read_text())
    assert content["settings"] == {"lm": {"api_key": "[hidden]", "seed": 3}}
    assert content["results"] == {"score": 0.25}


def test_usage_adds_up_and_an_unknown_cost_does_not_hide_a_known_one() -> None:
    local = LmUsage(calls=2, prompt_tokens=10, completion_tokens=3, seconds=1.5)
    hosted = LmUsage(calls=1, prompt_tokens=5, completion_tokens=1, cost_usd=0.25, seconds=0.5)
    assert local + hosted == LmUsage(calls=3, prompt_tokens=15, completion_tokens=4, cost_usd=0.25, seconds=2.0)
    assert (local + local).cost_usd is None


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        Summary.model_validate({"tokens": 1})


def test_the_peak_of_memory_counts_what_was_held_and_children() -> None:
    code = "from inpars_plus.foundation.summaries import peak_memory_mb as p; {}; print(p())"

    def peak(statement: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code.format(statement)], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    own = peak("x = bytearray(300 << 20); del x")
    child = peak(
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(300 << 20)'], check=True)"
    )
    assert 300 < own < 500
    assert 300 < child < 500
    assert peak_memory_mb() > 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its own peak")
def test_what_the_parent_held_is_not_counted() -> None:
    code = "from inpars_plus.foundation.summaries import peak_memory_mb as p; print(p())"
    child = f"subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    large = f"import subprocess, sys; x = bytearray(300 << 20); {child}"
    done = subprocess.run([sys.executable, "-c", large], capture_output=True, text=True, check=True)
    assert 5 < int(done.stdout) < 200


def test_a_process_tells_how_long_it_worked_and_what_it_held() -> None:
    found = measured(time.monotonic() - 2.0, settings={"pairs": 3}, seed=1, results={})
    assert found.seconds >= 2.0
    assert found.peak_memory_mb > 5
    assert (found.settings, found.seed) == ({"pairs": 3}, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_pages_of_files_are_not_the_own_memory_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(64 * 2**20))
    code = f"""
import mmap
from inpars_plus.foundation.summaries import own_memory_mb
own_memory_mb()
with open({str(tmp_path / "file")!r}, "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
before = own_memory_mb()
assert sum(pages[at] for at in range(0, 64 * 2**20, mmap.PAGESIZE)) == 0
read = own_memory_mb()
held = bytearray(b"x") * (64 * 2**20)
print(before, read, own_memory_mb())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, read, held = map(int, done.stdout.split())
    assert read == pytest.approx(before, abs=8)
    assert held == pytest.approx(before + 64, abs=8)
