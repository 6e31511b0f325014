"""The torch form of a generator: its tokens and its adapters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.parts import require
from inpars_plus.lms.embedded import local_model
from inpars_plus.lms.torch_models import load_causal_lm, weights_digest
from inpars_plus.optimizers.generators.attention import register_tree_attention

if TYPE_CHECKING:
    from inpars_plus.lms.pipeline import Pipeline
    from inpars_plus.lms.torch_pipeline import TorchPipeline

__all__ = [
    "BaseModel",
    "LoraSettings",
    "add_lora",
    "check_tokens",
    "check_trainable",
    "load_base",
    "mixed_precision",
    "same_tokens",
    "trainable",
]

_PROBES = (
    "Write a search query.\n\nDocument: Water boils at 100 °C (212 °F).\nWords: boils, water\nQuery: boiling point?",
    "def search(self, query: str, *, k=10) -> list[int]:\n\treturn [x for x in self._index if x != -1]\n",
    "naïve café, „quotes“, 中文, emoji 🙂, 3.14e-10 and a_snake_case_name",
)
_ANSWERED = (("Words: boils, water\nQuery:", " How hot is steam"), ("Query: How", " hot is it?"))
"""Prompts and answers. They are trained on as two texts, and serving reads an opening behind the prompt as one."""
_PROBE_TOKENS = 256
_MOST_APART = 0.1
"""Mean difference of log-probabilities that rounding in bfloat16 stays well below."""
_LONGEST = 2048
"""Tokens of the longest prompt with a completion that is trained on."""
_SLIDING = "sliding_attention"
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers of the body.

    Attributes:
        rank: of each.
        alpha: their scale is ``alpha / rank``.
        dropout: 0 keeps preference losses exact.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0


@dataclass
class BaseModel:
    """A causal language model in torch.

    Attributes:
        name: as a person named it.
        path: the GGUF file or the directory.
        digest: of the weights.
        model: of ``transformers``.
        tokenizer: of ``transformers``; adds no special tokens when asked not to.
    """

    name: str
    path: Path
    digest: str
    model: Any
    tokenizer: Any

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; special tokens in it are recognised, none is added."""
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    @property
    def end(self) -> int:
        """The token that ends a reply.

        Raises:
            ConfigurationError: the tokenizer has none.
        """
        token = self.tokenizer.eos_token_id
        if token is None:
            raise ConfigurationError(
                "the base model has no end token, so nothing could end its queries",
                place=str(self.path),
                remedy="Use a model whose tokenizer names an eos_token",
            )
        return int(token)

    @property
    def is_gguf(self) -> bool:
        """Whether the weights came from a GGUF file."""
        return self.path.is_file()


def load_base(name: str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> BaseModel:
    """Load a model to tune.

    Args:
        name: ``embedded``, ``gguf:PATH``, the directory of a tuned generator, or a directory of a causal language model
            in Hugging Face's form.
        dtype: of the weights.
        device: where they go.

    Raises:
        MissingPartError: the embedded model is not installed.
        ConfigurationError: there is no such model, or ``transformers`` cannot read it.
    """
    directory = Path(name).expanduser()
    path = directory if (directory / "config.json").is_file() else local_model(name).path
    digest = weights_digest(path)
    model, tokenizer = load_causal_lm(path, dtype=dtype, attention=register_tree_attention())
    model.requires_grad_(False)
    model.config.use_cache = False
    return BaseModel(name=name, path=path, digest=digest, model=model.to(device).eval(), tokenizer=tokenizer)


def add_lora(base: BaseModel, settings: LoraSettings, *, seed: int) -> Any:
    """The model with fresh adapters in single precision; they change nothing until they are trained.

    Raises:
        MissingPartError: ``peft`` is not installed.
        ConfigurationError: the model has none of the layers that adapters go to.
    """
    peft = require("peft", install="pip install peft", purpose="Tuning a generator")
    targets = _targets(base)
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for what it has renamed
        model = peft.get_peft_model(base.model, config)
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            # Autocast does it: a copy of each layer's input in single precision would double the memory.
            module.cast_input_dtype_enabled = False
    return model


def check_trainable(base: BaseModel) -> None:
    """Refuse a model that could not be tuned, or that training would compute otherwise than it is served.

    Raises:
        ConfigurationError: it has no end token or none of the layers, or it does not see the whole of a long
            prompt, or log-probabilities taken from its body and its head are not those of the whole model; or its
            tokens change where a prompt and its answer meet, or it is a GGUF file of a model with scaled positions.
    """
    from inpars_plus.optimizers.generators.packing import completion_log_probabilities, pack

    _targets(base)
    tokens = base.encode(_PROBES[0] * 8)[:_PROBE_TOKENS]
    problem = None
    config = base.model.config
    window = getattr(config, "sliding_window", None)
    scaled = _scaled_positions(base)
    if scaled is not None:
        problem = f"scales its positions ('{scaled}'), which torch does not read from a GGUF file"
    elif any(base.encode(f"{text}{answer}") != base.encode(text) + base.encode(answer) for text, answer in _ANSWERED):
        problem = "cuts a prompt with its answer into other tokens than the prompt and the answer by themselves"
    elif window and window < _LONGEST and _SLIDING in (getattr(config, "layer_types", None) or [_SLIDING]):
        problem = f"sees only the last {window} tokens in some layers, and training would show it all"
    elif not hasattr(base.model, "model"):
        problem = "has no body of its own"
    else:
        prompt, completion = tokens[:-8], [*tokens[-7:], base.end]
        device = next(base.model.parameters()).device
        with torch.no_grad():
            mine = completion_log_probabilities(base.model, pack([(prompt, completion)]).to(device))[1]
            logits = base.model(torch.tensor([[*prompt, *completion]], device=device)).logits[0].float()
        theirs = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(
            1, torch.tensor(completion, device=device)[:, None]
        )
        if float((mine - theirs[:, 0]).abs().mean()) > _MOST_APART:
            problem = "does more with what its body gives than its head does"
    if problem is not None:
        raise ConfigurationError(
            f"models of type '{base.model.config.model_type}' cannot be tuned here: the base model {problem}",
            place=str(base.path),
            remedy="Use a Llama 3, Qwen or SmolLM model; one with scaled positions in Hugging Face's form",
        )


def check_tokens(base: BaseModel, pipeline: Pipeline | TorchPipeline) -> None:
    """Refuse a base model that would read a prompt as other tokens than the model that serves it.

    Raises:
        ConfigurationError: they differ.
    """
    if not same_tokens(base, pipeline):
        raise ConfigurationError(
            f"the base model '{base.name}' and the model that wrote the candidates have different tokenizers",
            place=str(base.path),
            remedy="Name the same model with --lm and --base, or write the candidates with the base model",
        )


def same_tokens(base: BaseModel, pipeline: Pipeline | TorchPipeline) -> bool:
    """Whether a base model and what serves a model cut prose, code and foreign letters into the same tokens."""
    return all(base.encode(probe) == pipeline.encode(probe) for probe in _PROBES)


def trainable(model: Any) -> dict[str, Tensor]:
    """The parameters that are tuned, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def mixed_precision(model: Any) -> Any:
    """A context for forward passes: adapters in single precision compute in the precision of a model in bfloat16."""
    weight = next(model.parameters())
    return torch.autocast(weight.device.type, dtype=torch.bfloat16, enabled=weight.dtype == torch.bfloat16)


def _scaled_positions(base: BaseModel) -> str | None:
    """The tensor or setting by which a GGUF file scales positions; ``None`` where it does not."""
    if not base.is_gguf:
        return None
    gguf = require("gguf", install="pip install gguf", purpose="Tuning a generator")
    reader = gguf.GGUFReader(base.path)
    for field in reader.fields.values():
        if field.name.endswith(".rope.scaling.type") and field.contents() != "none":
            return str(field.name)
    return next((str(tensor.name) for tensor in reader.tensors if tensor.name.startswith("rope_")), None)


def _targets(base: BaseModel) -> list[str]:
    there = {name.rsplit(".", 1)[-1] for name, _ in base.model.named_modules()}
    targets = [name for name in _LINEAR if name in there]
    if not targets:
        raise ConfigurationError(
            "the base model has none of the layers that are tuned",
            place=str(base.path),
            remedy=f"Use a model with layers named {', '.join(_LINEAR)}, as Llama and Qwen models have",
        )
    return targets
