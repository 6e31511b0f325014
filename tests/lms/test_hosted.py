from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import dspy
import pytest

from inpars_plus.foundation import secrets
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError, ReplyError, SpendingCapError
from inpars_plus.lms import (
    Reply,
    ReplyStore,
    SpendingLimits,
    adapter_for,
    failure_of,
    load_lm,
    usage_of,
)
from inpars_plus.lms.hosted import server_address


def test_a_real_server_answers_and_tokens_are_those_it_reports(loopback: ModuleType) -> None:
    with loopback.LoopbackServer(lambda text: f"four words for {text}") as server:
        lm = loopback.lm_of(server, temperature=0.3, max_tokens=50)
        assert lm("water") == ["four words for water"]
        assert server.authorizations == [f"Bearer {loopback.SECRET}"]
        assert server.bodies[0]["model"] == "test-model"
        assert server.bodies[0]["temperature"] == 0.3
    usage = usage_of(lm)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost_usd) == (1, 1, 4, None)


def test_a_known_price_gives_a_cost(loopback: ModuleType) -> None:
    with loopback.LoopbackServer() as server:
        lm = load_lm("openai/gpt-4o-mini", api_base=server.address, api_key=loopback.SECRET)
        lm("water")
    assert usage_of(lm).cost_usd == pytest.approx(1 * 0.15e-6 + 2 * 0.6e-6)


def test_typed_output_comes_through_the_chat_adapter(loopback: ModuleType, write_query: type[dspy.Signature]) -> None:
    with loopback.LoopbackServer(lambda text: "[[ ## query ## ]]\nboiling point\n\n[[ ## completed ## ]]") as server:
        lm = loopback.lm_of(server)
        with dspy.context(lm=lm, adapter=adapter_for(lm)):
            assert dspy.Predict(write_query)(document="d", key_terms=["k"]).query == "boiling point"


def test_one_line_says_where_documents_go_before_the_first_one(
    loopback: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with loopback.LoopbackServer() as server, caplog.at_level(logging.INFO, logger="inpars_plus"):
        lm = loopback.lm_of(server)
        assert not caplog.messages
        lm("a")
        lm("b")
        assert [server.address in message for message in caplog.messages] == [True]


def test_replies_are_kept_by_server_and_used_again_without_a_request(loopback: ModuleType, tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with loopback.LoopbackServer(lambda text: "one") as one, loopback.LoopbackServer(lambda text: "two") as two:
        assert loopback.lm_of(one, store=store)("x") == ["one"]
        assert loopback.lm_of(two, store=store)("x") == ["two"]
        assert loopback.lm_of(one, store=store)("x") == ["one"]
        assert (one.requests, two.requests) == (1, 1)


@pytest.mark.filterwarnings("ignore:Item 'summary' on TypedDict")  # LiteLLM's own types, once they are first used
def test_servers_that_the_environment_names_are_told_apart_too(
    loopback: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with loopback.LoopbackServer(lambda text: "one") as one, loopback.LoopbackServer(lambda text: "two") as two:
        for server, reply in ((one, "one"), (two, "two")):
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            assert load_lm("openai/test-model", api_key=loopback.SECRET, store=store)("x") == [reply]
            assert server_address("openai/test-model", None) == server.address
        assert loopback.lm_of(one, store=store)("x") == ["one"]
        assert (one.requests, two.requests) == (1, 1)


def test_an_address_for_the_record_is_without_user_and_password() -> None:
    assert server_address("openai/m", "http://me:word@host:1/v1") == "http://host:1/v1"
    assert server_address("openai/m", "http://host:1/a@b") == "http://host:1/a@b"


def test_a_server_of_ones_own_needs_no_key(loopback: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with loopback.LoopbackServer() as server:
        assert load_lm("openai/my-model", api_base=server.address)("x") == ["a reply"]
        monkeypatch.setenv("OPENAI_API_KEY", loopback.SECRET)
        assert load_lm("openai/my-model", api_base=server.address)("x") == ["a reply"]
        assert server.authorizations == ["Bearer none", f"Bearer {loopback.SECRET}"]


def test_a_missing_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(DeadModelError, match=r"no API key found.*Set OPENAI_API_KEY"):
        load_lm("openai/gpt-4o-mini")("x")


@pytest.mark.parametrize("password", ["pass", "a-long-password"])
def test_a_password_in_the_address_is_in_no_message(
    loopback: ModuleType, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    with loopback.LoopbackServer() as server:
        address = server.address.replace("//", f"//me:{password}@")
    lm = load_lm("openai/test-model", api_base=address, api_key=loopback.SECRET, num_retries=0)
    with caplog.at_level(logging.INFO, logger="inpars_plus"), pytest.raises(DeadModelError) as caught:
        lm("x")
    assert len(caplog.messages) == 1
    for told in (*caplog.messages, str(caught.value)):
        assert password not in told
        assert "[hidden]@127.0.0.1" in told


def test_a_cap_in_tokens_is_not_crossed_and_all_that_was_paid_for_is_kept(loopback: ModuleType, tmp_path: Path) -> None:
    store = ReplyStore(tmp_path / "r.sqlite")
    with loopback.LoopbackServer(lambda text: "one two three") as server:
        lm = loopback.lm_of(server, store=store, max_tokens=10, limits=SpendingLimits(max_tokens=60))

        def ask(number: int) -> int:
            try:
                lm(f"document {number}")
            except SpendingCapError:
                return 0
            return 1

        with ThreadPoolExecutor(8) as threads:
            served = sum(threads.map(ask, range(40)))
        assert served == server.requests == len(store) == usage_of(lm).calls
        assert isinstance(failure_of(lm), SpendingCapError)
    usage = usage_of(lm)
    assert 40 < usage.prompt_tokens + usage.completion_tokens <= 60


def test_the_same_command_again_gets_no_fresh_cap(loopback: ModuleType, tmp_path: Path) -> None:
    def start(server: Any, cap: int) -> int:
        before = server.requests
        with ReplyStore(tmp_path / "r.sqlite") as store:
            lm = loopback.lm_of(server, store=store, max_tokens=10, limits=SpendingLimits(max_tokens=cap))
            with pytest.raises(SpendingCapError):
                list(map(lm, (f"document {number}" for number in range(40))))
        return int(server.requests - before)

    with loopback.LoopbackServer(lambda text: "one two three") as server:
        first = start(server, 30)
        assert first > 1
        assert start(server, 30) == 0
        assert start(server, 50) > 1


@pytest.mark.parametrize("secret", ["the-key-of-it", "the-password-to-it"])
def test_the_same_command_again_gets_no_fresh_cap_where_a_secret_stands_in_the_name_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    name, limits = f"openai/{secret}", SpendingLimits(max_tokens=60)
    with ReplyStore(tmp_path / "r.sqlite") as store:
        monkeypatch.setattr(secrets, "_registered", {secret})
        store.put("key", name, Reply(text="paid for", prompt_tokens=30, completion_tokens=30))
        monkeypatch.setattr(secrets, "_registered", set())  # as another process begins
        address = "http://me:the-password-to-it@localhost:1/v1"
        lm = load_lm(name, api_base=address, api_key="the-key-of-it", store=store, limits=limits)
        with pytest.raises(SpendingCapError, match=r"60 of 60 tokens are spent"):
            lm("x")


# LiteLLM's table has prices by length for the second, and none for the third; asked for them, LiteLLM says 0.
@pytest.mark.parametrize("name", ["openai/nobody-knows-me", "dashscope/qwen3-max", "snowflake/reka-flash"])
def test_a_cap_in_currency_needs_a_price(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"price of '{name}' is unknown"):
        load_lm(name, limits=SpendingLimits(max_cost_usd=1.0))


def test_requests_per_minute_are_kept_at_the_server(loopback: ModuleType) -> None:
    with loopback.LoopbackServer() as server:
        lm = loopback.lm_of(server, limits=SpendingLimits(requests_per_minute=240))
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda i: lm(f"{i}"), range(8)))
        # Seven intervals of .25 s; on a busy machine the first request may arrive late.
        assert server.times[-1] - server.times[0] >= 1.5


def test_a_setting_that_a_reasoning_model_forbids_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="cannot be set up"):
        load_lm("openai/gpt-5", temperature=0.5, api_key="sk-test")


def test_a_secret_is_in_no_file_and_no_message(
    loopback: ModuleType, tmp_path: Path, quick: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[str] = []
    told = [None, 500, 401]
    with loopback.LoopbackServer(lambda text: f"your key is {loopback.SECRET}", misbehave=told.__getitem__) as server:
        lm = loopback.lm_of(server, store=ReplyStore(tmp_path / "r.sqlite"))
        program = dspy.Predict("question -> answer")
        program.set_lm(lm)
        with dspy.context(adapter=dspy.JSONAdapter()), pytest.raises(dspy.utils.exceptions.AdapterParseError):
            program(question="q")
        with pytest.raises(DeadModelError) as caught:
            lm("x")
        messages.append(str(caught.value))
    (tmp_path / "state.json").write_text(repr(lm.kwargs) + repr(vars(lm.engine)))
    for file in tmp_path.rglob("*"):
        assert loopback.SECRET.encode() not in file.read_bytes(), file
    assert all(loopback.SECRET not in message for message in [*messages, *caplog.messages])


_RESUMED = """
import os, sys, time
from inpars_plus.lms import ReplyStore, load_lm, usage_of
lm = load_lm("openai/test-model", api_base=sys.argv[1], api_key="sk-loopback-0123456789",
             store=ReplyStore(sys.argv[2]))
for number in range(20):
    lm(f"document {number}")
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_and_started_again_pays_for_nothing_twice(loopback: ModuleType, tmp_path: Path) -> None:
    def slow(text: str) -> str:
        time.sleep(0.05)
        return text

    def start(server: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _RESUMED, server.address, str(tmp_path / "r.sqlite")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())

    with loopback.LoopbackServer(slow) as server:
        first = start(server)
        assert first.stdout is not None
        finished = [first.stdout.readline() for _ in range(8)]
        first.kill()
        first.wait(30)
        first.stdout.close()
        second = start(server)
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 0
        asked = [body["messages"][0]["content"] for body in server.bodies]
    assert len(finished) == 8
    assert len(output.split()) == 20
    # The one request that was under way when the process was killed may be asked again; no finished one is.
    assert len(asked) - len(set(asked)) <= 1
    assert set(asked) == {f"document {number}" for number in range(20)}


@pytest.mark.parametrize("name", ["openai/gpt-5-mini", "openai/gpt-5.1", "openai/o1", "openai/o3-mini"])
def test_a_reasoning_model_gets_room_to_think_and_no_temperature(
    loopback: ModuleType, tmp_path: Path, name: str
) -> None:
    with loopback.LoopbackServer() as server:
        for _ in range(2):  # the second time everything is replayed: what is kept goes by what was sent
            lm = load_lm(
                name, api_base=server.address, api_key=loopback.SECRET, store=ReplyStore(tmp_path / "r.sqlite")
            )
            lm("x")
            lm("x", temperature=0.7, rollout_id=1)
            lm("x", temperature=0.7, rollout_id=2)
            lm("x", temperature=0.0, max_tokens=20_000)
        assert not any("temperature" in body for body in server.bodies)
        assert [body["max_completion_tokens"] for body in server.bodies] == [16_000, 16_000, 16_000, 20_000]
    with pytest.raises(ConfigurationError, match=r"500 tokens are too few .* Allow 16,000 or more"):
        load_lm(name, max_tokens=500, api_key=loopback.SECRET)


def test_an_empty_reply_that_was_cut_is_a_missing_one_that_says_why(
    loopback: ModuleType, tmp_path: Path, quick: list[float]
) -> None:
    with loopback.LoopbackServer() as server:
        server.thinking = True
        for _ in range(2):
            lm = loopback.lm_of(server, store=ReplyStore(tmp_path / "r.sqlite"))
            with pytest.raises(ReplyError, match=r"the reply is empty and was cut at 1,024 tokens"):
                lm("x")
        assert server.requests == 1
        assert not quick
