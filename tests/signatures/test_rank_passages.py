"""Orders of passages: read leniently, repaired in one way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inpars_plus.signatures.rank_passages import PassageOrder, numbered, order_of_count, repair_order


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ([2, 1, 3], [2, 1, 3]),
        ({"order": [2, 1]}, [2, 1]),
        ({"order": "[2] > [1] > [3]"}, [2, 1, 3]),
        ("[2] > [1] > [3]", [2, 1, 3]),
        ({"order": "[2] > [1]", "n": 1}, [2, 1]),
        ("2 > 1", [2, 1]),
        ("[2, 1, 3]", [2, 1, 3]),
        ("Of these 3 passages, the order is [3] > [1] > [2].", [3, 1, 2]),
        ("I'd say 2, then 1; not p53 and not 0.5", [2, 1]),
        (["2", " [1]", 3.0], [2, 1, 3]),
        ([[2], [1]], [2, 1]),
        ([2, None, True, 1], [2, 1]),
        ([2, 2, 99, -4], [2, 2, 99, -4]),
        ("1. Passage 3\n2. Passage 1\n3. Passage 2", [3, 1, 2]),
        ("From best to worst:\n1) 2\n2) 1\n", [2, 1]),
        ("- passage 2\n- passage 1", [2, 1]),
        ("3, 1 and 2!", [3, 1, 2]),
        ("**2** -> **1** (by what they say)", [2, 1]),
        ("The order is [2, 1, 3]. I took 2 first since it says when.", [2, 1, 3]),
        ("Passage 2.", [2]),
        ("<think>maybe [1] > [2]</think> [2] > [1]", [2, 1]),
        ("or is it 1 > 2?</think>2 > 1", [2, 1]),
        (["1. Passage 3", "2. Passage 1"], [3, 1]),
        (["Passage 2, of the 3 that say when", "1 - of no use"], [2, 1]),
        ('{"ranking": {"order": [13, 1', [13]),
        ("[4, 3, 2,", [4, 3, 2]),
        ('["2", "1", "1', [2, 1]),
        ("[2] > [1] > [1", [2, 1]),
        ("2 > 1 > 3\n\nPassage 2 is best because it has 5 facts.", [2, 1, 3]),
        ("Ranking: 2 > 1 > 3. Passage 2 has 4 points", [2, 1, 3]),
        ("**Ranking:** 2, 1, 3\n\n2 has 4 points, 1 has 3.", [2, 1, 3]),
        ("2, 1, 3\nPassage 2 says it in 5 words.", [2, 1, 3]),
        ("Of the 3 passages, 2 is best. So: 2 -> 1 -> 3!", [2, 1, 3]),
        ("2 > 1\nor maybe 1 > 2, with 5 facts", [2, 1]),
        ("#2 > #1", [2, 1]),
        ("#2", [2]),
        ("As [1] says, the answer is 2 > 1", [2, 1]),
        ("[2] is best.\nOff topic: 1, 3.", [2]),
        ("[2]\n1, 3", [2]),
        ("[2 3] > [1]", [2, 3, 1]),
        ("[2, 3] > [1 4]", [2, 3, 1, 4]),
        ("[2 and 3] > [1], since 5 facts say so", [2, 3, 1]),
        ("[2; 3] > [1]", [2, 3, 1]),
        (["[2 3]", "[1]"], [2, 3, 1]),
        ("Passage 2 [and 3] say when", [2, 3]),
    ],
)
def test_an_order_is_read_from_what_models_write(said: Any, order: list[int]) -> None:
    assert PassageOrder.model_validate(said).order == order
    assert order_of_count(3).model_validate(said).order == order


@pytest.mark.parametrize(
    "said",
    [
        "Of the 3 passages, 1 is off topic; 2 then 3.",
        "Of the 3 passages none answers.",
        "The answer is in passage 2, but 1 is better.",
        "Passages 2, 3 and 5 are off topic",
        "Passages 1-3 answer it",
        "1 < 2",
        "Passage 2 is best. Off topic: 1, 3.",
        "Of 4 passages, 2 is best. It is 2 > 1 times as long.",
        "1) 3, 2) 1",
        "2. 1\n1. 3",
        "<think>[2] > [1], or",
        "<think>[2] > [1]</think>",
        '{"order": [1',
        '{"ranking": "2 > 1',
    ],
)
def test_numbers_that_may_count_anything_are_no_order(said: str) -> None:
    with pytest.raises(ValidationError):
        PassageOrder.model_validate(said)


@pytest.mark.parametrize("said", ["", "none of them", [], {}, {"order": []}, None, 3.5, {"a": 1, "b": 2}])
def test_no_number_is_no_order(said: Any) -> None:
    with pytest.raises(ValidationError):
        PassageOrder.model_validate(said)


@pytest.mark.parametrize(
    ("numbers", "positions", "faults"),
    [
        ([3, 1, 2], (2, 0, 1), (0, 0, 0)),
        ([3, 3, 1], (2, 0, 1), (1, 0, 1)),
        ([2], (1, 0, 2), (0, 0, 2)),
        ([0, 4, 2, -1, 1, 3], (1, 0, 2), (0, 3, 0)),
        ([9, 9], (0, 1, 2), (0, 2, 3)),
        ([2, 1, 3, 2, 1, 3], (1, 0, 2), (3, 0, 0)),
    ],
)
def test_first_occurrences_are_kept_and_what_is_missing_follows_in_the_order_given(
    numbers: list[int], positions: tuple[int, ...], faults: tuple[int, int, int]
) -> None:
    repaired = repair_order(numbers, 3)
    assert repaired.positions == positions
    assert (repaired.repeated, repaired.out_of_range, repaired.missing) == faults
    assert repaired.was_faulty == any(faults)


@given(st.lists(st.integers(-3, 12), max_size=30), st.integers(0, 9))
def test_a_repaired_order_is_a_permutation_and_every_number_is_accounted_for(numbers: list[int], count: int) -> None:
    repaired = repair_order(numbers, count)
    assert sorted(repaired.positions) == list(range(count))
    assert len(numbers) - repaired.repeated - repaired.out_of_range + repaired.missing == count
    assert repair_order([position + 1 for position in repaired.positions], count).was_faulty is False


def test_the_schema_of_a_count_asks_for_exactly_these_numbers() -> None:
    schema = order_of_count(4).model_json_schema()["properties"]["order"]
    assert (schema["minItems"], schema["maxItems"], schema["items"]["enum"]) == (4, 4, [1, 2, 3, 4])
    assert PassageOrder.model_json_schema()["properties"]["order"]["maxItems"] == 100


def test_passages_are_numbered_one_a_line() -> None:
    assert numbered(["a\nb", "  c "]) == "[1] a b\n[2] c"
