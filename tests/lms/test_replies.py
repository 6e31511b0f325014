from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.secrets import register_secret
from inpars_plus.lms import Reply, ReplyStore, scripted_lm, usage_of

REPLY = Reply(text="naïve\nü 😀", prompt_tokens=3, completion_tokens=2, finish_reason="length", cost_usd=0.5)

_WRITER = """
import sys
from inpars_plus.lms import Reply, ReplyStore
store = ReplyStore(sys.argv[1])
for number in range(int(sys.argv[3])):
    key = f"{sys.argv[2]}-{number}"
    store.put(key, "m", Reply(text="x" * 200, prompt_tokens=1, completion_tokens=1))
    print(key, flush=True)
"""


def writer(path: Path, prefix: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), prefix, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_a_reply_comes_back_as_it_was_also_after_the_file_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "run" / "replies.sqlite"
    with ReplyStore(path) as store:
        store.put("key", "model", REPLY)
        assert store.get("key") == REPLY
        assert store.get("other") is None
    assert ReplyStore(path).get("key") == REPLY


def test_the_first_reply_of_a_key_stays(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.put("key", "model", REPLY)
    store.put("key", "model", Reply(text="other", prompt_tokens=0, completion_tokens=0))
    assert store.get("key") == REPLY
    assert len(store) == 1


def test_many_threads_write_and_read(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda i: store.put(f"{i}", "m", REPLY), range(300)))
        assert list(threads.map(lambda i: store.get(f"{i}"), range(300))) == [REPLY] * 300


@pytest.mark.slow
def test_two_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    writers = [writer(path, name, 60) for name in ("a", "b")]
    assert [process.wait(60) for process in writers] == [0, 0]
    for process in writers:
        assert process.stdout is not None
        process.stdout.close()
    assert len(ReplyStore(path)) == 120


def test_what_was_handed_out_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    process = writer(path, "k", 100_000)
    assert process.stdout is not None
    handed_out = [process.stdout.readline().strip() for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    handed_out += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    store = ReplyStore(path)
    assert all(store.get(key) is not None for key in handed_out)
    store.put("after", "m", REPLY)


def test_a_full_disk_is_named_and_nothing_that_was_kept_is_lost(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store.put("kept", "m", REPLY)
    # SQLite's own limit gives the same error as a disk without room.
    store._connection.execute("PRAGMA max_page_count = 1")
    big = Reply(text="x" * 100_000, prompt_tokens=1, completion_tokens=1)
    with pytest.raises(RunError, match=r"r\.sqlite: the store of replies cannot be used .*full.*Make room"):
        store.put("big", "m", big)
    assert store.get("kept") == REPLY


def test_an_engine_does_not_hide_that_a_reply_could_not_be_kept(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    store._connection.execute("PRAGMA max_page_count = 1")
    lm = scripted_lm(lambda prompt: "x" * 100_000, store=store)
    with pytest.raises(RunError, match="full"):
        lm("a")
    assert usage_of(lm).calls == 1


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_text("this is a text about something else, and long enough to be read as a header of a file")
    with pytest.raises(RunError, match=r"r\.sqlite.*not a database"):
        ReplyStore(path)


def test_no_secret_and_no_request_is_in_the_file(tmp_path: Path) -> None:
    register_secret("sk-very-secret-text")
    with ReplyStore(tmp_path / "r.sqlite") as store:
        lm = scripted_lm(lambda prompt: "echo sk-very-secret-text", store=store)
        lm("a private document")
    data = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sk-very-secret-text" not in data
    assert b"private document" not in data
    assert b"echo [hidden]" in data


def test_replies_of_a_model_are_found_where_a_secret_stands_in_its_name(tmp_path: Path) -> None:
    register_secret("sk-very-secret-text")
    store = ReplyStore(tmp_path / "r.sqlite")
    store.put("key", "custom/sk-very-secret-text", REPLY)
    assert store.holds("custom/sk-very-secret-text")
    assert not store.holds("custom/other")


def test_keeping_a_reply_is_fast(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    started = time.perf_counter()
    for number in range(50):
        store.put(f"{number}", "m", REPLY)
    assert (time.perf_counter() - started) / 50 < 0.2
