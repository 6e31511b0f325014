"""The adapter: whole JSON is taken as JSON, everything else goes to the type as it came."""

from __future__ import annotations

import pytest
from dspy.utils.exceptions import AdapterParseError

from inpars_plus.programs.lenient_json import LenientJsonAdapter
from inpars_plus.signatures import JudgeRelevance, RankPassages, WriteHypotheticalPassage


@pytest.mark.parametrize(
    "reply",
    [
        '{"ranking": {"order": [2, 1, 3]}}',
        '```json\n{"ranking": {"order": [2, 1, 3]}}\n```',
        'Sure! {"order": [2, 1, 3]} is my answer to the 3 passages {really}',
        "[2] > [1] > [3]",
        '{"ranking": "[2] > [1] > [3]"}',
        '{not json} {"ranking": [2, 1, 3]}',
        '<think>{"order": [1, 2, 3]} it is, or</think> {"ranking": {"order": [2, 1, 3]}}',
        "[[ ## ranking ## ]]\n[2] > [1] > [3]\n[[ ## completed ## ]]",
    ],
)
def test_an_order_is_read_out_of_what_stands_around_it(reply: str) -> None:
    assert LenientJsonAdapter().parse(RankPassages, reply)["ranking"].order == [2, 1, 3]


def test_field_markers_are_no_part_of_a_bare_text() -> None:
    reply = "[[ ## passage ## ]]\nZinc helps.\n\n[[ ## completed ## ]]"
    assert LenientJsonAdapter().parse(WriteHypotheticalPassage, reply)["passage"].text == "Zinc helps."
    assert LenientJsonAdapter().parse(JudgeRelevance, "[[ ## judgment ## ]]\n2")["judgment"].grade == 2


@pytest.mark.parametrize("reply", ["", "none", '{"judgment": {"grade": 7}}', '{"a": 1, "b": 2}', '{"judgment":' * 2000])
def test_what_the_type_refuses_is_a_parse_error_with_the_reply(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        LenientJsonAdapter().parse(JudgeRelevance, reply)
    assert caught.value.lm_response == reply
