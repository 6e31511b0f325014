"""What good means: query checks, the compile metric, cheats, ranking measures and significance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inpars_plus.foundation.lazy import lazy_attributes

if TYPE_CHECKING:
    from inpars_plus.metrics.cheats import CHEATS, cheat_queries
    from inpars_plus.metrics.checks import REASONS, check_query, copied_share
    from inpars_plus.metrics.measures import evaluate_rankings
    from inpars_plus.metrics.query_metric import Judged, QueryMetric, summarize
    from inpars_plus.metrics.significance import Difference, holm, paired_bootstrap, paired_randomization

__all__ = [
    "CHEATS",
    "REASONS",
    "Difference",
    "Judged",
    "QueryMetric",
    "cheat_queries",
    "check_query",
    "copied_share",
    "evaluate_rankings",
    "holm",
    "paired_bootstrap",
    "paired_randomization",
    "summarize",
]

# Imported when first asked for: programs need the checks, not the retrievers that the metric brings.
_HOMES = {
    "CHEATS": "cheats",
    "REASONS": "checks",
    "Difference": "significance",
    "Judged": "query_metric",
    "QueryMetric": "query_metric",
    "cheat_queries": "cheats",
    "check_query": "checks",
    "copied_share": "checks",
    "evaluate_rankings": "measures",
    "holm": "significance",
    "paired_bootstrap": "significance",
    "paired_randomization": "significance",
    "summarize": "query_metric",
}

if not TYPE_CHECKING:  # a checker that sees this takes any name for one of the package
    __getattr__, __dir__ = lazy_attributes(__name__, _HOMES)
