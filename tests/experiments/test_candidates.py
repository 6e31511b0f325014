"""Candidates of a ledger, for experiments that ask what the checks hold back."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Ledger, LedgerEntry
from inpars_plus.experiments.candidates import candidate_queries
from inpars_plus.foundation.errors import InputError

DOCUMENTS = [Document(id=f"d{number}", text="The ferry strike went on.") for number in range(10)]


def _entry(number: int, text: str, reason: str | None, attempt: int = 1) -> LedgerEntry:
    return LedgerEntry(
        document_id=f"d{number}", candidate=text, accepted=reason is None, reason=reason, program="p", attempt=attempt
    )


def test_those_that_are_wanted_come_once_each_with_their_document(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.jsonl").append(
        [
            _entry(3, "where is the ferry", None, attempt=3),
            _entry(3, "why no ferry", "not_retrieved", attempt=2),
            _entry(3, " ", "unreadable_reply"),
            _entry(3, "why no ferry", "not_retrieved", attempt=2),
            _entry(4, "is there a strike", None),
            _entry(5, "ferry strike", "copied"),
            _entry(6, " ", "not_retrieved"),
            _entry(400, "of no document any longer", "not_retrieved"),
        ]
    )
    (found,) = candidate_queries(tmp_path, DOCUMENTS, lambda one: one.reason == "not_retrieved")
    assert (found.text, found.document_ids) == ("why no ferry", ("d3",))
    first = candidate_queries(tmp_path, DOCUMENTS, lambda one: True, first_attempt=True)
    assert [(one.document_ids[0], one.text) for one in first] == [
        ("d3", "why no ferry"),
        ("d4", "is there a strike"),
        ("d5", "ferry strike"),
    ]
    assert len({one.id for one in first}) == 3


def test_a_directory_without_a_ledger_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no ledger.*Give a directory that generate-queries wrote"):
        candidate_queries(tmp_path, DOCUMENTS, lambda one: True)
