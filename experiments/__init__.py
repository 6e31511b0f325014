"""The jobs: thin scripts over the other folders, with their settings and reports."""

from __future__ import annotations

__all__: list[str] = []
