from __future__ import annotations

import importlib
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import dspy.teleprompt.bootstrap
import pytest
from tqdm import tqdm

from inpars_plus.lms.quiet import quiet, quiet_logs


def test_prints_bars_and_log_lines_of_dspy_are_silenced_and_come_back(capfd: Any) -> None:
    before = dspy.teleprompt.bootstrap.tqdm
    with quiet():
        sys.stdout.write("to nowhere\n")
        list(dspy.teleprompt.bootstrap.tqdm.tqdm([1, 2]))
        logging.getLogger("dspy.teleprompt").error("a whole document")
        sys.stderr.write("progress\n")
    sys.stdout.write("to a person\n")
    assert capfd.readouterr() == ("to a person\n", "progress\n")
    assert dspy.teleprompt.bootstrap.tqdm is before


def test_a_bar_of_an_evaluation_is_not_drawn_by_a_line_of_another_thread(capfd: Any) -> None:
    def score(example: dspy.Example, prediction: Any) -> float:
        with ThreadPoolExecutor(1) as other:
            other.submit(tqdm.write, "a line", file=sys.stderr).result()
        return 1.0

    evaluate = dspy.Evaluate(devset=[dspy.Example(a=1).with_inputs("a")] * 8, num_threads=2, display_progress=True)
    with quiet():
        assert evaluate(lambda a: dspy.Prediction(a=a), metric=score).score == 100
    assert capfd.readouterr() == ("", "a line\n" * 8)


def test_a_trial_that_ctrl_c_ends_is_not_told_of_with_a_traceback() -> None:
    optuna: Any = importlib.import_module("optuna")
    told: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = told.append  # type: ignore[method-assign]
    logging.getLogger("optuna").addHandler(listener)

    def stopped(trial: Any) -> float:
        raise KeyboardInterrupt

    def search() -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # as MIPROv2 does
        optuna.create_study().optimize(stopped, n_trials=1)

    try:
        with quiet(), pytest.raises(KeyboardInterrupt):
            search()
    finally:
        logging.getLogger("optuna").removeHandler(listener)
    assert told == []


def test_levels_are_restored_after_an_error() -> None:
    level = logging.getLogger("dspy").level
    try:
        with quiet():
            raise ValueError
    except ValueError:
        pass
    assert logging.getLogger("dspy").level == level


def test_two_at_once_leave_everything_as_it_was_before_the_first(capfd: Any) -> None:
    out, tqdm = sys.stdout, dspy.teleprompt.bootstrap.tqdm
    levels = [logging.getLogger(name).level for name in ("dspy", "optuna")]
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with quiet():
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait(10)
    with quiet():
        go_on.set()
        thread.join()
        sys.stdout.write("to nowhere\n")
        assert logging.getLogger("dspy").level == logging.CRITICAL
    assert sys.stdout is out
    assert dspy.teleprompt.bootstrap.tqdm is tqdm
    assert [logging.getLogger(name).level for name in ("dspy", "optuna")] == levels
    sys.stdout.write("to a person\n")
    assert capfd.readouterr().out == "to a person\n"


def test_what_another_thread_prints_meanwhile_is_printed(capfd: Any) -> None:
    def another() -> None:
        sys.stdout.writelines(["its ", f"own {sys.stdout.encoding == before}\n"])

    before = sys.stdout.encoding
    with quiet(), quiet_logs():
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        sys.stdout.writelines(["to nowhere\n"])
    assert capfd.readouterr().out == "its own True\n"


def test_inside_another_one_everything_stays_quiet_until_the_outer_ends(capfd: Any) -> None:
    with quiet():
        with quiet():
            sys.stdout.write("to nowhere\n")
        sys.stdout.write("to nowhere\n")
        assert logging.getLogger("dspy").level == logging.CRITICAL
    assert capfd.readouterr().out == ""
