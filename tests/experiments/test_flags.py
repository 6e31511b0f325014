"""Values of flags that several experiments have."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.experiments.flags import at_least, named_paths
from inpars_plus.foundation.errors import ConfigurationError


def test_a_number_that_is_too_small_is_refused_with_the_least_that_will_do() -> None:
    assert at_least(1, "--steps") == 1
    assert at_least(0, "--gold", 0) == 0
    with pytest.raises(ConfigurationError, match=r"--steps: 0 is too few\. Give 1 or more"):
        at_least(0, "--steps")
    with pytest.raises(ConfigurationError, match=r"--gold: -1 is too few\. Give 0 or more"):
        at_least(-1, "--gold", 0)


def test_a_name_may_have_parts_but_does_not_lead_out_of_a_directory() -> None:
    assert named_paths(["a/b=x"], "--queries") == {"a/b": Path("x")}
    for name in ("../x", "a/../../x", "..", "/x"):
        with pytest.raises(ConfigurationError, match=r"--collection: .* leads out of the directory"):
            named_paths([f"{name}=x"], "--collection")
