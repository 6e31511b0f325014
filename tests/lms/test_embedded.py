from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import dspy
import pytest
from dspy.lm15 import Message, Request
from pydantic import BaseModel, Field

from inpars_plus.foundation.errors import DeadModelError, ReplyError
from inpars_plus.lms import EngineLM, adapter_for, failure_of, load_lm, usage_of
from inpars_plus.lms.embedded import local_model, shared_pipeline
from inpars_plus.lms.pipeline import Pipeline

pytestmark = pytest.mark.model

FACTS = (
    "Water boils at 100 degrees Celsius at sea level.",
    "Cats sleep for most of the day and hunt mice at night.",
    "The Rhine flows from the Alps to the North Sea.",
    "Bread is made of flour, water, salt and yeast.",
)


class Kind(BaseModel):
    kind: Literal["food", "animal", "place"]
    words: list[str] = Field(min_length=1, max_length=2)


class SayKind(dspy.Signature):
    """Say what kind of thing the document is about."""

    document: str = dspy.InputField()
    answer: Kind = dspy.OutputField()


def test_64_threads_are_served_together_and_real_tokens_are_counted(embedded: EngineLM) -> None:
    prompts = [f"Document: {number}. {FACTS[number % 4]}\nQuery:" for number in range(64)]
    with ThreadPoolExecutor(64) as threads:
        replies = list(threads.map(lambda prompt: embedded(prompt, max_tokens=4)[0], prompts))
    pipeline = shared_pipeline(local_model("embedded").path)
    usage = usage_of(embedded)
    assert all(reply.startswith(" ") for reply in replies)
    assert usage.calls == 64
    assert usage.prompt_tokens == sum(len(pipeline.encode(prompt)) for prompt in prompts)
    assert 64 <= usage.completion_tokens <= 4 * 64


def test_a_predictor_gets_one_line_of_text(embedded: EngineLM, write_query: type[dspy.Signature]) -> None:
    demo = dspy.Example(document=FACTS[1], key_terms=["cats", "mice"], query="when do cats hunt mice")
    predict = dspy.Predict(write_query)
    predict.demos = [demo]
    with dspy.context(lm=embedded, adapter=adapter_for(embedded)):
        query = predict(document=FACTS[0], key_terms=["water", "boils"]).query
    assert query
    assert query == query.strip()
    assert "\n" not in query


def test_draws_differ_by_rollout_and_come_out_again(embedded: EngineLM) -> None:
    settings = {"temperature": 0.9, "max_tokens": 12}
    prompt = f"Document: {FACTS[0]}\nQuery:"
    drawn = [embedded(prompt, rollout_id=number, **settings)[0] for number in range(4)]
    again = [load_lm("embedded")(prompt, rollout_id=number, **settings)[0] for number in range(4)]
    assert len(set(drawn)) > 2
    assert drawn == again
    other_seed = load_lm("embedded", seed=1)
    assert [other_seed(prompt, rollout_id=number, **settings)[0] for number in range(4)] != drawn


def test_single_stream_repeats_exactly_from_many_threads() -> None:
    lm = load_lm("embedded", single_stream=True, max_tokens=8)
    prompts = [f"Document: {fact}\nQuery:" for fact in FACTS]
    with ThreadPoolExecutor(8) as threads:
        first, second = (list(threads.map(lambda prompt: lm(prompt)[0], prompts)) for _ in range(2))
    assert first == second == [lm(prompt)[0] for prompt in reversed(prompts)][::-1]


def test_chat_turns_are_rendered_with_the_template_of_the_model(embedded: EngineLM) -> None:
    request = Request(model=embedded.model, system="Be brief.", messages=(Message.user("Say hello."),))
    embedded(request)
    rendered = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"
    )
    pipeline = shared_pipeline(local_model("embedded").path)
    assert usage_of(embedded).prompt_tokens == len(pipeline.encode(rendered))
    assert pipeline.render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]) == (
        rendered
    )


def test_json_adapter_gets_typed_output() -> None:
    lm = load_lm("embedded", max_tokens=60)
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
        answer = dspy.Predict(SayKind)(document=FACTS[1]).answer
    assert isinstance(answer, Kind)
    assert usage_of(lm).calls == 1


def test_a_reply_that_is_cut_says_so(embedded: EngineLM) -> None:
    request = Request(model=embedded.model, messages=(Message.user(f"Document: {FACTS[0]}\n"),))
    assert embedded.copy(max_tokens=3)(request).finish_reason in {"length", "stop"}
    long = embedded(f"Document: {FACTS[0]}\n", max_tokens=3)
    assert usage_of(embedded).completion_tokens >= 3
    assert long


def test_a_prompt_that_is_longer_than_the_context_is_one_missing_reply(embedded: EngineLM) -> None:
    with pytest.raises(ReplyError, match="8192 tokens or more"):
        embedded("word " * 20_000)
    assert failure_of(embedded) is None


class Failing:
    """The real pipeline until its third step."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        if self._steps == 3:
            raise RuntimeError("the engine broke")
        self._real.step()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_requests_that_continue_a_reply_are_not_mixed_up() -> None:
    pipeline = shared_pipeline(local_model("embedded").path)
    config = pipeline.config(max_new_tokens=6, do_sample=False, ignore_eos=True, logprobs=1)
    start = pipeline.encode(f"Document: {FACTS[1]} {FACTS[2]}\nQuery:")
    reply = pipeline.submit(start, config).result().tokens[:-1]
    # The reply became a demonstration, and several documents follow it at once.
    prompts = [
        [*start, *reply, *pipeline.encode(f"\n\nDocument: {text}\nQuery:")]
        for text in (*FACTS, "Stars are far away.", "Why not?", "Rome is old.", "Ice melts.")
    ]
    together = [future.result() for future in [pipeline.submit(prompt, config) for prompt in prompts]]
    apart = [pipeline.plain.submit(prompt, config).result() for prompt in prompts]
    differences = [
        abs(one.log_probabilities[0] - two.log_probabilities[0])
        for one, two in zip(together, apart, strict=True)
        if one.tokens[0] == two.tokens[0]
    ]
    assert len(differences) >= 7
    assert sum(differences) / len(differences) < 0.1


def test_a_failed_step_reaches_every_caller_with_its_place() -> None:
    pipeline = Pipeline(local_model("embedded").path)
    pipeline._pipeline = Failing(pipeline._pipeline)
    config = pipeline.config(max_new_tokens=20)
    waiting = [pipeline.submit(pipeline.encode(f"{number} {FACTS[0]}"), config) for number in range(20)]
    for future in waiting:
        with pytest.raises(DeadModelError, match="the engine broke"):
            future.result(timeout=20)
    with pytest.raises(DeadModelError, match=r"\.gguf: the local language model failed"):
        pipeline.submit(pipeline.encode(FACTS[0]), config).result(timeout=5)
    pipeline.close()


_EXIT = """
import contextlib, sys, threading
from inpars_plus.lms import load_lm
lm = load_lm("embedded", max_tokens=400)
lm("Document: Water boils.", max_tokens=2)
def ask(number):
    # The calls are cut off by the exit, each with an error; what counts is how the process ends.
    with contextlib.suppress(BaseException):
        lm(f"{number} Once upon a time")
for number in range(8):
    threading.Thread(target=ask, args=(number,), daemon=True).start()
import time; time.sleep(0.3)
sys.exit(7)
"""


def test_a_process_that_ends_in_the_middle_of_generating_ends_quietly() -> None:
    done = subprocess.run([sys.executable, "-c", _EXIT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7
    assert "Fatal" not in done.stderr
    assert "terminate" not in done.stderr
    assert "ERROR" not in done.stderr + done.stdout
