from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from inpars_plus.corpora import Ledger, LedgerEntry
from inpars_plus.foundation.errors import CorpusError

KEPT = LedgerEntry(
    document_id="d1",
    candidate="how do cells divide",
    accepted=True,
    scores={"score": 0.8, "rank": 2, "copied": False, "naturalness": None},
    program="0a1b",
)
DROPPED = LedgerEntry(
    document_id="d2", candidate="cells", accepted=False, reason="too_short", program="0a1b", attempt=2
)


def test_entries_are_read_as_they_were_appended(tmp_path: Path):
    ledger = Ledger(tmp_path / "run" / "ledger.jsonl")
    ledger.append([KEPT])
    ledger.append([DROPPED, DROPPED])
    entries = list(ledger.entries())
    assert entries == [KEPT, DROPPED, DROPPED]
    assert {name: type(value) for name, value in entries[0].scores.items()} == {
        "score": float,
        "rank": int,
        "copied": bool,
        "naturalness": type(None),
    }


def test_documents_done_and_reasons_are_counted(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([KEPT, DROPPED, DROPPED])
    assert ledger.documents_done().keys() == {"d1", "d2"}
    assert ledger.reasons() == {"too_short": 2}


def test_the_entries_about_what_a_document_is_now_take_the_place_of_earlier_ones(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    of = {content: KEPT.model_copy(update={"content": content}) for content in (None, "a", "b")}
    ledger.append([of[None], DROPPED, of["a"], of["b"], of["b"]])
    assert list(ledger.entries()) == [DROPPED, of["b"], of["b"]]
    assert ledger.documents_done() == {"d1": "b", "d2": None}
    ledger.append([of["a"]])
    assert list(ledger.entries()) == [DROPPED, of["a"]]


def test_a_ledger_that_does_not_exist_yet_is_empty(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([])
    assert list(ledger.entries()) == []
    assert ledger.documents_done() == {}


def test_a_torn_last_line_is_left_out_and_the_next_entry_follows_cleanly(tmp_path: Path, caplog):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([KEPT])
    with ledger.path.open("a") as file:
        file.write('{"document_id": "d9", "candi')
    with caplog.at_level(logging.WARNING):
        assert ledger.documents_done().keys() == {"d1"}
    assert "torn" in caplog.text
    ledger.append([DROPPED])
    assert list(ledger.entries()) == [KEPT, DROPPED]


def test_threads_append_whole_entries(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    threads = [threading.Thread(target=ledger.append, args=([KEPT, DROPPED],)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(ledger.entries()) == [KEPT, DROPPED] * 16


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"document_id": "d"}', "candidate"),
        ('{"document_id": "d", "candidate": "c", "accepted": true, "reason": "r", "program": "p"}', "no reason"),
        ("not json", "not valid JSON"),
    ],
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str, words: str):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([KEPT])
    with ledger.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(CorpusError) as caught:
        list(ledger.entries())
    assert words in str(caught.value)
    assert caught.value.place == f"{ledger.path}, line 2"


def test_a_rejected_candidate_needs_a_reason():
    with pytest.raises(ValidationError, match="a rejected one has one"):
        LedgerEntry(document_id="d", candidate="c", accepted=False, program="p")


def test_a_secret_in_a_candidate_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-123456")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append([KEPT.model_copy(update={"candidate": "my key is sk-very-secret-123456"})])
    assert "secret" not in ledger.path.read_text()
