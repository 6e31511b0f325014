"""Measuring a generation for whoever is to improve its instruction: precision, recall, MRR and what failed.

All of it follows from the ledger of a generation, one entry a candidate:

* *precision* = accepted candidates / candidates that came;
* *recall* = documents with at least one accepted candidate / documents in the ledger;
* *MRR* = mean over the candidates that came of 1 / rank of the document that each was written for. A candidate that was
  never searched with, because an earlier check rejected it, counts 0, as one that does not find its document does.

What counts as what:

* a document about which nothing was asked (:data:`~inpars_plus.programs.outcomes.NOT_ASKED`) counts for nothing;
* a reply that could not be read (:data:`~inpars_plus.programs.outcomes.NO_QUERY`) is no candidate that came, whatever
  its text, but its document counts, and it stands among the failures;
* a query beyond those asked for is a candidate that came and was not accepted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from inpars_plus.corpora.ledger import LedgerEntry
from inpars_plus.metrics.checks import REASONS
from inpars_plus.programs.outcomes import GENERATION_REASONS, NO_QUERY, NOT_ASKED
from inpars_plus.signatures.diagnose_failures import FailedQuery, MeasuredPerformance

__all__ = ["measured_performance"]

_SHOWN_FAILURES = 8
_SHOWN_TERMS = 5
_LONGEST_QUERY = 160


def measured_performance(
    entries: Iterable[LedgerEntry],
    *,
    instruction: str,
    key_terms: Mapping[str, Sequence[str]],
    failures: int = _SHOWN_FAILURES,
) -> MeasuredPerformance:
    """What the entries of a ledger come to.

    Args:
        entries: all that was written under one instruction.
        instruction: that one.
        key_terms: document id → its key terms, best first; a document that is not named has none.
        failures: how many rejected queries are shown at most.

    Returns:
        The figures; the failures are taken from each reason in turn, so that the most frequent one does not hide the
        others.
    """
    known = [entry for entry in entries if entry.reason not in NOT_ASKED]
    came = [entry for entry in known if entry.reason not in NO_QUERY and entry.candidate.strip()]
    accepted = [entry for entry in known if entry.accepted]
    documents = {entry.document_id for entry in known}
    ranks = [entry.scores.get("rank") for entry in came]
    rejected = [entry for entry in known if not entry.accepted]
    counts = Counter(_sentence(entry) for entry in rejected)
    return MeasuredPerformance(
        instruction=instruction,
        documents=len(documents),
        written=len(came),
        precision=len(accepted) / max(1, len(came)),
        recall=len({entry.document_id for entry in accepted}) / max(1, len(documents)),
        mrr=sum(1 / rank for rank in ranks if isinstance(rank, int) and rank > 0) / max(1, len(came)),
        reasons=dict(counts.most_common()),
        failed=[
            FailedQuery(
                query=" ".join(entry.candidate.split())[:_LONGEST_QUERY],
                reason=_sentence(entry),
                document_terms=list(key_terms.get(entry.document_id, ()))[:_SHOWN_TERMS],
            )
            for entry in _in_turn(rejected, list(counts), failures)
        ],
    )


def _sentence(entry: LedgerEntry) -> str:
    reason = entry.reason or ""
    return REASONS.get(reason) or GENERATION_REASONS.get(reason) or reason.replace("_", " ")


def _in_turn(rejected: Sequence[LedgerEntry], reasons: Sequence[str], count: int) -> list[LedgerEntry]:
    queues = [[entry for entry in rejected if _sentence(entry) == reason] for reason in reasons]
    longest = max(map(len, queues), default=0)
    return [queue[at] for at in range(longest) for queue in queues if at < len(queue)][:count]
