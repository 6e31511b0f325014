from __future__ import annotations

import pytest

from inpars_plus.foundation.kinds import kind_of


@pytest.mark.parametrize(("value", "kind"), [("text", "a str"), (1, "an int"), (str, "the class str"), (None, "None")])
def test_a_class_in_the_place_of_an_object_is_told_from_the_object(value, kind):
    assert kind_of(value) == kind
