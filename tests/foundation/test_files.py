from __future__ import annotations

import dataclasses
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from inpars_plus.foundation.errors import CorpusError, InputError, ProgramFileError, RunError
from inpars_plus.foundation.files import (
    append_lines,
    digest,
    digest_file,
    read_json,
    read_lines,
    replacing,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)


def _rows(path: Path) -> list[dict[str, object]]:
    return [row for _, row in read_lines(path)]


def test_a_written_file_has_its_content_and_ordinary_rights_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "one")
    write_text(path, "two é")
    assert path.read_text(encoding="utf-8") == "two é"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    (tmp_path / "ordinary").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_a_failed_block_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_broken_connection_inside_the_block_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), replacing(tmp_path / "a"):
        raise ConnectionResetError(104, "Connection reset by peer")


def test_a_missing_input_inside_the_block_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), replacing(tmp_path / "a"):
        raise PermissionError(13, "Permission denied", "/some/other/file")


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"Choose a path whose parents are directories") as caught:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert caught.value.place == str(tmp_path / "file" / "a.txt")


def test_a_folder_that_nobody_may_write_to_is_named_with_the_file(forbidden: Path) -> None:
    for target in (forbidden / "a.txt", forbidden / "new" / "a.txt"):
        with pytest.raises(RunError, match="Choose a directory") as caught:
            write_text(target, "x")
        assert caught.value.place == str(target)


def test_json_takes_what_numpy_pydantic_and_dataclasses_give(tmp_path: Path) -> None:
    class Model(BaseModel):
        a: tuple[int, ...] = (1, 2)

    @dataclasses.dataclass
    class Data:
        b: float = 0.5

    value = {
        "n": np.float32(0.5),
        "v": np.arange(2),
        "m": Model(),
        "d": Data(),
        "p": Path("x/y"),
        "s": {"b", "a"},
        3: None,
    }
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", kind="thing") == {
        "n": 0.5,
        "v": [0, 1],
        "m": {"a": [1, 2]},
        "d": {"b": 0.5},
        "p": "x/y",
        "s": ["a", "b"],
        "3": None,
    }


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", [float("nan"), float("inf"), np.float64("nan")])
    assert (tmp_path / "a.json").read_text().split() == ["[", "null,", "null,", "null", "]"]


def test_what_is_not_json_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError, match="object is not JSON"):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json", kind="thing") == 1


def test_a_lone_surrogate_of_a_model_survives(tmp_path: Path) -> None:
    append_lines(tmp_path / "a.jsonl", [{"reply": "x\ud800y"}])
    assert _rows(tmp_path / "a.jsonl") == [{"reply": "x\ud800y"}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no compiled program here"),
        (b"{", "the compiled program is not valid JSON"),
        (b"\xff\xfe", "the compiled program is not UTF-8 text"),
        (b"[" * 100_000, "the compiled program is not valid JSON"),
        (b"9" * 5_000, "the compiled program is not valid JSON"),
    ],
)
def test_an_unreadable_json_file_is_named_with_its_kind(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProgramFileError, match=sentence) as caught:
        read_json(path, kind="compiled program", error=ProgramFileError)
    assert str(path) in str(caught.value)


def test_lines_come_back_with_their_numbers_and_without_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \r\n{"b": "\xc3\xa9"}')
    assert list(read_lines(path)) == [(1, {"a": 1}), (4, {"b": "é"})]


@pytest.mark.parametrize("tail", [b'{"a": 2', b'{"a": "\xc3', b"\x00\x00\x00", b"{", b"12"])
def test_a_torn_last_line_is_ignored_named_and_repaired(
    tmp_path: Path, tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + tail)
    with caplog.at_level(logging.WARNING, logger="inpars_plus"):
        assert _rows(path) == [{"a": 1}]
    assert f"{path}, line 2" in caplog.text

    append_lines(path, [{"a": 3}])
    assert path.read_bytes() == b'{"a": 1}\n{"a": 3}\n'


def test_a_torn_tail_longer_than_a_block_is_cut_off_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 300_000)
    append_lines(path, [{"a": 2}])
    assert _rows(path) == [{"a": 1}, {"a": 2}]


def test_a_torn_only_line_leaves_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a"')
    append_lines(path, [{"a": 2}])
    assert path.read_bytes() == b'{"a": 2}\n'


def test_a_whole_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}')
    assert _rows(path) == [{"a": 1}]
    append_lines(path, [{"a": 2}])
    assert _rows(path) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'{"a": }', "the line is not valid JSON .* at character 7"),
        (b"[1]", "the line is not a JSON object"),
        (b'{"a": "\xe9"}', "the line is not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply|not valid JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "holds a number that is too long"),
    ],
)
def test_any_other_bad_line_is_named_with_its_number(tmp_path: Path, line: bytes, sentence: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    with pytest.raises(CorpusError, match=sentence) as caught:
        list(read_lines(path))
    assert caught.value.place == f"{path}, line 2"


def test_a_missing_log_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no such file"):
        list(read_lines(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_lines(tmp_path))


def test_lines_that_cannot_all_be_written_leave_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    write_lines(path, [{"a": "old"}, {"a": "é"}])
    with pytest.raises(TypeError, match=r"object is not JSON"):
        write_lines(path, [{"a": "new"}, {"a": object()}])
    assert _rows(path) == [{"a": "old"}, {"a": "é"}]
    write_lines(path, iter([{"b": "shorter"}]))
    assert path.read_bytes() == b'{"b": "shorter"}\n'
    write_lines(path, [])
    assert path.read_bytes() == b""
    assert [p.name for p in path.parent.iterdir()] == ["a.jsonl"]


def test_threads_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    threads = [
        threading.Thread(target=lambda t=t: [append_lines(path, [{"t": t, "i": i, "x": "y" * 500}]) for i in range(20)])
        for t in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((row["t"], row["i"]) for row in _rows(path)) == [(t, i) for t in range(6) for i in range(20)]


def test_a_full_device_is_one_clear_sentence() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(RunError) as caught:
        append_lines("/dev/full", [{"a": 1}])
    assert str(caught.value).startswith("/dev/full: the file could not be written (No space left on device). Free some")


_FULL_DISK = """
import resource, sys
from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import append_lines, write_bytes
log, whole = sys.argv[1:]
append_lines(log, [{"a": i} for i in range(3)])
write_bytes(whole, b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
lines = [{"a": "x" * 500} for _ in range(10)]
for write in (lambda: append_lines(log, lines), lambda: write_bytes(whole, b"n" * 5000)):
    try:
        write()
    except RunError as problem:
        print(problem)
append_lines(log, [{"a": 3}])
"""


def test_a_write_that_stops_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    log, whole = tmp_path / "a.jsonl", tmp_path / "b.bin"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(log), str(whole)], capture_output=True, text=True, check=True
    )
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [str(log), str(whole)]
    assert "File too large" in done.stdout
    assert _rows(log) == [{"a": 0}, {"a": 1}, {"a": 2}, {"a": 3}]
    assert whole.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.bin"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000


_WRITER = """
import sys
from inpars_plus.foundation.files import append_lines, write_json
log, whole = sys.argv[1:]
i = 0
while True:
    append_lines(log, [{"i": i, "x": "y" * 200_000}])
    write_json(whole, {"i": i, "x": ["y" * 1000] * 200})
    print(i, flush=True)
    i += 1
"""


def test_a_killed_writer_loses_nothing_that_it_had_finished(tmp_path: Path) -> None:
    log, whole = tmp_path / "a.jsonl", tmp_path / "b.json"
    finished = -1
    for round_ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(log), str(whole)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            finished = int(writer.stdout.readline())
            time.sleep(0.01 * round_)
            writer.send_signal(signal.SIGKILL)
            finished = max([finished, *(int(line) for line in writer.stdout.read().splitlines())])
        rows = [int(str(row["i"])) for row in _rows(log)]
        assert rows[: finished + 1] == list(range(finished + 1))
        assert len(rows) <= finished + 2
        assert read_json(whole, kind="file")["i"] in (finished, finished + 1)
        log.unlink()


def test_digests_tell_parts_and_types_apart_and_ignore_the_order_of_keys() -> None:
    digests = [digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(b"abc"), digest("1"), digest(1), digest([1])]
    assert len(set(digests)) == len(digests)
    assert digest({"a": 1, "b": (1, 2)}) == digest({"b": [1, 2], "a": 1})
    assert len(digest()) == 64


def test_a_digest_stays_the_same_from_release_to_release() -> None:
    # Runs and caches on people's disks are found by these digests.
    assert (
        digest("a", b"b", {"c": [1, 2.5, None]}) == "5cc2e788a4a03bdd0e98a481c2c759d40bd5146fb6753df994441767ed23c95b"
    )


def test_the_digest_of_a_file_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc")
    assert digest_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(InputError, match="cannot be read"):
        digest_file(tmp_path / "b")


def test_what_is_written_is_json_that_others_read(tmp_path: Path) -> None:
    append_lines(tmp_path / "a.jsonl", [{"ä": "\n\u2028"}])
    data = (tmp_path / "a.jsonl").read_bytes()
    assert data.count(b"\n") == 1
    assert json.loads(data) == {"ä": "\n\u2028"}
    assert os.listdir(tmp_path) == ["a.jsonl"]
