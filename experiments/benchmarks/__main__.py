"""All benchmarks, one after the other, each in a process of its own.

    python -m inpars_plus.experiments.benchmarks

Prints one table of ratios and writes every figure to ``summary.json``. Figures of seconds and tokens a second belong to
the machine and to what else it does; the ratios are of figures measured in turn in one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inpars_plus.experiments.benchmarks.common import Benchmark, Row, machine, row_table, timed
from inpars_plus.foundation import LmUsage, Summary, log_to_stderr, peak_memory_mb, read_json, say, write_summary
from inpars_plus.foundation.errors import RunError

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS = ("engine", "retrieval", "overhead", "imports", "tuning", "encoding", "search")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks.

    Returns:
        0 when every ratio is what the project wants, else 1.

    Raises:
        RunError: a benchmark failed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="directory for summary.json")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="run these alone")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: tries the scripts, measures nothing")
    given = parser.parse_args(arguments)
    log_to_stderr()
    results: list[Benchmark] = []
    described = machine()
    started = time.strftime("%Y-%m-%d")
    with timed() as watch:
        for name in given.only:
            say(f"Benchmark: {name}")
            results.append(_run(name, quick=given.quick))
    write_summary(
        given.out,
        Summary(
            settings={"quick": given.quick, "only": list(given.only)},
            seconds=round(watch.seconds, 1),
            peak_memory_mb=peak_memory_mb(),
            lm=sum((result.lm for result in results), LmUsage()),
            results={"date": started, "machine": described, **{one.name: one.model_dump() for one in results}},
        ),
    )
    rows: list[Row] = [row for result in results for row in result.rows]
    print(row_table(rows))
    print("\n".join(["", *(f"{result.name}: {result.compared}" for result in results)]))
    print(f"\nAll figures: {given.out / 'summary.json'} ({watch.seconds:.0f} s)")
    return 0 if given.quick or all(row.met is not False for row in rows) else 1


def _run(name: str, *, quick: bool) -> Benchmark:
    """One benchmark in a fresh process: threads and memory of one do not disturb the next."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmark.json"
        module = f"inpars_plus.experiments.benchmarks.{name}"
        command = [sys.executable, "-m", module, "--out", str(out), *(["--quick"] if quick else [])]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunError(
                f"the benchmark '{name}' failed ({last})",
                remedy=f"Run it alone to see all of it: python -m {module}",
            )
        return Benchmark.model_validate(read_json(out, kind="figures of a benchmark"))


if __name__ == "__main__":
    raise SystemExit(main())
