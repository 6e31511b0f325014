"""``summary.json``: what every script leaves behind about its run."""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from inpars_plus.foundation.files import write_json
from inpars_plus.foundation.secrets import redact

__all__ = ["LmUsage", "Summary", "measured", "own_memory_mb", "peak_memory_mb", "write_summary"]


class LmUsage(BaseModel):
    """What the calls of a language model came to. Two of them add up with ``+``.

    Attributes:
        calls: finished requests that reached the model; a reply served from a store is not one.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        cost_usd: in US dollars, as far as prices are known; ``None`` when none is (a local model).
        seconds: time inside the model, summed over calls; not part of ``summary.json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0

    def __add__(self, other: LmUsage) -> LmUsage:
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return LmUsage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=sum(costs) if costs else None,
            seconds=self.seconds + other.seconds,
        )


class Summary(BaseModel):
    """The content of ``summary.json``.

    Attributes:
        settings: every setting of the run after flags and configuration were merged; secrets are blanked.
        seed: the one seed that all randomness came from.
        hashes: content digests of what was read and written, by name.
        seconds: wall-clock time.
        peak_memory_mb: see :func:`peak_memory_mb`.
        lm: calls, tokens and cost of all language models together.
        results: what was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    hashes: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_mb: int = 0
    lm: LmUsage = Field(default_factory=LmUsage)
    results: dict[str, Any] = Field(default_factory=dict)

    @field_serializer("settings")
    def _blank_secrets(self, settings: dict[str, Any]) -> Any:
        return redact(settings)

    @field_serializer("lm")
    def _without_seconds(self, lm: LmUsage) -> dict[str, Any]:
        return lm.model_dump(exclude={"seconds"})


def peak_memory_mb() -> int:
    """The most memory in MiB that this process, or the largest child that has ended, held at once.

    The larger of the two, not their sum: the operating system counts a child's memory from its parent's at the
    moment it starts, so a sum would count that twice.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = _of_status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return round(max(own, children) / 2**20)


def own_memory_mb() -> int | None:
    """MiB that this process holds beside pages of files, which the system takes back at need; only Linux tells."""
    held = _of_status("RssAnon")
    return None if held is None else round(held / 2**20)


def _of_status(line: str) -> int | None:
    """Bytes, where Linux tells them of this process. Its peak there is its own; getrusage starts from its parent's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def measured(started: float, **fields: Any) -> Summary:
    """A summary of this process so far.

    Args:
        started: when its work began, on ``time.monotonic()``.
        fields: of the summary, except seconds and memory.
    """
    return Summary(seconds=round(time.monotonic() - started, 1), peak_memory_mb=peak_memory_mb(), **fields)


def write_summary(directory: str | os.PathLike[str], summary: Summary) -> Path:
    """Write ``summary.json`` into a directory in one step.

    Returns:
        The path of the file.

    Raises:
        RunError: the disk is full, or the directory cannot be written.
    """
    path = Path(directory) / "summary.json"
    write_json(path, summary.model_dump())
    return path
