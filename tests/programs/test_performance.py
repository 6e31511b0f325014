"""Precision, recall and MRR of a generation, counted from its ledger."""

from __future__ import annotations

from inpars_plus.corpora import LedgerEntry
from inpars_plus.metrics.checks import REASONS
from inpars_plus.programs import measured_performance


def entry(document: str, text: str, reason: str | None = None, rank: int | None = None) -> LedgerEntry:
    return LedgerEntry(
        document_id=document,
        candidate=text,
        accepted=reason is None,
        reason=reason,
        scores={"rank": rank} if rank else {},
        program="p",
    )


LEDGER = [
    entry("a", "why does a pump leak", rank=1),
    entry("a", "pump pump pump", "repeated_word"),
    entry("b", "how to mend a valve", "not_retrieved", rank=20),
    entry("c", "", "unreadable_reply"),
    entry("d", "when does the crane jam", rank=4),
    entry("e", "", "empty_document"),
]
TERMS = {"b": ["valve", "spring", "steam", "rust", "seat", "sixth"]}


def test_the_figures_follow_their_definitions() -> None:
    report = measured_performance(LEDGER, instruction="Ask.", key_terms=TERMS)
    assert report.instruction == "Ask."
    assert (report.documents, report.written) == (4, 4)
    assert report.precision == 2 / 4
    assert report.recall == 2 / 4
    assert report.mrr == (1 + 1 / 20 + 1 / 4) / 4


def test_a_reply_that_is_no_query_is_none_that_came_and_what_was_not_asked_about_did_not_fail() -> None:
    more = [entry("f", "I am sorry, but I cannot.", "unreadable_reply"), entry("g", "", "no_metadata")]
    before, after = (
        measured_performance(ledger, instruction="Ask.", key_terms=TERMS) for ledger in (LEDGER, [*LEDGER, *more])
    )
    assert (after.documents, after.written) == (before.documents + 1, before.written)
    assert (after.precision, after.mrr, after.recall) == (before.precision, before.mrr, 2 / 5)
    assert "I am sorry, but I cannot." in [failed.query for failed in after.failed]
    assert not any("metadata" in reason for reason in after.reasons)


def test_a_query_beyond_those_asked_for_came_and_was_not_accepted() -> None:
    more = [*LEDGER, entry("a", "which pump is the best", "surplus")]
    report = measured_performance(more, instruction="Ask.", key_terms=TERMS)
    assert (report.written, report.precision) == (5, 2 / 5)


def test_failures_come_with_sentences_and_the_foremost_terms_of_their_documents() -> None:
    report = measured_performance(LEDGER, instruction="Ask.", key_terms=TERMS)
    found = {failed.reason: failed for failed in report.failed}
    assert found[REASONS["not_retrieved"]].document_terms == ["valve", "spring", "steam", "rust", "seat"]
    assert found["no reply came back that could be read as queries"].query == ""
    assert report.reasons == dict.fromkeys(found, 1)


def test_a_frequent_reason_does_not_hide_a_rare_one() -> None:
    copies = [entry(str(number), f"copy number {number}", "copied") for number in range(50)]
    report = measured_performance(
        [*copies, entry("x", "it is what", "not_self_contained")], instruction="Ask.", key_terms={}, failures=4
    )
    assert [failed.reason for failed in report.failed] == [
        REASONS["copied"],
        REASONS["not_self_contained"],
        REASONS["copied"],
        REASONS["copied"],
    ]
    assert report.reasons == {REASONS["copied"]: 50, REASONS["not_self_contained"]: 1}


def test_nothing_generated_is_nothing_found() -> None:
    report = measured_performance([entry("e", "", "empty_document")], instruction="Ask.", key_terms={})
    assert (report.documents, report.written) == (0, 0)
    assert (report.precision, report.recall, report.mrr) == (0, 0, 0)
    assert report.failed == []
