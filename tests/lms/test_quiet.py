from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

import dspy.teleprompt.bootstrap
import pytest

from inpars_plus.lms.quiet import quiet


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
