"""Reports as one HTML file each: no script, no font, no picture from elsewhere; readable on a phone and at night."""

from __future__ import annotations

__all__: list[str] = []
