"""A small model to train, and pairs that it can learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.optimizers.generators.models import BaseModel
from inpars_plus.optimizers.generators.pairs import PreferencePair

MakePairs = Callable[[int], list[PreferencePair]]
MakeBase = Callable[[], BaseModel]


@pytest.fixture
def make_base(tiny: Any) -> MakeBase:
    """The same model anew at every call, for training changes it."""
    return lambda: BaseModel("tiny", Path("tiny"), digest="0" * 64, model=tiny.model(), tokenizer=tiny.tokenizer())


@pytest.fixture
def tiny_base(make_base: MakeBase) -> BaseModel:
    return make_base()


@pytest.fixture
def make_pairs() -> MakePairs:
    """Pairs with a rule that can be learned: a query in lower case is better than one in capitals."""

    def make(count: int) -> list[PreferencePair]:
        return [
            PreferencePair(
                prompt=f"Write a query.\n\nDocument: fact number {number}\nQuery:",
                chosen=f" what is fact {number}",
                rejected=f" WHAT IS FACT {number}",
                chosen_score=0.9,
                rejected_score=0.1,
                document_id=str(number),
            )
            for number in range(count)
        ]

    return make
