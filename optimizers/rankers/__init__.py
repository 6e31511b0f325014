"""What makes search better: training queries, hard negatives, rankers, and the choice between them without labels."""

from __future__ import annotations
