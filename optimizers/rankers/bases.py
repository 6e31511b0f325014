"""What fine-tuning begins with: a model of a name, found on this machine and of the kind that is asked for.

An encoder of sentence-transformers is taken as it is. Another encoder of Transformers, such as BERT, gets mean pooling
over its tokens, as sentence-transformers does. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import read_json
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.texts import made_whole
from inpars_plus.retrieval.encoders import Encoder, load_encoder, model_directory, reading_model, require_words

__all__ = ["base_encoder", "cross_encoder_base", "cross_encoder_to_train", "load_pair_scorer"]

_PAIRS = "ForSequenceClassification"
_WRITES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")


def base_encoder(name: str | None) -> Encoder:
    """The encoder that a bi-encoder is tuned from.

    Args:
        name: a directory, or the id of a model in the local cache of the Hugging Face hub; an encoder of
            sentence-transformers, or any other encoder of Transformers. ``None`` is the embedded MiniLM.

    Raises:
        MissingPartError: the model is not on this machine; the remedy is the command that gets it.
        ConfigurationError: it is no encoder, or has no safetensors weights.
    """
    if name is None or (model_directory(name) / "modules.json").is_file():
        return load_encoder(name)
    directory = model_directory(name)
    kinds = _architectures(directory)
    if any(_PAIRS in one for one in kinds):
        raise ConfigurationError(
            "here is a model that grades texts or pairs of them, and no encoder",
            place=str(directory),
            remedy="Name an encoder, which turns a text into a vector",
        )
    return Encoder(directory)


def cross_encoder_base(name: str | None) -> Path:
    """The directory of what a cross-encoder is tuned from.

    Args:
        name: as for :func:`base_encoder`, or a cross-encoder, such as ``cross-encoder/ms-marco-MiniLM-L6-v2``. An
            encoder gets a new head.

    Raises:
        MissingPartError: the model is not on this machine; the remedy is the command that gets it.
        ConfigurationError: it writes text, or has no safetensors weights.
    """
    if name is None:
        return load_encoder().directory
    directory = model_directory(name)
    if (directory / "modules.json").is_file():
        _require_weights(directory)
    else:
        _architectures(directory)
    return directory


def cross_encoder_to_train(name: str | None, *, max_tokens: int) -> Any:
    """A ``CrossEncoder`` with one grade a pair, on the GPU that CUDA knows or the CPU.

    Args:
        name: as for :func:`cross_encoder_base`; the head of an encoder is new, drawn from torch's random numbers.
        max_tokens: of a pair; the rest is cut.

    Raises:
        MissingPartError: as for :func:`cross_encoder_base`.
        ConfigurationError: as there; or it gives a pair several grades, or cannot be read.
    """
    directory = cross_encoder_base(name)
    with reading_model(directory, "a cross-encoder"):
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(str(directory), local_files_only=True)
        grades = config.num_labels if any(map(_grades, config.architectures or [])) else 1
    if grades != 1:
        raise ConfigurationError(
            f"the cross-encoder gives a pair {grades} grades, and one is trained",
            place=str(directory),
            remedy="Name an encoder, or a cross-encoder with one grade",
        )
    return _read_cross_encoder(directory, num_labels=1, max_length=max_tokens)


def load_pair_scorer(name: str) -> Callable[[Sequence[tuple[str, str]]], list[float]]:
    """A cross-encoder as a function from (query, text) pairs to logits; more is better.

    Args:
        name: a directory, or the id of a model in the local cache of the Hugging Face hub.

    Raises:
        MissingPartError: the model is not on this machine; the remedy is the command that gets it.
        ConfigurationError: it is no cross-encoder with one grade a pair.
    """
    directory = cross_encoder_base(name)
    config = read_json(directory / "config.json", kind="configuration of a model", error=ConfigurationError)
    model = _read_cross_encoder(directory) if any(map(_grades, config.get("architectures") or [])) else None
    if model is None or model.num_labels != 1:
        raise ConfigurationError(
            "here is no cross-encoder that gives a pair one grade",
            place=str(directory),
            remedy="Name one, such as cross-encoder/ms-marco-MiniLM-L6-v2",
        )

    def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        whole = [(made_whole(query), made_whole(text)) for query, text in pairs]
        values = model.predict(whole, show_progress_bar=False, activation_fn=torch.nn.Identity())
        return [float(value) for value in values]

    return score


def _grades(architecture: Any) -> bool:
    """Whether a class of Transformers grades texts, by its name."""
    return str(architecture).endswith(_PAIRS)


def _read_cross_encoder(directory: Path, **settings: Any) -> Any:
    package = require("sentence_transformers", install="pip install sentence-transformers", purpose="Re-ranking")
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with reading_model(directory, "a cross-encoder"):
        model = package.CrossEncoder(
            str(directory),
            device=device,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
            **settings,
        )
    require_words(model, directory)
    return model


def _architectures(directory: Path) -> list[str]:
    """The classes that a model of Transformers names as its own; those that write text are refused."""
    _require_weights(directory)
    config: Any = read_json(directory / "config.json", kind="configuration of a model", error=ConfigurationError)
    names = [str(one) for one in (config.get("architectures") if isinstance(config, dict) else None) or []]
    writer = next((one for one in names if one.endswith(_WRITES)), None)
    if writer is not None:
        raise ConfigurationError(
            f"a {writer} writes text, and is no encoder",
            place=str(directory),
            remedy="Name an encoder or a cross-encoder",
        )
    return names


def _require_weights(directory: Path) -> None:
    if not (directory / "config.json").is_file() or not any(directory.rglob("*.safetensors")):
        raise ConfigurationError(
            "here is no model with safetensors weights",
            place=str(directory),
            remedy="Name the directory of a model, such as one fetched with: hf download",
        )
