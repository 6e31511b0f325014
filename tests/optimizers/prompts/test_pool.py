from __future__ import annotations

import pytest
from dspy.propose.utils import strip_prefix

from inpars_plus.lms.forms import PROMPT_FORMS
from inpars_plus.optimizers.prompts.pool import GENERAL, InstructionPool, pool_for, pools

every_pool = pytest.mark.parametrize("pool", pools().values(), ids=pools().keys())


def test_there_is_a_pool_for_each_kind_of_document_that_the_collections_have() -> None:
    assert set(pools()) == {GENERAL, "scientific-abstract", "api-reference", "faq-answer", "news"}


@every_pool
def test_a_pool_has_about_eight_different_instructions_each_with_its_idea(pool: InstructionPool) -> None:
    assert 6 <= len(set(pool.texts)) == len(pool.texts) <= 10
    assert all(instruction.idea for instruction in pool.instructions)


@every_pool
def test_instructions_are_one_line_and_reach_the_prompt_unchanged_by_dspys_clean_up(pool: InstructionPool) -> None:
    for text in pool.texts:
        assert text == " ".join(text.split())
        assert strip_prefix(text) == text


@every_pool
def test_the_forms_of_a_pool_exist(pool: InstructionPool) -> None:
    assert set(pool.forms) <= set(PROMPT_FORMS)


@pytest.mark.parametrize("name", ["faq-answer", "FAQ answer", "faq_answers", "  Support-Answer "])
def test_a_type_is_found_however_it_is_written(name: str) -> None:
    assert pool_for(name).name == "faq-answer"


def test_a_type_without_a_pool_gets_the_general_one() -> None:
    assert pool_for("court decisions").name == GENERAL
