"""What programs read of a model's engine."""

from __future__ import annotations

import dspy
from dspy.utils import DummyLM

from inpars_plus.lms.scripted import ScriptedEngine, scripted_lm
from inpars_plus.lms.traits import trait_of


def test_a_trait_is_that_of_the_model_s_engine() -> None:
    lm = scripted_lm(["x"])
    assert isinstance(lm.engine, ScriptedEngine)
    lm.engine.openings = ("How",)
    assert trait_of(lm, "openings") == ("How",)
    assert trait_of(lm, "prefers_completion") == lm.engine.prefers_completion


def test_a_model_with_no_engine_or_another_s_has_no_traits() -> None:
    for lm in (DummyLM([{}]), dspy.LM("openai/some-model")):
        assert [trait_of(lm, name) for name in ("openings", "prefers_completion", "tuned_for")] == [(), False, ""]
