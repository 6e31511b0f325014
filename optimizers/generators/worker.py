"""One of several processes of a training; :mod:`inpars_plus.optimizers.generators.processes` starts it.

It reads rewards from standard input, a line each, and writes what it has to tell as lines of JSON to standard output:
``texts`` that are to be judged, what was ``trained``, or the ``error`` that ended it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from inpars_plus.foundation.errors import InParsError
from inpars_plus.foundation.progress import log_to_stderr
from inpars_plus.optimizers.generators.fitting import TrainingTask, fit_here

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Take part in the training that a file describes.

    Args:
        arguments: its path; those of the command line by default.

    Returns:
        The exit code.
    """
    (path,) = sys.argv[1:] if arguments is None else arguments
    # Whatever else writes to standard output must not come between the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    log_to_stderr()
    rewards: queue.Queue[float] = queue.Queue()
    threading.Thread(target=_listen, args=(rewards,), daemon=True).start()

    def tell(message: dict[str, Any]) -> None:
        out.write(f"{json.dumps(message)}\n")
        out.flush()

    def judge(texts: list[str]) -> float:
        tell({"texts": texts})
        return rewards.get()

    try:
        task = TrainingTask.model_validate_json(Path(path).read_text(encoding="utf-8"))
        _, _, trained = fit_here(task, judge)
    except InParsError as problem:
        told = {"message": problem.message, "place": problem.place, "remedy": problem.remedy}
        tell({"error": {"kind": type(problem).__name__, **told}})
        return 1
    if torch.distributed.get_rank() == 0:
        tell({"trained": asdict(trained)})
    torch.distributed.destroy_process_group()
    return 0


def _listen(rewards: queue.Queue[float]) -> None:
    # Unbuffered: a thread that waits in a buffer of Python's would hold its lock when the process ends.
    with open(0, "rb", buffering=0, closefd=False) as given:
        for line in given:
            rewards.put(float(json.loads(line)))
    os._exit(1)  # the job is no more, and nobody would read what comes of this


if __name__ == "__main__":
    sys.exit(main())
