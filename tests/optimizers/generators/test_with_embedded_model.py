"""A tuned embedded model, exported and served, says what the torch model says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inpars_plus.corpora import Document, open_corpus, sample
from inpars_plus.lms import load_lm
from inpars_plus.lms.embedded import TUNED_FILE, TUNED_WEIGHTS, local_model, release_pipelines, shared_pipeline
from inpars_plus.lms.scoring import EmbeddedScorer
from inpars_plus.optimizers.generators.batches import group_pairs
from inpars_plus.optimizers.generators.export import merge_adapters, round_weights, save_weights, write_gguf
from inpars_plus.optimizers.generators.models import BaseModel, LoraSettings, add_lora, check_tokens, load_base
from inpars_plus.optimizers.generators.packing import completion_log_probabilities, pack_plain
from inpars_plus.optimizers.generators.pairs import PreferencePair
from inpars_plus.optimizers.generators.trainer import Trainer, TrainSettings
from inpars_plus.programs import QueryGenerator

pytestmark = [pytest.mark.model, pytest.mark.slow]

PROMPTS, TOKENS = 64, 8
TRAINED = 24  # documents: enough that the model writes otherwise than before


def question(document: Document) -> str:
    """What the model is tuned to write."""
    return f" how do I use {document.title.rsplit('.', 1)[-1]} of {document.title.split('.', 1)[0]}?"


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    corpus = open_corpus("python-docs")
    return sample([one for one in corpus.documents() if len(one.text) < 600], PROMPTS, seed=0)


@pytest.fixture(scope="module")
def prompts(documents: list[Document]) -> list[str]:
    program, lm = QueryGenerator(), load_lm("embedded")
    return [program.completion_prompt(document, lm) for document in documents]


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load_base("embedded")


@pytest.fixture(scope="module")
def tuned(
    base: BaseModel, documents: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Path]]:
    """The embedded model after some steps of training, as it is saved for torch, and the directory of both forms."""
    directory = tmp_path_factory.mktemp("tuned")
    model = add_lora(base, LoraSettings(), seed=0)
    pairs = [
        PreferencePair(
            # A short prompt: what is compared is the weights, and a prompt with demonstrations takes ten times as long.
            prompt=f"{document.title}\nQuery:",
            chosen=question(document),
            rejected=" function",
            chosen_score=0.9,
            rejected_score=0.0,
            document_id=document.id,
        )
        for document in documents[:TRAINED]
    ]
    settings = TrainSettings(learning_rate=2e-3, documents_per_step=4)
    Trainer(model, settings, directory=directory / "training").train(group_pairs(pairs, base, max_tokens=1024))
    merged = merge_adapters(model)
    write_gguf(base, merged, directory / TUNED_FILE)
    round_weights(merged)
    save_weights(merged, base.tokenizer, directory / TUNED_WEIGHTS)
    yield load_base(str(directory / TUNED_WEIGHTS)).model.float(), directory
    release_pipelines()


def test_torch_and_the_engine_cut_prompts_into_the_same_tokens(base: BaseModel, prompts: list[str]) -> None:
    pipeline = shared_pipeline(local_model("embedded").path)
    check_tokens(base, pipeline)
    assert [base.encode(prompt) for prompt in prompts] == [pipeline.encode(prompt) for prompt in prompts]


@pytest.fixture(scope="module")
def compared(
    base: BaseModel, tuned: tuple[Any, Path], documents: list[Document], prompts: list[str]
) -> tuple[list[bool], list[float]]:
    """Whether both write the same after each prompt, and how far apart they find each token of a completion.

    The engine calculates as torch does, in single-stream mode; what is scored is scored as everything else is, too.
    """
    model, directory = tuned
    pipeline = shared_pipeline(directory / TUNED_FILE, single_stream=True)
    config = pipeline.config(max_new_tokens=TOKENS, do_sample=False)
    served = [pipeline.submit(pipeline.encode(prompt), config) for prompt in prompts]
    written = [_with_end(future.result().tokens, base) for future in served]
    completions = [question(document) for document in documents]
    scored = EmbeddedScorer(directory / TUNED_FILE, "tuned", single_stream=True).score(
        list(zip(prompts, completions, strict=True))
    )
    same, differences = [], []
    for prompt, completion, theirs, one in zip(prompts, completions, written, scored, strict=True):
        tokens, more = base.encode(prompt), base.encode(completion)
        with torch.no_grad():
            # Long prompts are what takes the time, so each is read once and its keys and values serve both questions.
            kept = model(torch.tensor([tokens[:-1]]), logits_to_keep=1, use_cache=True).past_key_values
            # Greedy writing is the same if torch, after each token that the engine wrote, would write the next one.
            following = _after(model, kept, [tokens[-1], *theirs[:-1]])
            likely = _after(model, kept, [tokens[-1], *more]).log_softmax(-1)
        same.append(following.argmax(-1).tolist() == theirs)
        mine = [float(likely[at, token]) for at, token in enumerate(more)]
        assert len(mine) == one.tokens
        differences += [abs(a - b) for a, b in zip(mine, one.log_probabilities, strict=True)]
    return same, differences


def _with_end(tokens: list[int], base: BaseModel) -> list[int]:
    """A reply that ended by itself, with the end that the engine leaves out."""
    return tokens if len(tokens) == TOKENS or tokens[-1:] == [base.end] else [*tokens, base.end]


def _after(model: Any, kept: Any, tokens: list[int]) -> torch.Tensor:
    """Logits after each of ``tokens`` behind what is kept of a prompt, which stays as it was."""
    logits: torch.Tensor = model(torch.tensor([tokens]), past_key_values=kept, use_cache=True).logits[0]
    kept.crop(-len(tokens))
    return logits


def test_the_exported_model_writes_what_the_torch_model_writes(compared: tuple[list[bool], list[float]]) -> None:
    same, _ = compared
    assert len(same) == PROMPTS
    assert sum(same) / len(same) >= 0.95


def test_the_exported_model_finds_a_completion_as_likely_as_the_torch_model(
    compared: tuple[list[bool], list[float]],
) -> None:
    _, differences = compared
    assert len(differences) > PROMPTS
    assert sum(differences) / len(differences) <= 0.02


def test_the_merged_weights_can_be_tuned_again(base: BaseModel, tuned: tuple[Any, Path], tmp_path: Path) -> None:
    model, _ = tuned
    save_weights(model, base.tokenizer, tmp_path, dtype=torch.float32)
    again = load_base(str(tmp_path))
    sequences = [(base.encode("Query:"), base.encode(" what is a list"))]
    with torch.no_grad():
        mine, theirs = (completion_log_probabilities(one, pack_plain(sequences))[0] for one in (model, again.model))
    assert torch.allclose(mine, theirs, atol=1e-3)
