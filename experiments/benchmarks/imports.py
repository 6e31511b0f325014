"""How long an application waits for ``import inpars_plus.programs``, and that it does not get torch with it.

python -m inpars_plus.experiments.benchmarks.imports
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from inpars_plus.experiments.benchmarks.common import Benchmark, Row, main_of
from inpars_plus.foundation.errors import RunError

__all__ = ["measure"]

_SCRIPT = """
import json, sys, time
started = time.perf_counter()
{code}
seconds = time.perf_counter() - started
print(json.dumps({{"seconds": seconds, "torch": "torch" in sys.modules, "modules": len(sys.modules)}}))
"""
_PACKAGE = "import inpars_plus.programs"
# The package puts off DSPy until a program is made or loaded; this is what an application pays by then.
_PROGRAM = "from inpars_plus.programs import QueryGenerator; QueryGenerator()"


def measure(quick: bool = False) -> Benchmark:
    """Import in fresh interpreters, five times each.

    Raises:
        RunError: an import brought torch.
    """
    repeats = 1 if quick else 5
    figures: dict[str, dict[str, Any]] = {}
    for name, code in (("package", _PACKAGE), ("program", _PROGRAM)):
        runs = [_fresh(code) for _ in range(repeats)]
        if any(run["torch"] for run in runs):
            raise RunError(f"'{code}' imports torch", remedy="See which import brings it: python -X importtime -c ...")
        figures[name] = {
            "code": code,
            "median_seconds": statistics.median(run["seconds"] for run in runs),
            "seconds": [run["seconds"] for run in runs],
            "torch": False,
            "modules": runs[0]["modules"],
        }
    return Benchmark(
        name="imports",
        compared=f"Seconds inside a fresh interpreter, median of {repeats}; torch is in sys.modules in none of them.",
        rows=[
            Row(what=_PACKAGE, value=figures["package"]["median_seconds"], unit="s", at_most=1.0),
            Row(
                what="the same and a program made, DSPy included", value=figures["program"]["median_seconds"], unit="s"
            ),
        ],
        figures=figures,
    )


def _fresh(code: str) -> dict[str, float]:
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(code=code)], capture_output=True, text=True, check=True
    )
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
