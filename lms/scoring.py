"""How likely a model finds a given completion: the naturalness of a query, without generating anything.

The score of a completion under a prompt is the mean over its tokens of ``ln p(token | prompt, earlier tokens)``.

Where the completion begins. Prompt and completion are turned into tokens apart and then joined, so that the tokens of
the prompt never depend on what follows, and every completion of one prompt is scored behind the same tokens. Give the
completion with its leading space (``"Query:"`` and ``" boiling point of water"``), as the model would write it; without
one it is added.

How it is made fast. The engine can echo the log-probabilities of a prompt, but computing them for every token of a
long document costs four times the reading. So the prompt is read first without echo, and its keys and values stay in
the prefix cache; the second request repeats prompt and completion with echo, and only the tail that is not cached is
computed. Positions that *are* cached come back without a log-probability, also where an earlier completion began with
the same words, so log-probabilities are remembered by their tokens. What is neither computed nor remembered (the same
words were generated before, not scored) is asked of the pipeline without a prefix cache.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.lms.embedded import local_model, shared_pipeline
from inpars_plus.lms.pipeline import Pipeline
from inpars_plus.lms.prefixes import BLOCK

__all__ = ["CompletionScore", "EmbeddedScorer", "Scorer", "load_scorer"]

_REMEMBERED = 200_000
"""Log-probabilities kept, about 35 MB."""


@dataclass(frozen=True)
class CompletionScore:
    """How likely a completion is.

    Attributes:
        log_probabilities: natural logarithms, one a token of the completion, in order; all are at most 0.
    """

    log_probabilities: tuple[float, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the completion."""
        return len(self.log_probabilities)

    @property
    def mean_log_probability(self) -> float:
        """Their mean; minus infinity for an empty completion."""
        return math.fsum(self.log_probabilities) / self.tokens if self.tokens else -math.inf


class Scorer(Protocol):
    """Anything that scores completions, always batched."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        """Score (prompt, completion) pairs; one score a pair, in order."""


class _Sequence:
    """A pair as tokens, with a key for each token of its completion that stands for all tokens up to it.

    Args:
        prompt: ids.
        completion: ids.
        alone: the keys stand for this whole completion too, so that what another began with is never its own.
    """

    def __init__(self, prompt: list[int], completion: list[int], *, alone: bool = False) -> None:
        self.prompt = prompt
        self.completion = completion
        self.keys: list[bytes] = []
        head = [*prompt, *completion] if alone else prompt
        running = hashlib.blake2b(np.asarray(head, dtype=np.int32).tobytes(), digest_size=12)
        for token in completion:
            running.update(np.int32(token).tobytes())
            self.keys.append(running.digest())

    def known_in(self, known: OrderedDict[bytes, float] | dict[bytes, float]) -> bool:
        return all(key in known for key in self.keys)


class EmbeddedScorer:
    """Scores with a local GGUF model, the same one in memory that generates.

    Safe to call from many threads, one of which is served at a time.

    Args:
        path: the GGUF file; loaded at the first call.
        name: the model's name, with its digest.
        single_stream: one pair at a time and nothing cached between them: slower, and a score does not depend on what
            was scored before or beside it.
    """

    def __init__(self, path: Path, name: str, *, single_stream: bool = False) -> None:
        self.name = name
        self._path = path
        self._single_stream = single_stream
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._usage = LmUsage()
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        # One call at a time: keys and values that another call has just cached come back without log-probabilities,
        # and that other call would not have remembered them yet.
        self._turn = threading.Lock()

    @property
    def usage(self) -> LmUsage:
        """Requests to the model, tokens of prompts and completions; what was remembered is not in it."""
        return self._usage

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[CompletionScore]:
        """Score (prompt, completion) pairs.

        Returns:
            One score a pair, in order. A blank completion has no tokens and the mean minus infinity.

        Raises:
            InputError: a prompt is empty, or a pair is longer than the model's context.
            DeadModelError: the model failed.
        """
        # load_scorer lets no other in.
        pipeline = cast(Pipeline, shared_pipeline(self._path, single_stream=self._single_stream))
        alone = self._single_stream
        sequences = [_tokens(pipeline, prompt, completion, alone=alone) for prompt, completion in pairs]
        with self._turn:
            started = time.perf_counter()
            known = {key: self._remembered[key] for one in sequences for key in one.keys if key in self._remembered}
            waiting = {one.keys[-1]: one for one in sequences if not one.known_in(known)}
            if not alone:
                self._read_prompts(pipeline, waiting.values())
            self._echo(pipeline, waiting.values(), known)
            missing = [one for one in waiting.values() if not one.known_in(known)]
            if missing:
                self._echo(pipeline.plain, missing, known)
            self._remember(known)
            self._usage += LmUsage(
                calls=len(waiting),
                prompt_tokens=sum(len(one.prompt) for one in waiting.values()),
                completion_tokens=sum(len(one.completion) for one in waiting.values()),
                seconds=time.perf_counter() - started,
            )
        return [CompletionScore(tuple(known[key] for key in one.keys)) for one in sequences]

    def _read_prompts(self, pipeline: Pipeline, sequences: Collection[_Sequence]) -> None:
        # Without the last token of the prompt, because what the model says after it is the first log-probability. A
        # prompt of several completions is read in whole blocks only: the cache mixes up requests that share a part.
        together = Counter(tuple(one.prompt) for one in sequences)
        lengths = {
            prompt: (len(prompt) - 1) // BLOCK * BLOCK if n > 1 else len(prompt) - 1 for prompt, n in together.items()
        }
        heads = {prompt[:length] for prompt, length in lengths.items() if length}
        config = pipeline.config(max_new_tokens=1, ignore_eos=True, do_sample=False)
        for future in [pipeline.submit(head, config) for head in sorted(heads)]:
            future.result()

    def _echo(self, pipeline: Pipeline, sequences: Iterable[_Sequence], known: dict[bytes, float]) -> None:
        config = pipeline.config(max_new_tokens=1, ignore_eos=True, do_sample=False, echo=True, logprobs=1)
        asked = [(one, pipeline.submit(one.prompt + one.completion, config)) for one in sequences]
        for one, future in asked:
            computed = future.result().log_probabilities[:-1]  # the last is of the token that had to be generated
            computed = computed[-len(one.keys) :]
            known.update(zip(one.keys[len(one.keys) - len(computed) :], computed, strict=True))

    def _remember(self, known: dict[bytes, float]) -> None:
        self._remembered.update(known)
        for key in known:
            self._remembered.move_to_end(key)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def __deepcopy__(self, memo: object) -> EmbeddedScorer:
        return self


_scorers: dict[tuple[str, bool], EmbeddedScorer] = {}


def load_scorer(name: str = "embedded", *, single_stream: bool = False) -> EmbeddedScorer:
    """The scorer of a local model; one a model and process, so that its memory is shared.

    Args:
        name: ``embedded``, ``gguf:PATH``, or the directory of a tuned generator.
        single_stream: see :class:`EmbeddedScorer`.

    Raises:
        MissingPartError: a package that it needs is not installed.
        ConfigurationError: the name is not that of a local model.
    """
    model = local_model(name)
    if model.path.is_dir():
        raise ConfigurationError(
            f"'{name}' is served through torch, and only a GGUF model scores how natural queries are",
            remedy="Name embedded or gguf:PATH",
        )
    made = EmbeddedScorer(model.path, model.name, single_stream=single_stream)
    return _scorers.setdefault((model.name, single_stream), made)  # one step, so that it needs no lock


def _tokens(pipeline: Pipeline, prompt: str, completion: str, *, alone: bool) -> _Sequence:
    if completion and not completion[0].isspace():
        completion = f" {completion}"
    first, second = pipeline.encode(prompt), pipeline.encode(completion) if completion.strip() else []
    if not first:
        raise InputError("a completion cannot be scored behind an empty prompt")
    if len(first) + len(second) >= pipeline.context_tokens:
        raise InputError(
            f"a prompt with its completion has {len(first) + len(second)} tokens or more, but the model reads "
            f"{pipeline.context_tokens}",
            remedy="Cut the prompt",
        )
    return _Sequence(first, second, alone=alone)
