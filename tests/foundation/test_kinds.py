from __future__ import annotations

import numpy as np
import pytest

from inpars_plus.foundation.kinds import is_listed, kind_of


@pytest.mark.parametrize(("value", "kind"), [("text", "a str"), (1, "an int"), (str, "the class str"), (None, "None")])
def test_a_class_in_the_place_of_an_object_is_told_from_the_object(value, kind):
    assert kind_of(value) == kind


def test_what_has_positions_is_told_from_sets_and_streams():
    assert [is_listed(one) for one in (["a"], ("a",), np.array(["a"]))] == [True] * 3
    assert [is_listed(one) for one in ({"a"}, iter(["a"]), {"a": 1}, None, np.int64(3), np.array("a"))] == [False] * 6
