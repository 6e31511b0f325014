"""Speed beside the alternatives, as ratios measured in one run on one machine: ``make benchmark``."""

from __future__ import annotations

__all__: list[str] = []
