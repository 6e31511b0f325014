"""A chat model that was set up to answer in JSON is understood, though it was asked in chat turns."""

from __future__ import annotations

import json
from types import ModuleType

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from inpars_plus.corpora import Document
from inpars_plus.programs import QueryGenerator
from inpars_plus.programs.lenient_chat import LenientChatAdapter
from inpars_plus.signatures import GenerateQueries

DOCUMENT = Document(id="1", text="The pump leaks after some weeks. A worn seal was the reason in most cases.")
QUERY = "why does my machine drip after some weeks"
REPLY = json.dumps({"queries": [{"text": QUERY}]})


def _texts(reply: str) -> list[str]:
    return [query.text for query in LenientChatAdapter().parse(GenerateQueries, reply)["queries"]]


def test_queries_of_a_model_that_answers_json_are_read_and_the_prompt_stays_the_compiled_one(
    loopback: ModuleType,
) -> None:
    with loopback.LoopbackServer(lambda text: REPLY) as server:
        lm = dspy.LM("openai/own", api_base=server.address, api_key="k", cache=False)
        with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
            assert QueryGenerator()(source=DOCUMENT).queries == [QUERY]
    (body,) = server.bodies
    inputs = {"document": DOCUMENT.text, "key_terms": [], "document_type": "", "number_of_queries": 1}
    plain = dspy.ChatAdapter().format(GenerateQueries, [], inputs)
    assert body["messages"][0] == plain[0]


@pytest.mark.parametrize(
    "reply",
    [
        f"[[ ## queries ## ]]\n{json.dumps([{'text': QUERY}])}\n\n[[ ## completed ## ]]",
        f"```json\n{REPLY}\n```",
        json.dumps({"queries": [QUERY], "note": "one"}),
        f'<think>{{"queries": [{{"text": "a thought"}}]}}</think>\n{REPLY}',
    ],
)
def test_a_reply_is_read_as_chat_or_as_json(reply: str) -> None:
    assert _texts(reply) == [QUERY]


@pytest.mark.parametrize("reply", ["", "no idea", '{"query": "x"}', '{"queries": 3}', '{"queries": [{"text": ', "[1]"])
def test_what_is_neither_is_the_error_of_the_chat_adapter(reply: str) -> None:
    with pytest.raises(AdapterParseError) as caught:
        _texts(reply)
    assert caught.value.lm_response == reply
