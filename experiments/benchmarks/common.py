"""What the benchmarks share: their result, the passages they read, timing, and what machine they ran on."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inpars_plus.corpora import open_corpus
from inpars_plus.experiments.tables import text_table
from inpars_plus.foundation import LmUsage
from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import write_json

__all__ = [
    "Benchmark",
    "Row",
    "Stopwatch",
    "json_of_child",
    "machine",
    "main_of",
    "median_ratio",
    "passages",
    "row_table",
    "timed",
]

_PACKAGES = ("dspy", "openvino", "openvino-genai", "torch", "transformers", "bm25s", "rank-bm25", "numpy")
# Those that decide how fast a small model runs.
_CPU_FLAGS = {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "avx_vnni"}


class Row(BaseModel):
    """One line of the table.

    Attributes:
        what: what is compared with what.
        value: the ratio, or seconds where the unit says so.
        unit: ``times`` (how many times as fast), ``of`` (how many times as long), ``s``, or ``apart`` (a difference, in
            what ``what`` says).
        at_least: what the project wants, where it wants something.
        at_most: the same from above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    value: float
    unit: str = "times"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is what the project wants; ``None`` where it wants nothing."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


class Benchmark(BaseModel):
    """What one benchmark measured.

    Attributes:
        name: of its script.
        compared: what exactly is compared, in a sentence or two.
        rows: the ratios.
        figures: everything they were computed from; seconds, counts and tokens a second.
        seconds: wall-clock time of all of it, loading included.
        lm: what the language model's calls came to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    compared: str
    rows: list[Row]
    figures: dict[str, Any]
    seconds: float = 0.0
    lm: LmUsage = Field(default_factory=LmUsage)


class Stopwatch:
    """The time of one block: see :func:`timed`.

    Attributes:
        seconds: on the wall clock.
        processor_seconds: of all threads of this process; what other processes do hardly changes it.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Time a block."""
    watch = Stopwatch()
    started, processor_started = time.perf_counter(), time.process_time()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - started
        watch.processor_seconds = time.process_time() - processor_started


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of figures that were measured side by side.

    On a machine that others use as well, its speed changes from minute to minute; two figures that were measured right
    after one another share its state, so their ratio says more than the ratio of two means.
    """
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def passages(encode: Callable[[str], list[int]], length: int) -> list[list[int]]:
    """The documentation that comes with Python, cut into passages of the same number of tokens.

    Equal lengths spare batches of the compared library all padding.

    Args:
        encode: text → token ids.
        length: tokens a passage; what is left at a document's end is not used.

    Returns:
        Token ids of about 1,000 passages at a length of 175, no two the same.
    """
    found: dict[tuple[int, ...], None] = {}
    for document in open_corpus(["python-docs"]).documents():
        tokens = encode(document.full_text)
        for start in range(0, len(tokens) - length + 1, length):
            found[tuple(tokens[start : start + length])] = None
    return [list(tokens) for tokens in found]


def machine() -> dict[str, Any]:
    """The machine and the packages, without names or paths that belong to a person."""
    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""  # there is no such file on macOS
    if found := re.search(r"^flags\s*:(.*)$", text, re.MULTILINE):
        flags = _CPU_FLAGS.intersection(found[1].split())
    if found := re.search(r"^model name\s*:(.*)$", text, re.MULTILINE):
        model = found[1].strip()
    return {
        "system": platform.system(),
        "cpu": model,
        "cpu_flags": sorted(flags),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def row_table(rows: Sequence[Row]) -> str:
    """The rows for a terminal."""
    cells = []
    for row in rows:
        wanted = "" if row.at_least is None else f"≥ {row.at_least:g}"
        if row.at_most is not None:
            wanted = f"≤ {row.at_most:g}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        unit = {"times": "×", "of": "×", "s": " s", "apart": ""}[row.unit]
        digits = 1 if row.unit == "times" and row.value >= 10 else 2 if row.unit == "times" else 3
        cells.append([row.what, f"{row.value:.{digits}f}{unit}", wanted, met])
    return text_table(["", "measured", "wanted", "met"], cells, numbers={1, 2})


def json_of_child(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What a module prints as its last line, run in a process of its own, whose memory is then its own.

    Raises:
        RunError: it failed; the message has its last line, and the command to run alone.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"a part of the benchmark failed ({last})", remedy=f"Run it alone: {' '.join(command[1:])}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main_of(measure: Callable[[bool], Benchmark], description: str | None) -> int:
    """Run one benchmark as a script.

    Args:
        measure: runs it; the argument is whether to be quick.
        description: for ``--help``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file for all figures as JSON")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: tries the script, measures nothing")
    given = parser.parse_args()
    with timed() as watch:
        result = measure(given.quick)
    result = result.model_copy(update={"seconds": round(watch.seconds, 1)})
    if given.out is not None:
        write_json(given.out, result.model_dump())
    print(row_table(result.rows))
    return 0
