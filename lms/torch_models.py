"""Models in torch, in Hugging Face's form or read from GGUF: for tuning, and to serve what has no GGUF form.

A GGUF file is read with its weights dequantised, which is a good start for tuning; a directory is read as it is.
Nothing is downloaded, and no code that comes with a model is run.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.files import digest, digest_file
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.precision import fast_precision
from inpars_plus.lms.kept_models import find_kept, keep, kept_directory

if TYPE_CHECKING:
    import torch

__all__ = ["load_causal_lm", "pick_precision", "silent", "torch_itself", "weight_files", "weights_digest"]

_INSTALL = "pip install transformers"

_log = logging.getLogger("inpars_plus")


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model's directory.

    Raises:
        ConfigurationError: there is none.
    """
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ConfigurationError(
            "the directory has no safetensors weights",
            place=str(directory),
            remedy="Save the model with save_pretrained; pickled weights are not read",
        )
    return files


def weights_digest(path: Path) -> str:
    """The SHA-256 of a GGUF file; of a directory, that of the digests of its weight files.

    Raises:
        ConfigurationError: the directory has no weights.
        InputError: a file cannot be read.
    """
    return digest_file(path) if path.is_file() else digest([digest_file(file) for file in weight_files(path)])


def load_causal_lm(path: Path, *, dtype: torch.dtype, attention: str = "sdpa") -> tuple[Any, Any]:
    """A causal language model of ``transformers`` and its tokenizer.

    A GGUF file takes long to take apart, so what it becomes is kept in the cache directory, once for each precision.

    Args:
        path: a GGUF file, or a directory with ``config.json``, safetensors and tokenizer.
        dtype: of the weights.
        attention: which attention it computes with.

    Raises:
        MissingPartError: ``transformers`` or ``gguf`` is not installed.
        ConfigurationError: it cannot be read.
    """
    transformers = require("transformers", install=_INSTALL, purpose="Running a model in torch")
    if path.is_dir():
        weight_files(path)
        model, tokenizer = _read(transformers, path, dtype, attention)
    else:
        place = kept_directory(path, dtype)
        kept = find_kept(place)
        if kept is not None:
            model, tokenizer = _read(transformers, kept, dtype, attention)
        else:
            require("gguf", install="pip install gguf", purpose="Reading a GGUF file with torch")
            model, tokenizer = _read(transformers, path, dtype, attention)
            with silent(transformers):
                trouble = keep(place, model, tokenizer)
            if trouble is not None:
                _log.warning("the torch form of the model is not kept (%s)", trouble)
    # The last position of a batch is a view with gaps, for which torch would copy the head once for each row.
    model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return model, tokenizer


def _read(transformers: Any, path: Path, dtype: torch.dtype, attention: str) -> tuple[Any, Any]:
    settings: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    weights: dict[str, Any] = {}
    folder = path
    if path.is_dir():
        weights["use_safetensors"] = True
    else:
        folder, settings["gguf_file"] = path.parent, path.name
    try:
        with silent(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **settings)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=attention, **weights, **settings
            )
            return model if path.is_dir() else _plain(transformers, model, attention), tokenizer
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, SafetensorError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise ConfigurationError(
            f"the model cannot be read ({first})",
            place=str(path),
            remedy="Give a GGUF file of a Llama or Qwen model, or a directory that save_pretrained wrote",
        ) from problem


def pick_precision(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the machine computes with it, single precision elsewhere."""
    module = torch_itself()
    chosen: torch.dtype = getattr(module, fast_precision(module.device(device).type))
    return chosen


@contextmanager
def silent(transformers: Any) -> Iterator[None]:
    """Inside, ``transformers`` shows nothing: loading and saving take seconds, and its bars and advice are not ours."""
    logging = transformers.utils.logging
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)


def _plain(transformers: Any, model: Any, attention: str) -> Any:
    """A model read from GGUF without the mark of its quantization, which would keep it from being saved."""
    config = model.config
    del config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(config, dtype=model.dtype, attn_implementation=attention)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    return plain


def torch_itself() -> Any:
    """The package torch, imported when it is first needed: most of what loads this module never computes with it.

    Raises:
        MissingPartError: it is not installed.
    """
    return require("torch", install="pip install torch", purpose="Running a model in torch")
