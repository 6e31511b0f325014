"""A model of an architecture that has no GGUF form, served by torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.lms import is_local, load_lm
from inpars_plus.lms.embedded import release_pipelines, shared_pipeline
from inpars_plus.lms.scoring import load_scorer
from inpars_plus.lms.torch_pipeline import TorchPipeline

PROMPTS = ["Document: a pump\nQuery:", "Query:", "Document: a boiler that leaks at night\nQuery:"]


@pytest.fixture(scope="module")
def gemma(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GemmaConfig, GemmaForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    made: Any = GemmaForCausalLM
    tokenizer = tiny.tokenizer()
    config = GemmaConfig(
        vocab_size=288, num_attention_heads=2, num_key_value_heads=1, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None, tie_word_embeddings=False, pad_token_id=tokenizer.pad_token_id, **sizes,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "gemma"
    model = made(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def pipeline(gemma: Path) -> Iterator[TorchPipeline]:
    made = TorchPipeline(gemma)
    made._model.float()
    yield made
    made.close()


def write(pipeline: TorchPipeline, prompts: list[str], **settings: Any) -> list[Any]:
    futures = [pipeline.submit(pipeline.encode(prompt), pipeline.config(**settings)) for prompt in prompts]
    return [future.result(timeout=60) for future in futures]


def test_greedy_replies_of_a_batch_are_those_of_generate(pipeline: TorchPipeline) -> None:
    found = write(pipeline, PROMPTS, max_new_tokens=12)
    for prompt, reply in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([pipeline.encode(prompt)])
        with torch.no_grad():
            expected = pipeline._model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :].tolist()
        assert reply.tokens == [token for token in expected if token not in pipeline._ends]
        assert reply.cut == (len(reply.tokens) == 12)
        assert len(reply.log_probabilities) == len(reply.tokens)
    assert len({tuple(reply.tokens) for reply in found}) > 1


def test_a_sample_follows_from_its_seed_whoever_is_in_the_batch(pipeline: TorchPipeline) -> None:
    settings = {"do_sample": True, "temperature": 1.5, "max_new_tokens": 10}
    ((alone,), together, (other,)) = (
        write(pipeline, PROMPTS[:1], rng_seed=1, **settings),
        write(pipeline, PROMPTS, rng_seed=1, **settings),
        write(pipeline, PROMPTS[:1], rng_seed=2, **settings),
    )
    assert alone.tokens == together[0].tokens != other.tokens


def test_a_narrow_choice_is_the_likeliest_token(pipeline: TorchPipeline) -> None:
    ((greedy,), (first,), (narrow,)) = (
        write(pipeline, PROMPTS[:1], **settings)
        for settings in ({}, {"do_sample": True, "top_k": 1}, {"do_sample": True, "top_p": 1e-6})
    )
    assert greedy.tokens == first.tokens == narrow.tokens


def test_a_reply_ends_at_its_stop_string(pipeline: TorchPipeline) -> None:
    (whole,) = write(pipeline, PROMPTS[:1], max_new_tokens=8)
    stop = pipeline.decode(whole.tokens)[2]
    (ended,) = write(pipeline, PROMPTS[:1], max_new_tokens=8, stop_strings={stop})
    assert stop in pipeline.decode(ended.tokens)
    assert len(ended.tokens) <= 3
    assert not ended.cut


def test_penalties_keep_a_token_from_coming_again(pipeline: TorchPipeline) -> None:
    (found,) = write(pipeline, PROMPTS[:1], max_new_tokens=12, presence_penalty=1e6)
    assert len(set(found.tokens)) == len(found.tokens)


def test_a_failure_reaches_every_caller_and_later_ones(pipeline: TorchPipeline) -> None:
    futures = [pipeline.submit([100_000], pipeline.config()) for _ in range(3)]
    for future in futures:
        with pytest.raises(DeadModelError, match="the local language model failed"):
            future.result(timeout=60)
    with pytest.raises(DeadModelError):
        pipeline.submit([1], pipeline.config()).result(timeout=60)


def test_a_closed_model_says_so(gemma: Path) -> None:
    made = TorchPipeline(gemma, one_at_a_time=True)
    made.close()
    with pytest.raises(DeadModelError, match="shut down"):
        made.submit([1], made.config()).result(timeout=60)


def test_a_schema_and_chat_turns_without_a_template_are_refused(pipeline: TorchPipeline) -> None:
    with pytest.raises(ConfigurationError, match="cannot be held to a JSON schema"):
        pipeline.json_config("{}")
    with pytest.raises(ConfigurationError, match="no chat template"):
        pipeline.render([{"role": "user", "content": "hello"}])


def test_a_directory_is_a_model_by_its_name(gemma: Path, tmp_path: Path) -> None:
    assert is_local(str(gemma))
    lm = load_lm(str(gemma), max_tokens=6)
    assert lm.model.startswith("hf:gemma@")
    assert not lm.engine.supports_response_schema
    (text,) = lm("Query:")
    assert isinstance(text, str)
    assert isinstance(shared_pipeline(gemma), TorchPipeline)
    with pytest.raises(ConfigurationError, match="only a GGUF model scores"):
        load_scorer(str(gemma))
    release_pipelines()
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "hf").symlink_to(gemma)
    assert load_lm(str(tmp_path / "tuned")).model == lm.model.replace("hf:gemma", "tuned:tuned")
