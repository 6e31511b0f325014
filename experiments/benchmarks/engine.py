"""Tokens a second of the embedded engine at several numbers of concurrent calls, beside ``transformers``.

    python -m inpars_plus.experiments.benchmarks.engine

Both read the same GGUF file, the same kind of prompts (passages of equal length from the documentation that comes with
Python) and write the same number of new tokens a prompt. No passage is used twice, so that no cache can help.
"""

from __future__ import annotations

import copy
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from inpars_plus.experiments.benchmarks.common import Benchmark, Row, main_of, median_ratio, passages, timed
from inpars_plus.foundation import LmUsage
from inpars_plus.foundation.parts import require
from inpars_plus.lms import load_lm
from inpars_plus.lms.pipeline import Pipeline
from inpars_plus.retrieval.threads import wait_without_spinning

__all__ = ["measure"]

_CONCURRENT = (1, 4, 16, 32)
_BATCH = 16
_INSTALL = "pip install accelerate gguf"

_Generate = Callable[[Sequence[list[int]]], int]
"""Continues passages and gives the number of new tokens."""


@dataclass
class _Side:
    """One way to generate, and how fast it was in each round."""

    generate: _Generate
    passages: int
    seconds: list[float] = field(default_factory=list)
    new_tokens: list[float] = field(default_factory=list)
    read_tokens: list[float] = field(default_factory=list)

    def run(self, prompts: Sequence[list[int]]) -> None:
        with timed() as watch:
            written = self.generate(prompts)
        self.seconds.append(watch.seconds)
        self.new_tokens.append(written)
        self.read_tokens.append(sum(map(len, prompts)))

    @property
    def rates(self) -> list[float]:
        """New tokens a second, a figure a round."""
        return [tokens / seconds for tokens, seconds in zip(self.new_tokens, self.seconds, strict=True)]

    def figures(self) -> dict[str, Any]:
        total = [new + read for new, read in zip(self.new_tokens, self.read_tokens, strict=True)]
        return {
            "new_tokens_a_second": statistics.median(self.rates),
            "all_tokens_a_second": statistics.median(
                [tokens / seconds for tokens, seconds in zip(total, self.seconds, strict=True)]
            ),
            "passages_a_round": self.passages,
            "seconds": self.seconds,
        }


def measure(quick: bool = False) -> Benchmark:
    """_Generate with both in turn.

    Raises:
        MissingPartError: ``accelerate`` or ``gguf``, with which transformers reads the file, is not installed.
    """
    length, new_tokens, rounds = (32, 4, 1) if quick else (175, 24, 3)
    engine: Any = load_lm("embedded").engine
    pipeline: Pipeline = engine.pipeline
    supply = iter(passages(pipeline.encode, length))
    sides: dict[str, _Side] = {}
    for count in _CONCURRENT:
        wanted = 2 if quick else max(4, count)
        sides[f"engine, {count} concurrent"] = _Side(_through_engine(pipeline, count, new_tokens), wanted)
    models = _transformers(engine.path)
    alone, chosen_alone = _faster(models, 1, new_tokens, supply)
    batched, chosen_batched = _faster(models, _BATCH, new_tokens, supply)
    sides["transformers one by one"] = _Side(alone, 2 if quick else 4)
    sides[f"transformers in batches of {_BATCH}"] = _Side(batched, 2 if quick else _BATCH)
    _through_engine(pipeline, 1, new_tokens)([_take(supply, 1)[0]])
    for number in range(rounds):
        order = list(sides.values())
        for side in order if number % 2 == 0 else reversed(order):
            side.run(_take(supply, side.passages))
    base = sides["transformers one by one"].rates
    rows = [
        Row(
            what=f"{name} / transformers one by one",
            value=median_ratio(side.rates, base),
            at_least=4.0 if name.endswith((" 16 concurrent", " 32 concurrent")) else None,
        )
        for name, side in sides.items()
        if side is not sides["transformers one by one"]
    ]
    both = (sides["engine, 16 concurrent"].rates, sides[f"transformers in batches of {_BATCH}"].rates)
    rows.append(Row(what=f"engine, 16 concurrent / transformers in batches of {_BATCH}", value=median_ratio(*both)))
    own = [side for name, side in sides.items() if name.startswith("engine")]
    return Benchmark(
        name="engine",
        compared=f"New tokens a second, {new_tokens} for each passage of {length} tokens, reading it included; "
        f"the median of {rounds} rounds, in turn. transformers has the weights dequantised, in the faster of bfloat16 "
        f"and float32: {chosen_alone} one by one, {chosen_batched} in batches.",
        rows=rows,
        figures={
            "new_tokens": new_tokens,
            "passage_tokens": length,
            "transformers_one_by_one": chosen_alone,
            "transformers_batches": chosen_batched,
            **{name: side.figures() for name, side in sides.items()},
        },
        lm=LmUsage(
            calls=sum(side.passages * len(side.seconds) for side in own),
            prompt_tokens=int(sum(sum(side.read_tokens) for side in own)),
            completion_tokens=int(sum(sum(side.new_tokens) for side in own)),
        ),
    )


def _take(supply: Iterator[list[int]], count: int) -> list[list[int]]:
    taken = list(islice(supply, count))
    if len(taken) < count:
        raise ValueError("There are too few passages to give every setting its own")
    return taken


def _through_engine(pipeline: Pipeline, concurrent: int, new_tokens: int) -> _Generate:
    def generate(prompts: Sequence[list[int]]) -> int:
        def one(prompt: list[int]) -> int:
            config = pipeline.config(
                max_new_tokens=new_tokens, min_new_tokens=new_tokens, ignore_eos=True, do_sample=False
            )
            generated = pipeline.submit(prompt, config).result()
            pipeline.decode(generated.tokens)
            return len(generated.tokens)

        with ThreadPoolExecutor(concurrent) as pool:
            return sum(pool.map(one, prompts))

    return generate


def _transformers(path: Path) -> dict[str, Any]:
    """The file's weights as plain torch models, by precision."""
    wait_without_spinning()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for part in ("accelerate", "gguf"):
        require(part, install=_INSTALL, purpose="Reading a GGUF file with transformers")
    import torch
    import transformers as untyped

    transformers: Any = untyped
    transformers.utils.logging.disable_progress_bar()
    # Left packed, the weights are unpacked again at every use.
    plain = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        os.fspath(path.parent), gguf_file=path.name, quantization_config=plain, dtype=torch.float32
    ).eval()
    return {"float32": model, "bfloat16": copy.deepcopy(model).to(torch.bfloat16)}


def _with_model(model: Any, batch: int, new_tokens: int) -> _Generate:
    import torch

    def generate(prompts: Sequence[list[int]]) -> int:
        written = 0
        for start in range(0, len(prompts), batch):
            ids = torch.tensor(prompts[start : start + batch])
            output = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=0,
            )
            written += output[:, ids.shape[1] :].numel()
        return written

    return generate


def _faster(models: dict[str, Any], batch: int, new_tokens: int, supply: Iterator[list[int]]) -> tuple[_Generate, str]:
    """The model that generates fastest in batches of a size, after one run to warm up."""
    seconds = {}
    for name, model in models.items():
        generate = _with_model(model, batch, new_tokens)
        generate(_take(supply, 1))
        with timed() as watch:
            generate(_take(supply, batch if batch > 1 else 2))
        seconds[name] = watch.seconds
    best = min(seconds, key=seconds.__getitem__)
    return _with_model(models[best], batch, new_tokens), best


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
