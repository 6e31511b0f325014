"""A model in Hugging Face's form behind the same queue as :class:`inpars_plus.lms.pipeline.Pipeline`, run by torch.

For models of an architecture that has no GGUF form. It is several times slower: requests are batched as they come, a
batch runs to its end before the next begins, and nothing is kept of prompts.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.inbox import Inbox
from inpars_plus.lms.pipeline import Generated
from inpars_plus.lms.torch_models import load_causal_lm, pick_precision, torch_itself

__all__ = ["TorchPipeline"]

_TOGETHER = 16
_WAIT_SECONDS = 0.02
"""For more requests to come, before a batch begins."""
_CONTEXT = 8192
"""Most tokens read, if the model names no fewer."""


@dataclass(frozen=True)
class _Request:
    tokens: list[int]
    config: Any
    future: Future[Generated]


class TorchPipeline:
    """A causal language model of ``transformers`` behind a queue.

    Args:
        path: its directory.
        one_at_a_time: never batch. Batching changes rounding, and so words.

    Raises:
        MissingPartError: torch or ``transformers`` is not installed.
        ConfigurationError: the directory holds no model that can be read.
    """

    def __init__(self, path: Path, *, one_at_a_time: bool = False) -> None:
        torch = torch_itself()

        self.path = path
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # In the exact mode also exact arithmetic.
        dtype = torch.float32 if one_at_a_time else pick_precision(device)
        model, self._tokenizer = load_causal_lm(path, dtype=dtype)
        self._model = model.to(device).eval()
        self._device = device
        self._limit = 1 if one_at_a_time else _TOGETHER
        self.context_tokens = min(int(getattr(model.config, "max_position_embeddings", _CONTEXT)), _CONTEXT)
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends, self._tokenizer.eos_token_id]
        self._ends = {int(end) for end in ends if end is not None}
        self._inbox: Inbox[_Request] = Inbox(path)
        self._thread = threading.Thread(target=self._serve, name="inpars-plus-torch-model", daemon=True)
        self._thread.start()

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, special tokens in it recognised, none added."""
        return [int(token) for token in self._tokenizer(text, add_special_tokens=False)["input_ids"]]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """Chat turns in the model's own template, ready for the assistant's answer.

        Raises:
            ConfigurationError: the model has none.
        """
        if not self._tokenizer.chat_template:
            raise ConfigurationError(
                "the model has no chat template", place=str(self.path), remedy="Use a program with completion prompts"
            )
        return str(self._tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False))

    def config(self, **settings: Any) -> Any:
        """Settings of a request, named as the other pipeline names them."""
        known: dict[str, Any] = {"max_new_tokens": 64, "stop_strings": set(), "do_sample": False, "ignore_eos": False}
        known |= {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "rng_seed": 0}
        known |= {"frequency_penalty": 0.0, "presence_penalty": 0.0}
        return SimpleNamespace(**{**known, **settings})

    def json_config(self, schema: str) -> Any:
        """Nothing here holds a reply to a schema.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            "a model served through torch cannot be held to a JSON schema",
            place=str(self.path),
            remedy="Use completion prompts, or a model with a GGUF file",
        )

    def submit(self, tokens: Sequence[int], config: Any) -> Future[Generated]:
        """Queue a request.

        Returns:
            A future that never waits forever: it gets the reply, or DeadModelError when the model fails.
        """
        future: Future[Generated] = Future()
        self._inbox.put(_Request(list(tokens), config, future))
        return future

    def close(self) -> None:
        """End the thread after the batch it is in; waiting callers get DeadModelError. Closing twice is harmless."""
        self._inbox.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _serve(self) -> None:
        batch: list[_Request] = []
        caught: BaseException | None = None
        try:
            while batch := self._gather():
                for request, reply in zip(batch, self._generate(batch), strict=True):
                    request.future.set_result(reply)
        except BaseException as problem:  # whatever it is, callers wait for it
            caught = problem
        self._inbox.end([request.future for request in batch], caught)

    def _gather(self) -> list[_Request]:
        """The next batch; empty when the thread is to end."""
        first = self._inbox.take()
        batch = [] if first is None else [first]
        with contextlib.suppress(queue.Empty):
            while batch and len(batch) < self._limit:
                request = self._inbox.take(timeout=_WAIT_SECONDS)
                if request is None:
                    break
                batch.append(request)
        return batch

    def _generate(self, batch: Sequence[_Request]) -> list[Generated]:
        torch = torch_itself()

        width = max(len(request.tokens) for request in batch)
        ids = torch.zeros((len(batch), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(batch):
            ids[row, width - len(request.tokens) :] = torch.tensor(request.tokens)
            mask[row, width - len(request.tokens) :] = 1
        writers = [_Writer(self, request.config) for request in batch]
        fed, mask, cache = ids.to(self._device), mask.to(self._device), None
        with torch.no_grad():
            while not all(writer.done for writer in writers):
                positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -fed.shape[1] :]
                out = self._model(
                    input_ids=fed,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                cache = out.past_key_values
                logits = out.logits[:, -1].float().cpu()
                fed = torch.tensor([[writer.take(row)] for writer, row in zip(writers, logits, strict=True)])
                fed = fed.to(self._device)
                mask = torch.cat([mask, mask.new_ones((len(batch), 1))], dim=-1)
        return [Generated(writer.tokens, writer.log_probabilities, writer.cut) for writer in writers]


class _Writer:
    """One reply of a batch: chooses its tokens with a random generator of its own, and knows when it is finished."""

    def __init__(self, pipeline: TorchPipeline, config: Any) -> None:
        torch = torch_itself()

        self.tokens: list[int] = []
        self.log_probabilities: list[float] = []
        self.done = False
        self.cut = False
        self._pipeline = pipeline
        self._config = config
        self._random = torch.Generator().manual_seed(int(config.rng_seed))

    def take(self, logits: Any) -> int:
        """Choose the next token from its logits, shape (vocabulary,); a finished reply goes on with any."""
        if self.done:
            return 0
        config = self._config
        if self.tokens and (config.frequency_penalty or config.presence_penalty):
            counts = logits.new_zeros(logits.shape).index_add(
                0, _tensor(self.tokens), logits.new_ones(len(self.tokens))
            )
            logits = logits - config.frequency_penalty * counts - config.presence_penalty * (counts > 0)
        token = self._sampled(logits) if config.do_sample else int(logits.argmax())
        if token in self._pipeline._ends and not config.ignore_eos:
            self.done = True
            return token
        self.tokens.append(token)
        self.log_probabilities.append(float(logits.log_softmax(-1)[token]))
        text = self._pipeline.decode(self.tokens) if config.stop_strings else ""
        self.done = any(stop in text for stop in config.stop_strings)
        if not self.done and len(self.tokens) >= config.max_new_tokens:
            self.done = self.cut = True
        return token

    def _sampled(self, logits: Any) -> int:
        config = self._config
        values, order = (logits / config.temperature).softmax(-1).sort(descending=True)
        if config.top_k:
            values[int(config.top_k) :] = 0.0
        if config.top_p < 1:  # the fewest tokens that come to top_p together
            values[values.cumsum(-1) - values >= config.top_p] = 0.0
        return int(order[values.multinomial(1, generator=self._random)])


def _tensor(tokens: Sequence[int]) -> Any:
    torch = torch_itself()

    return torch.tensor(tokens)
