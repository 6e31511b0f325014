from __future__ import annotations

import copy

import dspy
import pytest
from dspy.propose import GroundedProposer

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts.pool_engine import PoolEngine, PoolProposer, pool_lm

TEXTS = ("Answers and their questions.", "Documents and what found them.", "What people asked.")


def test_dspys_own_proposer_gets_the_instructions_in_their_order() -> None:
    lm = pool_lm(TEXTS, summary="Answers of a help page.")
    student = dspy.Predict("question -> answer")
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        proposer = GroundedProposer(lm, student, [dspy.Example(question="a", answer="b")], program_aware=False)
        proposed = proposer.propose_instructions_for_program([], student, None, {}, 3)
    assert proposed[0] == list(TEXTS)
    assert proposer.data_summary == "Answers of a help page."


def test_copies_of_the_model_go_on_where_the_last_one_stopped() -> None:
    engine = PoolEngine(TEXTS, summary="")
    assert copy.deepcopy(engine) is engine


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one instruction"):
        PoolEngine((), summary="")


def test_gepas_proposer_never_proposes_what_the_candidate_has() -> None:
    propose = PoolProposer(TEXTS)
    current, seen = TEXTS[0], []
    for _ in range(4):
        current = propose({"generate": current}, {}, ["generate"])["generate"]
        seen.append(current)
    assert seen == [TEXTS[1], TEXTS[2], TEXTS[0], TEXTS[1]]
