from __future__ import annotations

import logging
import sys
from typing import Any

import dspy.teleprompt.bootstrap

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


def test_levels_are_restored_after_an_error() -> None:
    level = logging.getLogger("dspy").level
    try:
        with quiet():
            raise ValueError
    except ValueError:
        pass
    assert logging.getLogger("dspy").level == level
