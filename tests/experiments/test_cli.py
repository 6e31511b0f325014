from __future__ import annotations

import errno
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.cli import JOBS, main


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_without_a_job_the_jobs_are_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(name in shown and about in shown for name, (_, about) in JOBS.items())


def _says_to_nobody(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code where the reader of the output has gone, as ``head`` does."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        return main(arguments)


def test_an_output_that_nobody_reads_ends_a_job_without_a_word(
    compiled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--version"], ["--help"], ["list-programs", str(compiled)], ["list-programs", "--help"]):
        assert _says_to_nobody(arguments, monkeypatch) == 141
    # More than fits into a buffer is written at once, and so is missed in the middle of the job.
    monkeypatch.setattr("inpars_plus.experiments.list_programs.run", lambda _: sys.stdout.write("x" * 1_000_000))
    assert _says_to_nobody(["list-programs", "x"], monkeypatch) == 141
    assert capsys.readouterr().err == ""


def test_a_broken_connection_is_not_taken_for_an_output_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("inpars_plus.experiments.list_programs.run", breaks)
    with pytest.raises(BrokenPipeError):
        main(["list-programs", "x"])


def test_an_unknown_job_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile"]) == 2
    assert "there is no job 'compile'" in capsys.readouterr().err


def test_an_error_is_one_sentence_and_code_2_and_debug_shows_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compile-programs", "--corpus", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "none.jsonl: there is no such file or folder" in told
    assert main([*arguments, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "job", ["compile-programs", "generate-queries", "tune-generator", "quickstart", "list-programs"]
)
def test_an_unknown_flag_is_one_sentence(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([job, "x", "--no-such-flag"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--no-such-flag" in told
    assert f"inpars-plus {job} --help" in told


@pytest.mark.parametrize(
    "script", ["compare_recipes", "measure_granularity", "measure_growth", "measure_reranking", "measure_routing"]
)
def test_the_help_of_a_script_says_what_each_flag_is(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"inpars_plus.experiments.{script}").main(["--help"])
    shown = capsys.readouterr().out
    assert "repeatable" in shown
    assert not re.search(r"^ +--\S+ \S+\s+repeatable", shown, re.MULTILINE)


def test_programs_are_listed_from_a_run_directory_or_its_folder(
    compiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in (compiled, compiled / "compiled"):
        assert main(["list-programs", str(directory)]) == 0
        shown = capsys.readouterr().out
        assert "manual" in shown
        assert "scripted" in shown
        assert "miprov2" in shown
    assert main(["list-programs", str(tmp_path / "none")]) == 2
    assert main(["list-programs", str(tmp_path)]) == 0


@pytest.mark.slow
def test_a_dry_run_of_the_command_needs_no_more_than_a_corpus(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--corpus", str(corpus), "--out", str(tmp_path / "run"), "--lm", "openai/gpt-4o-mini", "--dry-run"]
    assert main(["compile-programs", *arguments]) == 0
    assert "compile manual" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["compile_programs", "generate_queries", "tune_generator", "quickstart", "list_programs"]
)
@pytest.mark.parametrize("way", ["file", "module"])
def test_a_job_is_a_script_and_a_module_too(tree: Path, name: str, way: str) -> None:
    target = [str(tree / "experiments" / f"{name}.py")] if way == "file" else ["-m", f"inpars_plus.experiments.{name}"]
    done = subprocess.run([sys.executable, *target, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"usage: inpars-plus {name.replace('_', '-')}" in done.stdout


THREADS = 4

SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born ignoring it
sys.path.insert(0, sys.argv[1])
from conftest import World, compile_settings
from inpars_plus.experiments import cli, compile_programs

world = World(log=Path(sys.argv[4]), seconds=0.01)
settings = compile_settings(Path(sys.argv[2]), Path(sys.argv[3]))
compile_programs.run = lambda arguments: compile_programs.compile_programs(settings, **world.parts)
sys.exit(cli.run_job("compile-programs", []))
"""


@pytest.mark.slow
def test_ctrl_c_stops_with_a_sentence_and_the_run_goes_on(corpus: Path, tmp_path: Path, small: Any) -> None:
    from inpars_plus.experiments.compile_programs import compile_programs

    log, out = tmp_path / "asked.jsonl", tmp_path / "run"
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, here, str(corpus), str(out), str(log)], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 60):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.splitlines()[-1] == "stopped; run the same command again to go on"
    assert "Traceback" not in told
    asked = len(log.read_text().splitlines())
    world, whole = small.World(), small.World()
    compile_programs(small.compile_settings(corpus, out), **world.parts)
    compile_programs(small.compile_settings(corpus, tmp_path / "whole"), **whole.parts)
    # Only what was with the model when Ctrl-C came may be asked again.
    assert whole.calls <= asked + world.calls <= whole.calls + THREADS
