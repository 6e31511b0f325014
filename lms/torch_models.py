"""Models in torch, in Hugging Face's form or read from GGUF: for tuning, and to serve what has no GGUF form.

A GGUF file is read with its weights dequantised, which is a good start for tuning; a directory is read as it is.
Nothing is downloaded, and no code that comes with a model is run.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from inpars_plus.foundation.errors import ConfigurationError, InputError, RunError
from inpars_plus.foundation.files import (
    TEMPORARY_SUFFIX,
    default_cache_directory,
    digest,
    digest_file,
    read_json,
    write_json,
)
from inpars_plus.foundation.parts import require

if TYPE_CHECKING:
    import torch

__all__ = ["load_causal_lm", "pick_precision", "silent", "torch_itself", "weight_files", "weights_digest"]

_INSTALL = "pip install transformers"
_KEPT = "kept.json"

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
    settings: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    source: dict[str, Any] = {}
    weights: dict[str, Any] = {"use_safetensors": True}
    if path.is_dir():
        weight_files(path)
        folder = path
    elif _is_whole(converted := _converted(path, dtype, transformers.__version__)):
        folder = converted
    else:
        require("gguf", install="pip install gguf", purpose="Reading a GGUF file with torch")
        folder, source, weights = path.parent, {"gguf_file": path.name}, {}
    try:
        with silent(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **source, **settings)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=attention, **source, **weights, **settings
            )
            if source:
                model = _plain(transformers, model, attention)
                _keep(converted, model, tokenizer)
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, SafetensorError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise ConfigurationError(
            f"the model cannot be read ({first})",
            place=str(path),
            remedy="Give a GGUF file of a Llama or Qwen model, or a directory that save_pretrained wrote",
        ) from problem
    # The last position of a batch is a view with gaps, for which torch would copy the head once for each row.
    model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return model, tokenizer


def pick_precision(device: torch.device | str) -> torch.dtype:
    """bfloat16 where the machine computes with it, single precision elsewhere."""
    module = torch_itself()
    kind = module.device(device).type
    fast = {"cuda": lambda: module.cuda.is_bf16_supported(), "cpu": _cpu_bf16}.get(kind, lambda: False)()
    chosen: torch.dtype = module.bfloat16 if fast else module.float32
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


def _converted(path: Path, dtype: torch.dtype, version: str) -> Path:
    """Where the torch form of a GGUF file is kept: to read the file itself takes several times as long."""
    name = digest([digest_file(path), str(dtype), version])[:32]
    return default_cache_directory() / "models" / name


def _is_whole(directory: Path) -> bool:
    """Whether a kept model is there; a damaged one is removed with a warning."""
    if not directory.is_dir():
        return False
    try:
        if read_json(directory / _KEPT, kind="record of a kept model") == {"sha256": weights_digest(directory)}:
            return True
    except (ConfigurationError, InputError):
        pass
    _log.warning("the kept model %s is damaged, so it is made again", directory)
    shutil.rmtree(directory, ignore_errors=True)
    return False


def _keep(directory: Path, model: Any, tokenizer: Any) -> None:
    """Keep a model in one step; where there is no room for it, go on without."""
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        write_json(temporary / _KEPT, {"sha256": weights_digest(temporary)})
        if not directory.exists():  # another process may have been quicker
            temporary.rename(directory)
    except (OSError, SafetensorError, RunError) as problem:
        _log.warning("the torch form of the model is not kept in %s (%s)", directory.parent, problem)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cpu_bf16() -> bool:
    torch = torch_itself()
    # Without hardware for it bfloat16 is emulated and slower than single precision.
    capability = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if capability is not None:
        return bool(capability())
    return bool(getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")() == "AVX512")


def torch_itself() -> Any:
    """The package torch, imported when it is first needed: most of what loads this module never computes with it.

    Raises:
        MissingPartError: it is not installed.
    """
    return require("torch", install="pip install torch", purpose="Running a model in torch")
