"""Training in several processes ends as training in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from inpars_plus.foundation.errors import ConfigurationError, RunError
from inpars_plus.foundation.files import read_lines
from inpars_plus.optimizers.generators.fitting import ADAPTER_FILE, TrainingTask, adapted_model
from inpars_plus.optimizers.generators.models import LoraSettings
from inpars_plus.optimizers.generators.pairs import PreferencePair
from inpars_plus.optimizers.generators.processes import fit, processes_for
from inpars_plus.optimizers.generators.trainer import TrainSettings

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

MakePairs = Callable[[int], list[PreferencePair]]
MakeTask = Callable[..., TrainingTask]


@pytest.fixture(scope="module")
def saved(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in Hugging Face's form."""
    directory = tmp_path_factory.mktemp("tiny")
    tiny.model().save_pretrained(directory)
    tiny.tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture
def make_task(saved: Path, make_pairs: MakePairs, tmp_path: Path) -> MakeTask:
    """A training whose documents differ in pairs and tokens; its last step has one document alone."""

    def make(name: str, **settings: Any) -> TrainingTask:
        pairs = [
            one.model_copy(update={"chosen": one.chosen + " again" * (at % 4), "prompt": make_pairs(9)[at % 9].prompt})
            for at, one in enumerate(make_pairs(13))
        ]
        return TrainingTask(
            base=str(saved),
            pairs=tuple(pairs),
            settings=TrainSettings(**{"learning_rate": 1e-2, "documents_per_step": 4, "max_nodes": 200, **settings}),
            lora=LoraSettings(rank=4),
            seed=1,
            directory=tmp_path / name / "training",
            adapter=tmp_path / name / "adapter",
            prompts=tuple(one.prompt for one in make_pairs(3)),
        )

    return make


def test_there_is_a_process_for_each_gpu_and_none_without_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, expected in ((0, 1), (1, 1), (2, 2), (16, 8)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert processes_for(TrainSettings(documents_per_step=8)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True], ids=["single precision", "bfloat16"])
def test_two_processes_end_with_the_weights_of_one(
    bfloat16: bool, make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that prints while it starts has sent no message, and is heard all the same.
    (tmp_path / "sitecustomize.py").write_text(
        "print('{half a line', flush=True)\nprint(3, flush=True)\n"
        f"import torch\ntorch.cpu._is_avx512_bf16_supported = lambda: {bfloat16}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    asked: list[list[str]] = []
    found = {}
    for processes in (1, 2):
        rewards = iter([0.1, 0.9, 0.5, 0.4, 0.3])

        def judge(texts: list[str], rewards: Any = rewards) -> float:
            asked.append(texts)
            return next(rewards)

        task = make_task(str(processes), validate_every=1, patience=2, epochs=3, checkpoint_every=1)
        _, model, trained = fit(task, judge, processes=processes)
        lines = [line for _, line in read_lines(task.directory / "train.jsonl")]
        found[processes] = (trained, load_file(task.adapter / ADAPTER_FILE), lines, model)
    one, two = found[1], found[2]
    assert two[0] == one[0]
    assert (one[0].steps, one[0].best_step, one[0].stopped_early) == (4, 2, True)
    assert len(asked) == 8
    assert {len(texts) for texts in asked} == {3}
    # A gradient's sum is cut otherwise, and so rounds otherwise: in bfloat16 by a hundredth of it, and what is near 0
    # then moves to either side. With five seeds that was .11 of how far lora_A moved at most, and .03 of lora_B; where
    # each process keeps to its own documents' gradient of lora_A, it is .26.
    near = 2e-2 if bfloat16 else 1e-4
    fresh = get_peft_model_state_dict(adapted_model(task, None)[1])
    for part, most in (("lora_A", 0.18), ("lora_B", 0.1)):
        moved = distance(one[1], fresh, part)
        assert distance(one[1], two[1], part) <= (most if bfloat16 else 1e-4) * moved, part
    for name, value in one[1].items():
        assert bfloat16 or torch.allclose(value, two[1][name], atol=1e-4), name
        assert "lora_A" in name or bool(value.any())
    for mine, theirs in zip(one[2], two[2], strict=True):
        assert theirs["reward"] == mine["reward"]
        assert theirs["loss"] == pytest.approx(mine["loss"], abs=near)
        assert theirs["gradient"] == pytest.approx(mine["gradient"], rel=0.1 if bfloat16 else 1e-3)
        assert theirs["kl"] == pytest.approx(mine["kl"], abs=1e-4)
    tokens = torch.tensor([[1, 2, 3]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        assert (one[3](tokens).logits - two[3](tokens).logits).abs().max() <= (0.05 if bfloat16 else 1e-3)


def distance(adapter: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str) -> float:
    """How far the weights of a part are from each other, as one vector."""
    apart = [(value - other[name]).flatten() for name, value in adapter.items() if part in name]
    return float(torch.linalg.vector_norm(torch.cat(apart)))


@pytest.mark.slow
def test_what_is_wrong_in_a_process_is_told_by_the_job(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task("none").model_copy(update={"base": str(tmp_path / "nothing")})
    with pytest.raises(ConfigurationError, match=r"no local language model '.*nothing'.*Name one of"):
        fit(task, lambda texts: 0.0, processes=2)


@pytest.mark.slow
@on_linux
def test_a_process_that_dies_ends_the_training_with_a_sentence_and_the_others(make_task: MakeTask) -> None:
    def judge(texts: list[str]) -> float:
        os.kill(max(children(os.getpid()) - before), signal.SIGKILL)
        return 0.5

    before = children(os.getpid())
    with pytest.raises(RunError, match=r"process 2 of 2 of the training ended with code -9 .*Run the same command"):
        fit(make_task("killed", validate_every=1), judge, processes=2)
    assert children(os.getpid()) == before


@pytest.mark.slow
@on_linux
def test_the_processes_end_with_the_job_that_started_them(make_task: MakeTask, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(make_task("orphans", validate_every=1).model_dump_json())
    code = (
        "import sys, time; from pathlib import Path; "
        "from inpars_plus.optimizers.generators.fitting import TrainingTask; "
        "from inpars_plus.optimizers.generators.processes import fit; "
        "task = TrainingTask.model_validate_json(Path(sys.argv[1]).read_text()); "
        "fit(task, lambda texts: print('asked', flush=True) or time.sleep(600), processes=2)"
    )
    job = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "task.json")], stdout=subprocess.PIPE, text=True)
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == "asked\n"
        workers = children(job.pid)
        assert len(workers) == 2
    finally:
        job.kill()
        job.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "they live on"
        time.sleep(0.1)


def children(parent: int) -> set[int]:
    """Processes that a process started and that are not only waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        state = _state(int(path.parent.name))
        if state is not None and state[1] == parent and state[0] != "Z":
            found.add(int(path.parent.name))
    return found


def alive(process: int) -> bool:
    state = _state(process)
    return state is not None and state[0] != "Z"


def _state(process: int) -> tuple[str, int] | None:
    """The state of a process and its parent."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent, *_ = told.rpartition(") ")[2].split()
    return state, int(parent)
