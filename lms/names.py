"""From a name to a language model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.lms.embedded import EmbeddedEngine, local_model, model_in
from inpars_plus.lms.engine import EngineLM, sentence
from inpars_plus.lms.limits import Price, SpendingLimits, budget_of
from inpars_plus.lms.replies import ReplyStore

__all__ = ["is_local", "load_lm"]

_LOCAL_TOKENS = 48


def is_local(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a model that runs here, so that no document leaves this machine; a path always is."""
    if isinstance(name, os.PathLike):
        return True
    return name == "embedded" or name.startswith("gguf:") or model_in(Path(name).expanduser()) is not None


def load_lm(
    name: str | os.PathLike[str],
    *,
    limits: SpendingLimits | None = None,
    store: ReplyStore | None = None,
    api_base: str | None = None,
    api_key: str | None = None,
    patience: float | None = None,
    temperature: float | None = 0.0,
    max_tokens: int | None = None,
    seed: int = 0,
    single_stream: bool = False,
    **settings: Any,
) -> EngineLM:
    """The language model of a name. Nothing is loaded, and nobody is called, before its first call.

    Args:
        name: ``embedded``, ``gguf:PATH``, the directory of a tuned generator or of a model for torch, or any model id
            of LiteLLM, such as ``openai/gpt-4o-mini`` (with ``api_base`` any server that speaks OpenAI's protocol). A
            ``Path`` is that of such a directory or of a GGUF file.
        limits: what may be spent.
        store: where finished replies are kept and found again.
        api_base: address of the server of a hosted model.
        api_key: its key; without one, the provider's environment variable.
        patience: seconds for which a hosted model that takes no more requests (429) is waited out, all its calls
            together, before it is given up; without it 150, which suits jobs, and 0 where ``num_retries`` is 0. An
            application whose callers wait gives a few seconds. The attempts of ``num_retries`` come on top.
        temperature: 0 is greedy; ``None`` leaves it to a hosted model. OpenAI's reasoning models (o3, gpt-5) refuse any
            but 1: 0, and what single calls ask for, is left out, so that all they write is sampled as they do it.
        max_tokens: most tokens of a reply; the default is 48 for local models, which write one line, 16,000 for
            OpenAI's reasoning models, which think within them, and 1,024 for others.
        seed: of a local model's sampling.
        single_stream: a local model takes one request at a time, which repeats exactly but is slow.
        settings: further settings of ``dspy.LM``, such as ``top_p`` and ``num_retries``; for a hosted model also
            ``timeout`` in seconds.

    Returns:
        A ``dspy.LM`` whose calls are counted, limited and kept.

    Raises:
        MissingPartError: a package that it needs is not installed.
        ConfigurationError: the name or a setting is wrong, or a cap in currency has no known price.
    """
    local = is_local(name)
    if isinstance(name, os.PathLike):
        path = Path(name).expanduser().absolute()  # so that a folder named "embedded" is that folder
        name = f"gguf:{path}" if path.is_file() else str(path)
    if local:
        if api_base or api_key:
            raise ConfigurationError(
                f"'{name}' runs on this machine and takes no address and no key",
                remedy="Leave them out, or name the model of the server, such as openai/its-name",
            )
        if patience is not None:
            raise ConfigurationError(
                f"'{name}' runs on this machine and refuses no requests", place="patience", remedy="Leave it out"
            )
        model = local_model(name)
        # A cap in currency may be meant for another model of the run; what runs here costs nothing.
        budget = budget_of(limits, price=Price(0.0, 0.0), label=model.name, store=store)
        engine = EmbeddedEngine(
            name=model.name,
            path=model.path,
            seed=seed,
            single_stream=single_stream,
            store=store,
            budget=budget,
            openings=model.openings,
            tuned_for=model.tuned_for,
        )
        tokens = max_tokens or _LOCAL_TOKENS
        try:
            return EngineLM(engine, temperature=temperature, max_tokens=tokens, **{"num_retries": 0, **settings})
        except (TypeError, ValueError) as problem:
            raise ConfigurationError(f"the language model '{name}' cannot be set up ({sentence(problem)})") from problem
    from inpars_plus.lms.hosted import hosted_lm

    return hosted_lm(
        name,
        limits=limits,
        store=store,
        api_base=api_base,
        api_key=api_key,
        patience=patience,
        temperature=temperature,
        max_tokens=max_tokens,
        **settings,
    )
