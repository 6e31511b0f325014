"""From tuned weights to a file that the embedded engine, llama.cpp and Ollama serve: safetensors, then GGUF Q8_0.

GGUF names layers its own way (the map is that of the ``gguf`` package) and keeps the rows of Llama's query and key
projections in another order, because its rotary embedding turns neighbouring pairs instead of halves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from inpars_plus.foundation.errors import ConfigurationError, RunError
from inpars_plus.foundation.files import replacing
from inpars_plus.foundation.parts import require
from inpars_plus.lms.pipeline import Pipeline
from inpars_plus.lms.torch_models import silent
from inpars_plus.optimizers.generators.models import BaseModel, same_tokens

__all__ = [
    "EXPORT_FORM",
    "GGUF_ARCHITECTURES",
    "merge_adapters",
    "round_weights",
    "save_adapters",
    "save_weights",
    "why_not_gguf",
    "why_not_served",
    "write_gguf",
]

GGUF_ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""``model_type`` of ``transformers`` → architecture of GGUF. Others are not written as GGUF."""

EXPORT_FORM = "Q8_0, and weights for torch rounded alike"
"""How tuned weights are written. It is an input of what writes them: say another form, and they are written again."""

_BLOCK = 32
_Q8_0_FILE = 7  # llama.cpp's number for a file of mostly Q8_0 tensors


def merge_adapters(model: Any) -> Any:
    """A model of ``transformers`` with its adapters added to its weights; the adapters are gone afterwards."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def save_adapters(model: Any, directory: Path) -> None:
    """Write the adapters as ``peft`` loads them.

    Raises:
        RunError: the disk is full or cannot be written.
    """
    try:
        model.save_pretrained(directory, safe_serialization=True)
    except (OSError, SafetensorError) as problem:
        raise _unwritten(directory, problem) from problem


def save_weights(model: Any, tokenizer: Any, directory: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model and its tokenizer in Hugging Face's form, as vLLM and ``transformers`` load it.

    Raises:
        RunError: the disk is full or cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with silent(require("transformers", install="pip install transformers", purpose="Writing a tuned model")):
            model.to(dtype).save_pretrained(directory, safe_serialization=True)
            tokenizer.save_pretrained(directory)
    except Exception as problem:
        # Of a full disk, tokenizers say so with an exception of no kind.
        if not isinstance(problem, OSError | SafetensorError) and type(problem) is not Exception:
            raise
        raise _unwritten(directory, problem) from problem


def why_not_gguf(base: BaseModel) -> str | None:
    """Why a model cannot be written as GGUF, as a clause; ``None`` if it can."""
    kind = base.model.config.model_type
    if kind not in GGUF_ARCHITECTURES:
        return f"models of type '{kind}' are not written as GGUF, only {', '.join(GGUF_ARCHITECTURES)}"
    rope = getattr(base.model.config, "rope_parameters", None) or {}
    if not base.is_gguf and rope.get("rope_type", "default") != "default":
        return f"the model scales its positions ('{rope['rope_type']}'), which is not written as GGUF"
    if not base.is_gguf and _tokenizer_parts(base) is None:
        return "the base model's tokenizer is none that is written as GGUF"
    return None


def write_gguf(base: BaseModel, model: Any, path: Path) -> None:
    """Write a merged model as GGUF with 8-bit weights.

    Args:
        base: what was tuned; its metadata and its tokenizer carry over.
        model: of ``transformers``, merged, of the same shape.
        path: the file, written in one move.

    Raises:
        ConfigurationError: GGUF has no name for this architecture, or its tokenizer is of another kind.
        RunError: the disk is full or cannot be written.
    """
    gguf = require("gguf", install="pip install gguf", purpose="Writing a GGUF file")
    reason = why_not_gguf(base)
    if reason is not None:
        raise ConfigurationError(
            reason, place=str(base.path), remedy="Serve it through torch, or start from a GGUF file of the model"
        )
    config = model.config
    architecture = GGUF_ARCHITECTURES[config.model_type]
    try:
        with replacing(path) as temporary:
            writer = gguf.GGUFWriter(temporary, architecture)
            if base.is_gguf:
                _copy_fields(gguf, writer, base.path)
            else:
                _describe(gguf, writer, architecture, config, base)
                _add_tokenizer(gguf, writer, base)
            writer.add_file_type(_Q8_0_FILE)
            _add_tensors(gguf, writer, architecture, model)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
    except OSError as problem:
        raise _unwritten(path, problem) from problem


def round_weights(model: Any) -> None:
    """Round a model's weights, in place, to what :func:`write_gguf` writes of them: 8 bits in blocks of 32.

    So the weights that are saved for vLLM and ``transformers`` are those that were served and measured here. Of a model
    that writes several queries with nearly the same probability, 8 bits alone change the first words of one in five.

    Args:
        model: of ``transformers``, merged.
    """
    gguf = require("gguf", install="pip install gguf", purpose="Writing a GGUF file")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if _has_8_bits(tensor):
                blocks = gguf.quants.quantize(_values(tensor), gguf.GGMLQuantizationType.Q8_0)
                tensor.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)))


def why_not_served(base: BaseModel, path: Path) -> str | None:
    """Why a GGUF file would not be served as the model that was tuned, as a clause; ``None`` if it would.

    The file has a name for each way of cutting text before merging, and that of a tokenizer is a guess; so the engine
    loads the file, and what it reads is compared.

    Args:
        base: what was tuned.
        path: of the file.
    """
    try:
        pipeline = Pipeline(path, prefix_caching=False)
    except ConfigurationError as problem:
        return problem.message
    try:
        return None if same_tokens(base, pipeline) else "as GGUF it would read text as other tokens"
    finally:
        pipeline.close()


def _copy_fields(gguf: Any, writer: Any, path: Path) -> None:
    skipped = {"general.architecture", "general.file_type", "general.quantization_version"}
    for field in gguf.GGUFReader(path).fields.values():
        if field.name.startswith("GGUF.") or field.name in skipped:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)


def _describe(gguf: Any, writer: Any, architecture: str, config: Any, base: BaseModel) -> None:
    heads = config.num_attention_heads
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_name(base.path.name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(float(rope.get("rope_theta", getattr(config, "rope_theta", 10_000.0))))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_rope_dimension_count(size)
    if architecture == "qwen3":
        writer.add_key_length(size)
        writer.add_value_length(size)


def _add_tokenizer(gguf: Any, writer: Any, base: BaseModel) -> None:
    """The byte-level BPE of Llama 3, Qwen and SmolLM."""
    tokenizer = base.tokenizer
    found = _tokenizer_parts(base)
    assert found is not None  # or why_not_gguf would have said so
    parts, splitting = found
    size = base.model.config.vocab_size
    tokens = [f"[PAD{at}]" for at in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for token, at in tokenizer.get_vocab().items():
        tokens[at], kinds[at] = token, int(gguf.TokenType.NORMAL)
    for at, added in tokenizer.added_tokens_decoder.items():
        kind = gguf.TokenType.CONTROL if added.special else gguf.TokenType.USER_DEFINED
        tokens[at], kinds[at] = str(added.content), int(kind)
    merges = [one if isinstance(one, str) else " ".join(one) for one in parts["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splitting)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    for add, token in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if token is not None:
            add(token)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _tokenizer_parts(base: BaseModel) -> tuple[dict[str, Any], str] | None:
    """The tokenizer's description, and how GGUF calls its way of cutting; ``None`` for tokenizers of other kinds."""
    tokenizer = base.tokenizer
    parts = json.loads(tokenizer.backend_tokenizer.to_str()) if hasattr(tokenizer, "backend_tokenizer") else {}
    splitting = _splitting(parts)
    return None if parts.get("model", {}).get("type") != "BPE" or splitting is None else (parts, splitting)


def _splitting(parts: dict[str, Any]) -> str | None:
    """llama.cpp's name for how a byte-level BPE cuts text before it merges."""
    text = json.dumps(parts.get("pre_tokenizer"))
    if "ByteLevel" not in text:
        return None
    if "{1,3}" in text:
        return "llama-bpe"
    if "Regex" in text:
        return "qwen2"
    # GPT-2's cut, with digits one by one or without: the same where no two digits merge.
    joined = ("".join(one) if isinstance(one, list) else one.replace(" ", "") for one in parts["model"]["merges"])
    return "gpt-2" if '"Digits"' not in text and any(token.isdecimal() for token in joined) else "smollm"


def _add_tensors(gguf: Any, writer: Any, architecture: str, model: Any) -> None:
    config = model.config
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ConfigurationError(
                f"GGUF has no name for the layer '{name}'", remedy="Serve the tuned generator's directory 'hf' instead"
            )
        data = _values(tensor)
        if architecture == "llama" and ".q_proj." in name:
            data = _interleaved(data, config.num_attention_heads)
        elif architecture == "llama" and ".k_proj." in name:
            data = _interleaved(data, config.num_key_value_heads)
        if _has_8_bits(tensor):
            writer.add_tensor(new, gguf.quants.quantize(data, q8), raw_dtype=q8)
        else:
            writer.add_tensor(new, data)


def _values(tensor: torch.Tensor) -> np.ndarray:
    values: np.ndarray = tensor.detach().to(torch.float32).cpu().numpy()
    return values


def _has_8_bits(tensor: torch.Tensor) -> bool:
    """Whether the file holds it in blocks; norms, biases and odd shapes it holds in single precision."""
    return tensor.ndim == 2 and tensor.shape[1] % _BLOCK == 0


def _interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a projection with the two halves of each head's rotary dimensions side by side."""
    half = rows.shape[0] // heads // 2
    return np.ascontiguousarray(rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape))


def _unwritten(path: Path, problem: Exception) -> RunError:
    return RunError(
        f"the tuned generator cannot be written ({getattr(problem, 'strerror', None) or problem})",
        place=str(path),
        remedy="Make room on the disk and run the same command again; what is trained is kept",
    )
