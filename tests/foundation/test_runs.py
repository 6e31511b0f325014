from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.files import replacing, write_text
from inpars_plus.foundation.runs import Run


def _never() -> None:
    raise AssertionError("the step was expected to be skipped")


def test_a_finished_step_is_skipped_and_gives_the_same_result(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        first = run.step("a", {"seed": 1}, lambda: {"pair": (1, 2), 3: None})
        assert first == {"pair": [1, 2], "3": None}
        assert run.step("a", {"seed": 1}, _never) == first
    with Run(tmp_path) as run:
        assert run.step("a", {"seed": 1}, _never) == first


def test_a_step_runs_again_when_its_inputs_change(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run.step("a", {"seed": 1}, lambda: "one") == "one"
        assert run.step("a", {"seed": 2}, lambda: "two") == "two"
        assert run.step("b", {"seed": 2}, lambda: "other") == "other"
        assert run.step("a", {"seed": 2}, _never) == "two"


def test_half_written_files_of_a_killed_process_are_swept_and_directories_are_not(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".a.txt.0123456789ab.tmp").write_text("half")
    (tmp_path / "deep" / ".cache.0123456789ab.tmp").mkdir()
    with Run(tmp_path):
        assert [path.name for path in (tmp_path / "deep").iterdir()] == [".cache.0123456789ab.tmp"]


def test_a_persons_own_temporary_file_below_a_run_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    own = [tmp_path / "mine" / name for name in (".draft.tmp", ".0123456789ab.tmp", ".a.0123456789AB.tmp")]
    for path in own:
        path.write_text("my own")
    with Run(tmp_path):
        assert [path.read_text() for path in own] == ["my own"] * 3


def test_a_file_that_another_run_below_is_writing_stays(tmp_path: Path) -> None:
    with Run(tmp_path / "child"), replacing(tmp_path / "child" / "a.txt") as half:
        half.write_text("whole")
        with Run(tmp_path):
            pass
    assert (tmp_path / "child" / "a.txt").read_text() == "whole"


def test_a_step_that_fails_is_not_recorded(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        with pytest.raises(ZeroDivisionError):
            run.step("a", {}, lambda: 1 / 0)
        assert run.step("a", {}, lambda: 1) == 1


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("changed")])
def test_a_step_runs_again_when_a_file_of_it_is_missing_or_altered(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    def work() -> int:
        write_text(tmp_path / "out" / "deep" / "a.txt", "content")
        return 1

    with Run(tmp_path) as run:
        run.step("a", {}, work, files=["out"])
        assert run.step("a", {}, _never, files=["out"]) == 1
        harm(tmp_path / "out" / "deep" / "a.txt")
        run.step("a", {}, work, files=["out"])
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "content"


def test_a_step_that_does_not_write_what_it_promised_is_an_error(tmp_path: Path) -> None:
    with Run(tmp_path) as run, pytest.raises(RunError, match="step 'a' did not write this file"):
        run.step("a", {}, lambda: 1, files=["missing.txt"])


def test_a_directory_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    with Run(tmp_path):
        with pytest.raises(RunError, match="another process is using this run directory") as caught, Run(tmp_path):
            pass
        assert caught.value.place == str(tmp_path)
    with Run(tmp_path):
        pass


def test_a_step_outside_the_block_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="outside the run's 'with' block"):
        Run(tmp_path).step("a", {}, _never)


def test_threads_may_do_steps_of_one_run(tmp_path: Path) -> None:
    with Run(tmp_path) as run, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: run.step(f"s{i}", {}, lambda: i), range(30))) == list(range(30))
    with Run(tmp_path) as run:
        assert [run.step(f"s{i}", {}, _never) for i in range(30)] == list(range(30))


@pytest.mark.parametrize("content", ["{", "[]", '{"format_version": 99, "steps": {}}'])
def test_a_record_that_is_not_ours_is_refused_and_the_directory_let_go(tmp_path: Path, content: str) -> None:
    (tmp_path / "steps.json").write_text(content)
    for _ in range(2):
        with pytest.raises(RunError, match=r"record of steps is .* delete that file"), Run(tmp_path):
            pass


def test_a_path_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="the run directory cannot be written"), Run(tmp_path / "file"):
        pass


_KILLED = """
import sys, time
from inpars_plus.foundation.files import replacing
from inpars_plus.foundation.runs import Run
with Run(sys.argv[1]) as run:
    run.step("paid", {"seed": 1}, lambda: "expensive")
    def half():
        with replacing(run.directory / "big.bin") as temporary:
            temporary.write_bytes(b"half")
            print("half", flush=True)
            time.sleep(60)
    run.step("half", {"seed": 1}, half, files=["big.bin"])
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        with pytest.raises(RunError, match="another process"), Run(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.glob(".big.bin.*"))) == 1

    def work() -> str:
        write_text(tmp_path / "big.bin", "whole")
        return "done"

    with Run(tmp_path) as run:
        assert run.step("paid", {"seed": 1}, _never) == "expensive"
        assert run.step("half", {"seed": 1}, work, files=["big.bin"]) == "done"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "big.bin", "steps.json"]


_FULL = """
import resource, sys
from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.runs import Run
with Run(sys.argv[1]) as run:
    run.step("paid", {}, lambda: "kept")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    try:
        run.step("large", {}, lambda: "x" * 5000)
    except RunError as problem:
        print(problem)
"""


def test_a_full_disk_while_a_step_is_recorded_keeps_the_steps_before(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'steps.json'}: the file could not be written (File too large)")
    assert set(json.loads((tmp_path / "steps.json").read_text())["steps"]) == {"paid"}
    with Run(tmp_path) as run:
        assert run.step("paid", {}, _never) == "kept"
