"""A step of CPO on the embedded model: packed, plain, and TRL's ``CPOTrainer`` where the extra ``trl`` is installed.

    python -m inpars_plus.experiments.benchmarks.tuning

Each form runs in a process of its own, in turn, on the same passages, model, precision and threads.
"""

from __future__ import annotations

import importlib.util
import statistics
from typing import Any

from inpars_plus.experiments.benchmarks.common import Benchmark, Row, json_of_child, main_of, median_ratio

__all__ = ["measure"]

_DOCUMENTS = 4
_SHARED = 300
"""Tokens of the instruction and the demonstrations that all prompts of a compiled program begin with."""
_QUICK = ("--single", "--prompt", "60")
_QUICK_SHARED = 30


def measure(quick: bool = False) -> Benchmark:
    """Time the forms at 2 and at 8 completions a document, and compare their losses in single precision."""
    steps, rounds, many = (1, 1, 4) if quick else (2, 2, 8)
    start = _QUICK_SHARED if quick else _SHARED
    with_trl = importlib.util.find_spec("trl") is not None
    figures: dict[str, Any] = {}
    for shared in (start,) if quick else (start, 0):
        for completions in (2, many):
            forms = ["packed", "plain", *(["trl"] if with_trl and completions == 2 else [])]
            # Quick, so that one run of each form gives its loss too.
            figures[_name(completions, shared)] = _in_turn(forms, completions, steps, rounds, shared, quick=quick)
    measured = figures[_name(2, start)]
    losses = {
        form: measured[form]["loss"] if quick else _run(form, 2, 0, more=("--single",))["loss"]
        for form in ["packed", "plain", *(["trl"] if with_trl else [])]
    }
    figures["losses_in_single_precision"] = losses
    rows = []
    for shared in (start,) if quick else (start, 0):
        two, more = figures[_name(2, shared)], figures[_name(many, shared)]
        wanted, of = bool(shared), "" if shared else ", prompts that share nothing"
        rows += [
            Row(
                what=f"CPO, {many} completions a document, plain / packed{of}",
                value=_ratio(more, "plain"),
                at_least=5.0 if wanted else None,
            ),
            Row(what=f"CPO, 2 completions a document, plain / packed{of}", value=_ratio(two, "plain")),
        ]
        if with_trl:
            what = f"CPO, 2 completions a document, TRL / packed{of}"
            rows.append(Row(what=what, value=_ratio(two, "trl"), at_least=2.5 if wanted else None))
    apart = max(losses.values()) - min(losses.values())
    # A relative difference would flatter: losses are about 4.
    what = "greatest difference of their losses in fp32, in 1e-4"
    rows.append(Row(what=what, value=apart * 1e4, unit="apart", at_most=1.0))
    return Benchmark(
        name="tuning",
        compared=f"Forward, backward and update on {_DOCUMENTS} documents of 245 tokens, completions of 13, behind "
        f"{start} tokens that the prompts of a compiled program share, or behind none; low-rank adapters of rank 16 "
        f"on the embedded model; seconds a pair, the median of {steps * rounds} steps in {rounds} "
        "rounds, the first step of each process not counted. TRL is given the same token ids"
        + ("." if with_trl else ", but is not installed here."),
        rows=rows,
        figures=figures,
    )


def _name(completions: int, shared: int) -> str:
    return f"completions_{completions}" if shared else f"completions_{completions}_nothing_shared"


def _in_turn(
    forms: list[str], completions: int, steps: int, rounds: int, shared: int, *, quick: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {form: {"seconds_per_pair": [], "peak_memory_mb": 0} for form in forms}
    for _ in range(rounds):
        for form in forms:
            documents = 1 if quick else _DOCUMENTS
            result = _run(form, completions, steps, shared=shared, documents=documents, more=_QUICK if quick else ())
            found[form]["loss"] = result["loss"]
            found[form]["seconds_per_pair"] += result["seconds_per_pair"]
            found[form]["peak_memory_mb"] = max(found[form]["peak_memory_mb"], *result["peak_memory_mb"])
            found[form]["memory_by_step"] = result["peak_memory_mb"]
            found["threads"], found["device"] = result["threads"], result["device"]
    for form in forms:
        found[form]["median"] = statistics.median(found[form]["seconds_per_pair"])
    return found


def _ratio(figures: dict[str, Any], form: str) -> float:
    return median_ratio(figures[form]["seconds_per_pair"], figures["packed"]["seconds_per_pair"])


def _run(
    form: str,
    completions: int,
    steps: int,
    *,
    shared: int = _SHARED,
    documents: int = _DOCUMENTS,
    more: tuple[str, ...] = (),
) -> dict[str, Any]:
    arguments = [form, "--completions", str(completions), "--steps", str(steps), "--documents", str(documents)]
    arguments += ["--shared", str(shared), *more]
    return json_of_child("inpars_plus.experiments.benchmarks.tuning_form", arguments)


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
