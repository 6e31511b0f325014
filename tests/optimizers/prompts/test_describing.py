"""What a compile knows of itself goes into the file of its program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.optimizers.prompts import compile_program, documents_digest
from inpars_plus.programs import Scores, load_program, save_program


def test_the_card_of_a_compile_is_saved_and_read_back(toy: Any, tmp_path: Path) -> None:
    compiled = compile_program(**toy.arguments, optimizer="bootstrap", budget=280, seed=3)
    save_program(compiled.program, tmp_path / "faq.json", compiled.card(test=Scores(before=0.1, after=0.2)))
    card = load_program(tmp_path / "faq.json").card
    assert (card.document_type, card.lm, card.adapter, card.seed) == (
        "faq-answer",
        toy.lm.model,
        "CompletionAdapter",
        3,
    )
    assert (card.optimizer.name, card.optimizer.settings) == ("bootstrap", compiled.settings)
    assert (card.metric.name, card.metric.test.after) == ("ToyMetric", 0.2)
    assert card.metric.validation.before == compiled.validation["before"]
    assert card.metric.validation.after == compiled.validation["after"]
    assert card.data_hash == documents_digest([example.source for example in [*toy.train, *toy.validation]])


def test_a_program_is_not_saved_without_a_card(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"the card is of the type NoneType, not a ProgramCard\. Take card\(\)"
    ):
        save_program(toy.student, tmp_path / "faq.json", None)  # type: ignore[arg-type]
    assert not (tmp_path / "faq.json").exists()
