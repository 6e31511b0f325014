"""One local model in memory, fed by many threads: a thread of its own drives ``openvino_genai``.

``ContinuousBatchingPipeline`` is not made to be stepped from several threads, so one daemon thread adds requests and
steps while callers wait on futures. An error in a step reaches every waiting caller.

A step holds Python's global lock, so callers that got their replies can prepare their next requests only between two
steps. Stepping on at once would starve them: the batch would run half empty, and as many tokens would take twice the
steps. So the thread waits a moment for requests that are likely to come (:meth:`Pipeline._patience`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.parts import require
from inpars_plus.lms.inbox import Inbox, what_it_says
from inpars_plus.lms.prefixes import BLOCK, PrefixGuard, Ticket

__all__ = ["Generated", "Pipeline"]

_INSTALL = "pip install openvino-genai"
_SEQUENCES = 96
_BATCHED_TOKENS = 512
"""Most tokens of one step. The smallest of the sizes tried was the fastest on two cores."""
_CACHED_TOKENS = 32_768
"""Tokens whose keys and values are kept, 12 kB each with the embedded model, 23 kB in single-stream mode. Requests wait
until theirs fit."""
_PLAIN_SEQUENCES = 24
"""Most requests at once without a prefix cache: each holds keys and values of its own."""
_PLAIN_CACHED_TOKENS = 16_384
_LONGEST_REPLY = 4096
"""No reply is waited for as if it were longer; without a limit, the engine's is the model's context."""
_ARITHMETIC = {"INFERENCE_PRECISION_HINT": "f32"}
"""Single precision also where a processor has bfloat16, which OpenVINO would choose; docs/benchmarks.md has what it
costs."""
_EXACT_ARITHMETIC = _ARITHMETIC | {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "KV_CACHE_PRECISION": "f16"}
"""Nor are activations rounded to 8 bits, as they are on processors with VNNI, nor keys and values, as they are on all:
what a model says is the same on all processors and in torch. It takes up to twice as long."""
_EXIT_SECONDS = 10.0
_PATIENCE_SECONDS = 0.03
"""Longest wait between two requests for a batch to fill up again; a caller needs about 3 ms from reply to request."""


@dataclass(frozen=True)
class Generated:
    """What one request came to.

    Attributes:
        tokens: generated token ids (with ``echo``, those of the prompt before them).
        log_probabilities: natural logarithms, one a token, aligned with the end of ``tokens``; positions whose
            keys and values were cached are missing at the front.
        cut: whether it ended at the most tokens allowed.
    """

    tokens: list[int]
    log_probabilities: list[float]
    cut: bool


@dataclass(frozen=True)
class _Request:
    tokens: list[int]
    config: Any
    future: Future[Generated]

    @property
    def size(self) -> int:
        """Tokens that it may come to hold, in whole blocks."""
        longest = len(self.tokens) + min(int(self.config.max_new_tokens), _LONGEST_REPLY)
        return -(-longest // BLOCK) * BLOCK


class Pipeline:
    """A GGUF model behind a queue.

    Args:
        path: the GGUF file.
        prefix_caching: keep keys and values of prompts, so that demonstrations shared by prompts are read once.
            Requests that the cache would mix up (see :mod:`inpars_plus.lms.prefixes`) go to a second pipeline without
            one, loaded when the first comes.
        one_at_a_time: never batch, which changes roundings and so words, and round nothing but weights to 8 bits. This
            mode repeats exactly.

    Raises:
        MissingPartError: ``openvino-genai`` is not installed.
        ConfigurationError: the file is not a model it can read.
    """

    def __init__(self, path: Path, *, prefix_caching: bool = True, one_at_a_time: bool = False) -> None:
        self.path = path
        self._genai: Any = require("openvino_genai", install=_INSTALL, purpose="Running a local language model")
        self._openvino: Any = require("openvino", install=_INSTALL, purpose="Running a local language model")
        scheduler = self._genai.SchedulerConfig()
        scheduler.cache_size = 0
        self._capacity = _CACHED_TOKENS if prefix_caching else _PLAIN_CACHED_TOKENS
        scheduler.num_kv_blocks = self._capacity // BLOCK
        scheduler.enable_prefix_caching = prefix_caching
        sequences = _SEQUENCES if prefix_caching else _PLAIN_SEQUENCES
        scheduler.max_num_seqs = sequences
        scheduler.max_num_batched_tokens = _BATCHED_TOKENS
        arithmetic = _EXACT_ARITHMETIC if one_at_a_time else _ARITHMETIC
        try:
            self._pipeline = self._genai.ContinuousBatchingPipeline(os.fspath(path), scheduler, "CPU", arithmetic)
        except (RuntimeError, IndexError) as problem:  # the latter of a file whose tokenizer has no merges
            raise ConfigurationError(
                f"the file cannot be loaded as a GGUF model ({what_it_says(problem)})",
                place=str(path),
                remedy="Give a GGUF file of a Llama, Qwen or SmolLM model",
            ) from problem
        self._tokenizer = self._pipeline.get_tokenizer()
        # The tokenizer cuts silently at the model's context; a text that fills it was probably cut.
        self.context_tokens = min(len(self._encode("a " * 200_000)), self._capacity)
        self._guard = PrefixGuard() if prefix_caching else None
        self._plain: Pipeline | None = None
        self._limit = 1 if one_at_a_time else 4 * sequences if prefix_caching else sequences
        self._inbox: Inbox[_Request] = Inbox(path)
        self._held: _Request | None = None  # taken out of the inbox, but does not fit yet
        self._sizes: dict[Any, int] = {}  # of the requests that run
        self._requests = 0
        self._crowd = 0  # how many requests ran at once lately
        self._renew_lock()
        in_each_fork(self._renew_lock)
        self._thread = threading.Thread(target=self._serve, name="inpars-plus-model", daemon=True)
        self._thread.start()
        _open.add(self)

    def _renew_lock(self) -> None:
        self._plain_lock = threading.Lock()

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, special tokens in it recognised, none added."""
        return self._encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(tokens))) if tokens else ""

    def render(self, turns: Sequence[dict[str, str]]) -> str:
        """Chat turns in the model's own template, ready for the assistant's answer."""
        history = self._genai.ChatHistory(list(turns))
        return str(self._tokenizer.apply_chat_template(history, add_generation_prompt=True))

    def config(self, **settings: Any) -> Any:
        """A ``GenerationConfig`` for :meth:`submit`; the prompt goes to the model as it is."""
        config = self._genai.GenerationConfig()
        config.apply_chat_template = False
        for name, value in settings.items():
            setattr(config, name, value)
        return config

    def json_config(self, schema: str) -> Any:
        """The setting ``structured_output_config`` that makes every reply a JSON text of a schema."""
        return self._genai.StructuredOutputConfig(json_schema=schema)

    def submit(self, tokens: Sequence[int], config: Any) -> Future[Generated]:
        """Queue a request.

        Returns:
            A future that never waits forever: it gets the reply, or DeadModelError when the pipeline fails.
        """
        ticket = self._guard.enter(tokens) if self._guard is not None else None
        if self._guard is not None and ticket is None:
            return self.plain.submit(tokens, config)
        future: Future[Generated] = Future()
        if ticket is not None:
            echoed = len(tokens) if config.echo else 0
            future.add_done_callback(lambda done: self._leave(ticket, done, echoed))
        self._inbox.put(_Request(list(tokens), config, future))
        return future

    @property
    def plain(self) -> Pipeline:
        """The same model without a prefix cache; loaded at the first use."""
        if self._guard is None:
            return self
        with self._plain_lock:
            if self._plain is None:
                self._plain = Pipeline(self.path, prefix_caching=False)
            return self._plain

    def close(self) -> None:
        """End the thread after the step it is in; waiting callers get DeadModelError. Closing twice is harmless."""
        self._inbox.close()
        if self._thread is not threading.current_thread():
            self._thread.join(_EXIT_SECONDS)
        if self._plain is not None:
            self._plain.close()

    def _encode(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data
        return [int(token) for token in ids[0]]

    def _serve(self) -> None:
        active: dict[Any, Future[Generated]] = {}
        caught: BaseException | None = None
        try:
            while self._gather(active):
                self._pipeline.step()
                for handle in [handle for handle in active if handle.get_status() != self._running]:
                    self._finish(handle, active[handle])
                    del active[handle], self._sizes[handle]
        except BaseException as problem:  # whatever it is, callers wait for it
            caught = problem
        held = [] if self._held is None else [self._held.future]
        self._inbox.end([*active.values(), *held], caught)
        self._abandon(list(active))

    def _leave(self, ticket: Ticket, done: Future[Generated], echoed: int) -> None:
        assert self._guard is not None
        generated: list[int] = []
        if done.exception() is None:
            # When the reply was cut, nothing was computed from its last token, so that one is not in the cache.
            generated = done.result().tokens[echoed : -1 if done.result().cut else None]
        self._guard.leave(ticket, generated)

    @property
    def _running(self) -> Any:
        return self._genai.GenerationStatus.RUNNING

    def _gather(self, active: dict[Any, Future[Generated]]) -> bool:
        """Add what waits; sleep while there is nothing to do. False when the pipeline is to end."""
        before = self._crowd
        if self._held is not None and self._inbox.failure is not None:
            return False
        while len(active) < self._limit:
            item = self._held
            if item is None:
                patience = self._patience(len(active), before)
                try:
                    item = self._inbox.take(timeout=patience)
                except queue.Empty:
                    if patience and len(active) < self._crowd:
                        self._crowd = 0
                    return True
            if item is None:
                return False
            # A request that does not fit beside the others would be dropped by the engine. What prompts share is
            # counted for each, so this is on the safe side.
            if active and sum(self._sizes.values()) + item.size > self._capacity:
                self._held = item
                return True
            self._held = None
            self._requests += 1
            try:
                ids = self._openvino.Tensor(np.array([item.tokens], dtype=np.int64))
                handle = self._pipeline.add_request(self._requests, ids, item.config)
            except Exception as problem:  # a bad setting of one request must not end the others
                item.future.set_exception(problem)
            else:
                active[handle], self._sizes[handle] = item.future, item.size
            self._crowd = max(self._crowd, len(active))
        return True

    def _patience(self, active: int, before: int) -> float | None:
        """How long to wait for the next request: in seconds, ``None`` for ever.

        While fewer requests run than lately did, callers are probably about to ask again; while there are more than
        before, they are still coming. A wait in vain ends the first, until somebody asks again.
        """
        if not active:
            return None
        return _PATIENCE_SECONDS if active < self._crowd or active > before else 0.0

    def _finish(self, handle: Any, future: Future[Generated]) -> None:
        if handle.get_status() == self._genai.GenerationStatus.IGNORED:
            future.set_exception(
                DeadModelError("the local language model ran out of cache memory", place=str(self.path))
            )
            return
        outputs = handle.read_all()
        if not outputs:  # the first token already completed a stop string
            future.set_result(Generated([], [], False))
            return
        output = outputs[0]
        cut = output.finish_reason == self._genai.GenerationFinishReason.LENGTH
        future.set_result(Generated(list(output.generated_ids), list(output.generated_log_probs), cut))

    def _abandon(self, handles: list[Any]) -> None:
        # Requests left in the pipeline are reported on stderr as a leak when the process ends.
        with contextlib.suppress(Exception):
            for handle in handles:
                handle.cancel()
            for _ in range(3):
                if self._pipeline.has_non_finished_requests():
                    self._pipeline.step()


_open: weakref.WeakSet[Pipeline] = weakref.WeakSet()
os.register_at_fork(after_in_child=_open.clear)


@atexit.register
def _close_all() -> None:
    # A thread inside native code while the interpreter is torn down crashes the process.
    for pipeline in list(_open):
        pipeline.close()
