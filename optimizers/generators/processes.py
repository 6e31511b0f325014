"""Training on several GPUs: a process for each, while everything else of a job stays in one.

The job starts the processes for the training alone and watches them. It keeps what only it has, the judge: the first
process sends what the model wrote for the validation documents, and gets the reward back. A process that dies ends
all of them with a sentence; when the job itself dies, they end too. What they share is in
:mod:`inpars_plus.optimizers.generators.trainer`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch

from inpars_plus.foundation import errors
from inpars_plus.foundation.errors import InParsError, RunError
from inpars_plus.foundation.files import write_text
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.progress import say
from inpars_plus.optimizers.generators.fitting import ADAPTER_FILE, Judge, TrainingTask, adapted_model, fit_here
from inpars_plus.optimizers.generators.models import BaseModel
from inpars_plus.optimizers.generators.trainer import Trained, TrainSettings

__all__ = ["fit", "processes_for"]

_WORKER = "inpars_plus.optimizers.generators.worker"


def processes_for(settings: TrainSettings) -> int:
    """One for each GPU that is visible, but none that would get no document of a step; 1 without a GPU."""
    return max(1, min(torch.cuda.device_count(), settings.documents_per_step))


def fit(task: TrainingTask, judge: Judge, *, processes: int = 1) -> tuple[BaseModel, Any, Trained]:
    """Train in this process, or in so many others; the weights are the same but for rounding.

    Args:
        task: what.
        judge: asked at validations, always in this process.
        processes: with more than 1, process n has GPU n; without a GPU they share the processor.

    Returns:
        The base model, the same with trained adapters, and what training came to.

    Raises:
        ConfigurationError: there is no such model.
        InputError: a pair is too long.
        RunError: the loss is not a number, something cannot be written or read, or one of the processes died.
    """
    if processes == 1:
        return fit_here(task, judge)
    say(f"Training in {processes} processes")
    with _Workers(task, processes) as workers:
        trained = workers.trained(judge)
    base, model = adapted_model(task, task.adapter / ADAPTER_FILE)
    return base, model, trained


class _Workers:
    """The processes of one training; none of them outlives the ``with`` block.

    Args:
        task: what.
        count: how many.
    """

    def __init__(self, task: TrainingTask, count: int) -> None:
        self._task = task
        self._count = count
        self._processes: list[subprocess.Popen[str]] = []
        self._messages: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="inpars-plus-")
        # They meet at a store of this process, which has its port already, so that nobody can take it meanwhile.
        self._store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
            "127.0.0.1", 0, is_master=True, wait_for_workers=False
        )

    def __enter__(self) -> _Workers:
        task = Path(self._folder.name) / "task.json"
        write_text(task, self._task.model_dump_json())
        shown = logging.getLogger("inpars_plus").isEnabledFor(logging.INFO)
        try:
            for rank in range(self._count):
                with self._log(rank).open("w", encoding="utf-8") as log:
                    process = subprocess.Popen(
                        [sys.executable, "-P", "-m", _WORKER, str(task)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=None if rank == 0 and shown else log,  # one bar is enough
                        env=self._environment(rank),
                        text=True,
                        start_new_session=True,  # Ctrl-C is for the job, which ends them
                    )
                self._processes.append(process)
                threading.Thread(target=self._listen, args=(rank, process.stdout), daemon=True).start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
        self._folder.cleanup()

    def trained(self, judge: Judge) -> Trained:
        """Judge what is sent until all have ended.

        Raises:
            InParsError: what one of them raised, or a RunError when one died.
        """
        trained = None
        left = self._count
        while left:
            rank, message = self._messages.get()
            process = self._processes[rank]
            if message is None:
                left -= 1
                if process.wait():
                    raise self._died(rank, process.returncode)
            elif "error" in message:
                raise _error(message["error"])
            elif "texts" in message:
                reward = judge(message["texts"])
                with contextlib.suppress(BrokenPipeError):  # it died meanwhile, which is the next message
                    process.stdin.write(f"{json.dumps(reward)}\n")  # type: ignore[union-attr]
                    process.stdin.flush()  # type: ignore[union-attr]
            else:
                trained = Trained(**message["trained"])
        if trained is None:
            raise self._died(0, 0)
        return trained

    def _environment(self, rank: int) -> dict[str, str]:
        """What ``torchrun`` would set, as ``accelerate`` reads it."""
        given = {
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(self._count),
            "LOCAL_WORLD_SIZE": str(self._count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self._store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "0",
        }
        if not torch.cuda.is_available():
            given.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self._count)))
        elif not require(
            "accelerate.utils", install="pip install accelerate", purpose="Tuning a generator"
        ).check_cuda_p2p_ib_support():
            given |= {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}  # these cards cannot, and accelerate refuses
        return given

    def _listen(self, rank: int, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                # What a library prints while it loads, or half a line of a process that was killed, is no message.
                with contextlib.suppress(json.JSONDecodeError):
                    if isinstance(message := json.loads(line), dict):
                        self._messages.put((rank, message))
        self._messages.put((rank, None))

    def _log(self, rank: int) -> Path:
        return Path(self._folder.name) / f"{rank}.log"

    def _died(self, rank: int, code: int) -> RunError:
        lines = self._log(rank).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return RunError(
            f"process {rank + 1} of {self._count} of the training ended with code {code} ({last[:300]})",
            place=str(self._task.directory),
            remedy="Run the same command again; it goes on from the last checkpoint",
        )


def _error(told: dict[str, Any]) -> InParsError:
    kind: type[InParsError] = getattr(errors, told["kind"])
    return kind(told["message"], place=told["place"], remedy=told["remedy"])
