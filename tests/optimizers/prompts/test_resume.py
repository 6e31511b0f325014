from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from inpars_plus.optimizers.prompts import OPTIMIZERS

THREADS = 4

SCRIPT = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ToyModel, make_toy
from inpars_plus.lms import ReplyStore
from inpars_plus.optimizers.prompts import compile_program

out, optimizer = Path(sys.argv[2]), sys.argv[3]
pause = lambda number, prompt: time.sleep(0.002)
engine = ToyModel(log=str(out / "asked.jsonl"), fault=pause, store=ReplyStore(out / "replies.sqlite"))
toy = make_toy(engine)
compiled = compile_program(**{**toy.arguments, "threads": 4}, optimizer=optimizer, budget=280, directory=out)
(out / "result.json").write_text(json.dumps({
    "key": compiled.chosen.key, "calls": compiled.calls, "paid": engine.usage.calls, "reused": engine.reused,
    "scores": [trial.score for trial in compiled.trials],
}))
"""


def start(out: Path, optimizer: str) -> subprocess.Popen[bytes]:
    out.mkdir(exist_ok=True)
    here = str(Path(__file__).parent)
    return subprocess.Popen([sys.executable, "-W", "error", "-c", SCRIPT, here, str(out), optimizer], env=os.environ)


def asked(out: Path) -> list[str]:
    path = out / "asked.jsonl"
    return [json.loads(line)["key"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_compile_killed_twice_goes_on_pays_nothing_twice_and_ends_the_same(tmp_path: Path, optimizer: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, optimizer).wait(120) == 0
    for at in (60, 150):
        process = start(killed, optimizer)
        while len(asked(killed)) < at and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert start(killed, optimizer).wait(120) == 0

    one, two = (json.loads((out / "result.json").read_text()) for out in (whole, killed))
    assert two["key"] == one["key"]
    assert two["scores"] == one["scores"]
    assert two["calls"] == one["calls"]
    assert two["paid"] < one["paid"] / 2
    # Only what was with the model when the process died may have been asked again.
    repeated = sum(count - 1 for count in Counter(asked(killed)).values())
    assert repeated <= 2 * THREADS
    assert len(set(asked(killed))) == len(set(asked(whole)))
