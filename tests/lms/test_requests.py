from __future__ import annotations

import pytest
from dspy.lm15 import Config, ImagePart, Message, Request, UnsupportedFeatureError

from inpars_plus.lms.requests import chat_turns, raw_prompt, request_fields, request_text


def test_one_user_message_alone_is_a_raw_prompt() -> None:
    assert raw_prompt(Request(model="m", messages=(Message.user("Query:"),))) == "Query:"


def test_a_system_message_or_a_second_turn_makes_it_chat() -> None:
    with_system = Request(model="m", system="be brief", messages=(Message.user("a"),))
    turns = Request(model="m", messages=(Message.user("a"), Message.assistant("b"), Message.user("c")))
    assert raw_prompt(with_system) is None
    assert raw_prompt(turns) is None
    assert [turn["role"] for turn in chat_turns(with_system)] == ["system", "user"]
    assert request_text(turns) == "a\nb\nc"


def test_what_decides_a_reply_is_in_the_fields_and_the_model_is_not() -> None:
    def fields(**config: object) -> dict[str, object]:
        return request_fields(Request(model="m", messages=(Message.user("a"),), config=Config(**config)))  # type: ignore[arg-type]

    assert fields() == {"turns": [{"role": "user", "content": "a"}], "settings": {}}
    assert fields(temperature=0.5, stop=("\n",))["settings"] == {"temperature": 0.5, "stop": ("\n",)}
    assert fields(max_tokens=3) != fields(max_tokens=4)


def test_what_is_not_text_is_refused() -> None:
    image = ImagePart(url="https://example.org/a.png")
    with pytest.raises(UnsupportedFeatureError, match="reads text only"):
        raw_prompt(Request(model="m", messages=(Message.user([image]),)))
